/// Which resources near their limits, from look to look: when they cross a threshold, and how fast they grow.
///
/// A threshold is crossed upwards at its level and downwards 5 points below, or when the resource vanishes. One that comes
/// up again within a minute must then stay below for 5 s, 10 s, and so on to a minute, before that is told: a saw-tooth
/// is told a few times, not with each tooth.
///
/// Memory: what was found at the last looks is kept of resources from ``Configuration/least`` on, and of those that are
/// still above a threshold, or were a minute ago; of no more than ``Configuration/most``, those above a threshold first, then
/// the nearest. About 1 KB each, at most.
public struct Pressure: Sendable {
    public struct Configuration: Sendable {
        /// Thousandths of its limit from which on a resource is followed.
        public var least: UInt64
        /// Resources that are followed.
        public var most: Int

        public init(least: UInt64 = 250, most: Int = 1_024) {
            self.least = least
            self.most = most
        }
    }

    /// A resource that is followed.
    private struct Followed {
        var occupancy: Occupancy
        var trend = Trend()
        /// By ``PressureThreshold``.
        var states = [ThresholdState](repeating: ThresholdState(), count: PressureThreshold.allCases.count)

        /// Whether forgetting it would tell a crossing twice.
        func isNeeded(at time: UInt64) -> Bool { states.contains { $0.isNeeded(at: time) } }
    }

    private let configuration: Configuration
    private var followed: [Resource: Followed] = [:]
    /// Resources that the last look has found above a threshold and that there is no room for: their crossings are not told.
    public private(set) var untold = 0

