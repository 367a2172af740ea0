extension Pressure {
    /// How long to wait after a look before the next one of the same sort.
    ///
    /// Far from every limit it is seldom, and takes at most 0.25 % of a core, so that all that porttrace does stays well
    /// below 1 %; near one it is often, and may take more: 2 % from half of a limit on, 5 % from three quarters to the last
    /// threshold, or where the next one is less than a minute away. In between it is a quarter of the time that is left
    /// until then.
    ///
    /// - Parameters:
    ///   - cost: CPU time of the last look, nanoseconds.
    ///   - covers: what the look finds.
    /// - Returns: Nanoseconds.
    public func delay(afterLookCosting cost: UInt64, covers: (Resource) -> Bool = { _ in true }) -> UInt64 {
        let second: UInt64 = 1_000_000_000
        let nearest = nearest(where: covers)
        let left = nearest?.crossing ?? .max
        // How often at least, and for how many times its cost it then rests.
        let (pace, rest): (UInt64, UInt64) =
            switch Self.urgency(nearest) {
            case 750...: (second, 20)
            case 500..<750: (5 * second, 50)
            default: (10 * second, 400)
            }
        return max(min(pace, max(left / 4, second)), min(cost, 3_600 * second) * rest)
    }

    /// How long to wait where somebody looks on, or something has failed: a second, and so long that looks take 2 % of a core
    /// at most; 5 % from three quarters of a limit on.
    ///
    /// - Parameters:
    ///   - cost: CPU time of the last look, nanoseconds.
    ///   - urgency: thousandths of its limit that the nearest of what the look finds has reached.
    /// - Returns: Nanoseconds.
    public static func watchedDelay(afterLookCosting cost: UInt64, urgency: UInt64) -> UInt64 {
        let second: UInt64 = 1_000_000_000
        return max(second, min(cost, 3_600 * second) * (urgency >= 750 ? 20 : 50))
    }

    /// How near the nearest of some resources is to its limit: thousandths of it, and at least three quarters where the
    /// next threshold is less than a minute away.
    public func urgency(where covers: (Resource) -> Bool) -> UInt64 { Self.urgency(nearest(where: covers)) }

    private static func urgency(_ nearest: (share: Double, crossing: UInt64?)?) -> UInt64 {
        guard let nearest else { return 0 }
        let isSoon = nearest.crossing.map { $0 < 60_000_000_000 } ?? false
        return max(UInt64(min(nearest.share, 1) * 1_000), isSoon ? 750 : 0)
    }
}
