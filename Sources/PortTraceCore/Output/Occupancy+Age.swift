extension Occupancy {
    /// Nanoseconds up to which holders are as good as now's: looks come every second where something is near its limit.
    private static let recent: UInt64 = 5_000_000_000

    /// How old its holders are, for a person, where that is worth telling: ` as of 40 s ago`; else empty.
    ///
    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    func age(at now: UInt64) -> String {
        guard time > 0, now > time, now - time > Self.recent else { return "" }
        return " as of \(DurationWords.text(now - time)) ago"
    }
}