    public init(_ configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    /// Resources that are followed.
    public var count: Int { followed.count }

    /// Takes what a look has found.
    ///
    /// - Parameters:
    ///   - time: when it was begun: CLOCK_MONOTONIC, nanoseconds.
    ///   - covers: whether the look would have found a resource: one that it would and has not has vanished.
    /// - Returns: What has crossed a threshold, each crossing once, a resource's lower threshold first on the way up.
    public mutating func look(
        _ occupancies: [Occupancy], at time: UInt64, covers: (Resource) -> Bool = { _ in true }
    ) -> [PressureCrossing] {
        var crossings: [PressureCrossing] = []
        var vanished = Set(followed.keys.filter(covers))
        for occupancy in occupancies where !vanished.isEmpty { vanished.remove(occupancy.resource) }
        for resource in vanished {
            guard let last = followed[resource]?.occupancy else { continue }
            take(Occupancy(resource, used: 0, limit: last.limit, holders: []), at: time, &crossings)
        }
        for occupancy in selected(occupancies) { take(occupancy, at: time, &crossings) }
        return crossings
    }

    /// Growth of a resource a second; nil: it is not followed, or there was one look only.
    public func rate(of resource: Resource) -> Double? {
        followed[resource].flatMap { $0.trend.rate(towards: $0.occupancy.limit) }
    }

    /// Nanoseconds until a resource reaches its limit at the recent rate; nil: it is not rising, or that is not known.
    public func eta(of resource: Resource) -> UInt64? {
        guard let followed = followed[resource], let limit = followed.occupancy.limit else { return nil }
        return followed.trend.eta(to: limit)
    }

    /// What is worth following, and as much of it as there is room for; the rest is forgotten.
    private mutating func selected(_ occupancies: [Occupancy]) -> [Occupancy] {
        untold = 0
        let worthy = occupancies.filter { $0.reaches(configuration.least) || followed[$0.resource] != nil }
        guard worthy.count + followed.count > configuration.most else { return worthy }
        func ranked(_ occupancy: Occupancy) -> (rank: (Int, Double), occupancy: Occupancy) {
            // Who was told to be above must be told to be below; there are never more of them than there is room for.
            ((isAbove(occupancy.resource) ? 1 : 0, occupancy.share ?? 0), occupancy)
        }
        let found = Set(worthy.map(\.resource))
        let others = followed.filter { !found.contains($0.key) }
        var all = worthy.map(ranked) + others.map { ranked($0.value.occupancy) }
        guard all.count > configuration.most else { return worthy }
        all.sort { $0.rank > $1.rank }
        for (_, occupancy) in all[configuration.most...] {
            followed[occupancy.resource] = nil
            if occupancy.reaches(PressureThreshold.high.level) { untold += 1 }
        }
        return all[..<configuration.most].map(\.occupancy).filter { found.contains($0.resource) }
    }

    private func isAbove(_ resource: Resource) -> Bool {
        followed[resource]?.states.contains { $0.isAbove } ?? false
    }

    private mutating func take(_ occupancy: Occupancy, at time: UInt64, _ crossings: inout [PressureCrossing]) {
        var occupancy = occupancy
        var state = followed.removeValue(forKey: occupancy.resource) ?? Followed(occupancy: occupancy)
        // A NAT range that was known is still the rule's, whatever other flows of that address have been seen since.
        if occupancy.resource.kind == .snat { occupancy.limit = occupancy.limit ?? state.occupancy.limit }
        state.occupancy = occupancy
        state.trend.add(occupancy.used, at: time)
        let eta = occupancy.limit.flatMap { state.trend.eta(to: $0) }
        var crossed: [PressureCrossing] = []
        for (index, threshold) in PressureThreshold.allCases.enumerated() {
            guard let direction = state.states[index].take(occupancy, threshold, at: time) else { continue }
            crossed.append(
                PressureCrossing(
                    threshold: threshold, direction: direction, eta: direction == .up ? eta : nil,
                    occupancy: occupancy))
        }
        // On the way down the upper threshold is crossed first.
        crossings += crossed.first?.direction == .down ? crossed.reversed() : crossed
        if occupancy.reaches(configuration.least) && occupancy.used > 0 || state.isNeeded(at: time) {
            // It is needed for its crossings; who holds it is told by the next look.
            state.occupancy.holders = []
            followed[occupancy.resource] = state
        }
    }

    /// The nearest of those that a look covers: its share of the limit, and nanoseconds until it crosses the next
    /// threshold or its limit (nil: it is not rising); nil: none is followed. One that is above all thresholds counts as
    /// half full: there is nothing left to warn of.
    func nearest(where covers: (Resource) -> Bool) -> (share: Double, crossing: UInt64?)? {
        var share: Double?
        var crossing: UInt64?
        for (resource, state) in followed where covers(resource) {
            guard let own = state.occupancy.share, let limit = state.occupancy.limit else { continue }
            let isToldAll = state.states.allSatisfy { $0.isAbove }
            share = max(share ?? 0, isToldAll ? 0.5 : own)
            if isToldAll { continue }
            let next = PressureThreshold.allCases.first { !state.occupancy.reaches($0.level) }?.level ?? 1_000
            guard let eta = state.trend.eta(to: limit / 1_000 * next + limit % 1_000 * next / 1_000) else { continue }
            crossing = min(crossing ?? .max, eta)
        }
        return share.map { ($0, crossing) }
    }
}

/// On which side of a threshold a resource is, as far as it was told.
private struct ThresholdState: Sendable {
    /// Nanoseconds.
    private static let soon: UInt64 = 60_000_000_000
    private static let shortestHold: UInt64 = 5_000_000_000

    private(set) var isAbove = false
    /// How long it must stay below before that is told.
    private var hold: UInt64 = 0
    /// Since when it is below without that being told; nil: it is not.
    private var belowSince: UInt64?
    /// When a crossing downwards was last told.
    private var cameDown: UInt64?

    /// Takes what was found at a time.
    ///
    /// - Returns: The crossing that is to be told; nil: there is none.
    mutating func take(
        _ occupancy: Occupancy, _ threshold: PressureThreshold, at time: UInt64
    ) -> PressureCrossing.Direction? {
        if !isAbove {
            guard occupancy.reaches(threshold.level) else { return nil }
            isAbove = true
            let again = cameDown.map { time &- $0 < Self.soon } ?? false
            hold = again ? min(max(2 * hold, Self.shortestHold), Self.soon) : 0
            return .up
        }
        guard !occupancy.reaches(threshold.release) else {
            belowSince = nil
            return nil
        }
        let since = belowSince ?? time
        belowSince = since
        guard time &- since >= hold else { return nil }
        (isAbove, belowSince, cameDown) = (false, nil, time)
        return .down
    }

    func isNeeded(at time: UInt64) -> Bool { isAbove || cameDown.map { time &- $0 < Self.soon } ?? false }
}
