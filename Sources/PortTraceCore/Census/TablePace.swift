/// How often conntrack tables are dumped: as their cost allows, the more often the nearer one is to its limit.
public struct TablePace: Sendable {
    /// The share of one core that dumps take at most, one in so many: 2 % near the limit, 0.5 % from half of it on, 0.2 % when
    /// far.
    private static let nearShare: UInt64 = 50
    private static let halfShare: UInt64 = 200
    private static let farShare: UInt64 = 500
    /// Nanoseconds between dumps at least, near, from half on and far, and at most.
    private static let nearest: UInt64 = 1_000_000_000
    private static let halfway: UInt64 = 3_000_000_000
    private static let farthest: UInt64 = 10_000_000_000
    private static let longest: UInt64 = 900_000_000_000

    /// What the last dump took and had.
    private var last: (begun: UInt64, cost: UInt64, entries: UInt64)?

    public init() {}

    /// Takes what a dump of all tables has cost.
    ///
    /// - Parameters:
    ///   - begun: CLOCK_MONOTONIC, nanoseconds.
    ///   - cost: CPU time, nanoseconds; the kernel's part of it included.
    ///   - entries: of all tables.
    public mutating func note(begun: UInt64, cost: UInt64, entries: UInt64) {
        last = (begun, cost, entries)
    }

    /// When the next dump may begin at the earliest: CLOCK_MONOTONIC, nanoseconds; 0: at once, there was none.
    ///
    /// - Parameters:
    ///   - entries: of all tables now.
    ///   - fullest: the share of its limit that the fullest table uses now, in thousandths; 0 where there is no limit.
    public func earliest(entries: UInt64, fullest: UInt64) -> UInt64 {
        guard let last else { return 0 }
        // What it will cost: as much an entry as the last time.
        let growth = max(entries, 1_000) * 1_000 / max(last.entries, 1_000)
        let (product, isTooMuch) = last.cost.multipliedReportingOverflow(by: growth)
        let cost = isTooMuch ? Self.longest : product / 1_000
        let (least, share) =
            switch fullest {
            case 750...: (Self.nearest, Self.nearShare)
            case 500..<750: (Self.halfway, Self.halfShare)
            default: (Self.farthest, Self.farShare)
            }
        return last.begun + min(max(min(cost, Self.longest) * share, least), Self.longest)
    }
}
