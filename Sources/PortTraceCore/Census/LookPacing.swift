extension Pressure {
    /// How long to wait after a look before the next one of the same sort.
    ///
    /// Far from every limit it is seldom, and takes less than 1 % of a core; near one it is often, and may take more: 2 %
    /// from half of a limit on, 5 % from three quarters on, or where the next threshold is less than a minute away. In
    /// between it is a quarter of the time that is left until then.
    ///
    /// - Parameters:
    ///   - cost: CPU time of the last look, nanoseconds.
    ///   - covers: what the look finds.
    /// - Returns: Nanoseconds.
    public func delay(afterLookCosting cost: UInt64, covers: (Resource) -> Bool = { _ in true }) -> UInt64 {
        let second: UInt64 = 1_000_000_000
        let nearest = nearest(where: covers)
        let share = nearest?.share ?? 0
        let left = nearest?.crossing ?? .max
        // How often at least, and for how many times its cost it then rests.
        let (pace, rest): (UInt64, UInt64) =
            share >= 0.75 || left < 60 * second ? (second, 20) : share >= 0.5 ? (5 * second, 50) : (15 * second, 110)
        return max(min(pace, max(left / 4, second)), min(cost, 3_600 * second) * rest)
    }
}
