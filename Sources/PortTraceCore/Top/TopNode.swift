/// What `porttrace top` knows of a node: its resources as they were last found, and their failures.
///
/// How to drive it, on one thread: ``look(_:at:covers:)`` after each look at the ports or at the conntrack tables,
/// ``failures(_:at:)`` after each flush, then ``picture(at:)``. No call waits or calls the system, but through its sources.
public final class TopNode {
    /// Nanoseconds for which a resource counts as failing.
    private static let failingTime: UInt64 = 10_000_000_000
    /// Nanoseconds for which one is shown that has failed and that no look has found.
    private static let shownTime: UInt64 = 60_000_000_000
    /// Resources whose growth is followed, see ``Pressure``.
    private static let followed = 2_048

    /// CLOCK_MONOTONIC, nanoseconds.
    private let start: UInt64
    private let filter: Filter
    var names: TopNames
    /// To be set when it has changed.
    public var facts: TopFacts
    /// Turns times into the day's; to be set again as the offset is measured again.
    public var clock: Clock
    /// What fills each conntrack table.
    public var destinations: [NamespaceIdentity: [TableCensus.Destination]] = [:]
    private var occupancies: [Occupancy] = []
    private var pressure = Pressure(.init(least: 0, most: TopNode.followed))
    private var failing: [Resource: TopFailures] = [:]
    private var failuresTime: UInt64

    /// - Parameters:
    ///   - start: CLOCK_MONOTONIC, nanoseconds.
    ///   - forTerminal: whether names are for the screen; else for NDJSON.
    public init(
        _ facts: TopFacts, start: UInt64, clock: Clock, filter: Filter, cgroupPaths: any CgroupPathSource,
        owners: any OwnerSource, addresses: NamedAddresses = NamedAddresses(), forTerminal: Bool
    ) {
        self.facts = facts
        self.start = start
        self.clock = clock
        self.filter = filter
        failuresTime = start
        names = TopNames(
            owners: OwnerCache(
                paths: cgroupPaths, owners: owners, addresses: addresses, filter: filter, forTerminal: forTerminal),
            destinations: DestinationNames(owners: owners, addresses: addresses, forTerminal: forTerminal))
    }

    /// The user's names for addresses; may be set again at any time.
    public var addresses: NamedAddresses {
        get { names.owners.addresses }
        set {
            names.owners.addresses = newValue
            names.destinations.addresses = newValue
        }
    }

    /// To be called each second: paths may be known by now.
    public func refreshNames() {
        names.owners.endInterval()
    }

    /// Takes what a look has found, in place of what the last one of that sort has.
    ///
    /// - Parameters:
    ///   - time: when it was begun: CLOCK_MONOTONIC, nanoseconds.
    ///   - covers: whether the look would have found a resource.
    public func look(_ found: [Occupancy], at time: UInt64, covers: (Resource) -> Bool) {
        occupancies = occupancies.filter { !covers($0.resource) } + found
        _ = pressure.look(found, at: time, covers: covers)
    }

    /// Takes the failures since the start, all of them: ``EventStream/tallies``.
    ///
    /// - Parameter time: CLOCK_MONOTONIC, nanoseconds.
    public func failures(_ tallies: [FailureTally], at time: UInt64) {
        let seconds = Double(max(time &- failuresTime, 1)) / 1e9
        failuresTime = time
        var next: [Resource: TopFailures] = [:]
        for tally in tallies {
            next[tally.resource.asWanted, default: TopFailures()].tallies.append(tally)
        }
        for (resource, var state) in next {
            let before = failing[resource]
            state.count = state.tallies.reduce(0) { $0 + $1.count }
            state.past = state.tallies.reduce(0) { $0 + $1.past }
            let (own, ownBefore) = (state.count - state.past, (before?.count ?? 0) - (before?.past ?? 0))
            let more = own - min(own, ownBefore)
            state.perSecond = Double(more) / seconds
            state.lastTime = more > 0 ? time : before?.lastTime ?? 0
            next[resource] = state
        }
        failing = next
    }

    /// How near the nearest of some resources is to its limit: thousandths of it, all of them where one fails, and at least
    /// three quarters where a threshold is less than a minute away.
    public func urgency(where covers: (Resource) -> Bool) -> UInt64 {
        if failing.contains(where: { covers($0.key) && isFailing($0.value, at: failuresTime) }) { return 1_000 }
        let nearest = occupancies.reduce(0) { covers($1.resource) ? max($0, min($1.share ?? 0, 1)) : $0 }
        return max(UInt64(nearest * 1_000), pressure.urgency(where: covers))
    }

    /// What there is to be shown now.
    ///
    /// - Parameter time: CLOCK_MONOTONIC, nanoseconds.
    public func picture(at time: UInt64) -> TopPicture {
        var picture = TopPicture(facts: facts, clock: clock, elapsed: time &- start)
        (picture.failing, picture.occupancies, picture.destinations) = (failing, occupancies, destinations)
        picture.fullestTable = occupancies.filter { $0.resource.kind == .conntrack }
            .max { ($0.share ?? 0, $0.used) < ($1.share ?? 0, $1.used) }
        var unmet = failing
        for occupancy in occupancies {
            var row = TopRow(occupancy)
            row.age = occupancy.age(at: time)
            if !unmet.isEmpty, let failing = unmet.removeValue(forKey: occupancy.resource.asWanted) {
                row.take(failing.count, failing.perSecond, isFailing: isFailing(failing, at: time))
            }
            guard row.failures > 0 || passes(occupancy) else { continue }
            row.rate = pressure.rate(of: occupancy.resource)
            row.eta = pressure.eta(of: occupancy.resource)
            picture.rows.append(row)
        }
        // Those that failed have passed the filter, each by itself.
        for (resource, failing) in unmet where time < failing.lastTime + TopNode.shownTime {
            let tally = failing.tallies.first
            let range = tally?.portRange.map { UInt64($0.high) - UInt64($0.low) + 1 }
            var row = TopRow(
                Occupancy(resource, used: 0, limit: tally?.limit.map { UInt64($0) } ?? range, holders: []))
            row.isMeasured = false
            row.take(failing.count, failing.perSecond, isFailing: isFailing(failing, at: time))
            picture.rows.append(row)
        }
        for failing in failing.values {
            picture.failures += failing.count
            picture.failuresPerSecond += failing.perSecond
        }
        picture.rows.sort { TopOrder.nearness.places($0, before: $1) }
        return picture
    }

    private func isFailing(_ failing: TopFailures, at time: UInt64) -> Bool {
        failing.lastTime > 0 && time < failing.lastTime + Self.failingTime
    }

    private func passes(_ occupancy: Occupancy) -> Bool {
        if filter.isEmpty { return true }
        return filter.evaluate(occupancy, types: occupancy.resource.kind.types) { names.owner(of: $0).verdict } == .pass
    }
}

/// What names are known.
struct TopNames {
    var owners: OwnerCache
    var destinations: DestinationNames

    mutating func owner(of holder: HolderOwner) -> OwnerCache.Entry { owners.entry(for: holder.key) }
}

extension TopRow {
    fileprivate mutating func take(_ count: UInt64, _ perSecond: Double, isFailing: Bool) {
        failures = count
        failuresPerSecond = perSecond
        self.isFailing = isFailing
    }
}
