/// A share of a resource's limit whose crossing is told: the contract's `threshold`.
public enum PressureThreshold: UInt8, Sendable, CaseIterable {
    case high
    case critical

    /// From here on it is crossed upwards: thousandths of the limit.
    var level: UInt64 {
        switch self {
        case .high: 800
        case .critical: 950
        }
    }

    /// Below this it is crossed downwards, so that what moves to and fro around the level is told once.
    var release: UInt64 { level - 50 }

    /// The number in the contract.
    var name: StaticString {
        switch self {
        case .high: "0.8"
        case .critical: "0.95"
        }
    }

    /// The words for a person.
    var words: StaticString {
        switch self {
        case .high: "80 %"
        case .critical: "95 %"
        }
    }
}

/// One resource's crossing of one threshold.
public struct PressureCrossing: Equatable, Sendable {
    public enum Direction: Sendable {
        case up
        case down

        /// The name in the contract.
        var name: StaticString {
            switch self {
            case .up: "up"
            case .down: "down"
            }
        }
    }

    public var threshold: PressureThreshold
    public var direction: Direction
    /// Nanoseconds to the limit at the recent rate; nil: it is not rising.
    public var eta: UInt64?
    /// As it was found, with its holders; of a resource that has vanished 0 used and nobody.
    public var occupancy: Occupancy
}

extension Occupancy {
    /// Whether so many thousandths of the limit are used; false where there is no limit.
    func reaches(_ thousandths: UInt64) -> Bool {
        guard let limit, limit > 0 else { return false }
        return used.multipliedFullWidth(by: 1_000) >= limit.multipliedFullWidth(by: thousandths)
    }

    /// Used of limit: 1 is full; nil: there is no limit.
    public var share: Double? {
        guard let limit, limit > 0 else { return nil }
        return Double(used) / Double(limit)
    }
}
