/// A resource as `porttrace top` shows it.
public struct TopRow: Sendable {
    public var occupancy: Occupancy
    /// How old its holders are, in words; empty: not worth telling.
    public var age = ""
    /// Whether a census has its use; else it is known by its failures alone.
    public var isMeasured = true
    /// Growth a second; nil: not known.
    public var rate: Double?
    /// Nanoseconds to the limit at that rate; nil: it is not rising.
    public var eta: UInt64?
    /// Failures to get it, of the last interval and since the start.
    public var failuresPerSecond = 0.0
    public var failures: UInt64 = 0
    /// Whether it has failed during the last 10 s.
    public var isFailing = false

    init(_ occupancy: Occupancy) {
        self.occupancy = occupancy
    }

    /// 1 is full. What fails and has no figures is taken as full, what has no limit as empty.
    var nearness: Double { isMeasured ? occupancy.share ?? 0 : isFailing ? 1 : 0 }
}

/// By what rows are sorted: failing ones come first in any case.
public enum TopOrder: CaseIterable, Sendable {
    case nearness
    case failures
    case rate
    case use

    /// The words for a person.
    var words: StaticString {
        switch self {
        case .nearness: "nearness"
        case .failures: "failures"
        case .rate: "rate"
        case .use: "use"
        }
    }

    /// Whether one row stands before another; equals stand in the same order each time.
    func places(_ left: TopRow, before right: TopRow) -> Bool {
        if left.isFailing != right.isFailing { return left.isFailing }
        let (first, second) = (value(of: left), value(of: right))
        if first != second { return first > second }
        if left.occupancy.used != right.occupancy.used { return left.occupancy.used > right.occupancy.used }
        return left.occupancy.resource.order.lexicographicallyPrecedes(right.occupancy.resource.order)
    }

    private func value(of row: TopRow) -> Double {
        switch self {
        case .nearness: row.nearness
        case .failures: row.failuresPerSecond
        case .rate: row.rate ?? 0
        case .use: Double(row.occupancy.used)
        }
    }
}

extension Resource {
    /// Numbers that put resources into one order.
    var order: [UInt64] {
        let kind = UInt64(Kind.allCases.firstIndex(of: kind) ?? 0)
        return [
            kind, UInt64(namespace.inode), UInt64(namespace.mix), UInt64(proto), destination?.address.high ?? 0,
            destination?.address.low ?? 0, UInt64(destination?.port ?? 0), source?.high ?? 0, source?.low ?? 0,
        ]
    }

    /// The resource as failures know it: of its namespace the inode alone.
    var asWanted: Resource {
        var wanted = self
        wanted.namespace.mix = 0
        return wanted
    }
}
