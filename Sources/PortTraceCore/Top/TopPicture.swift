/// What `porttrace top` shows at a moment, the details of each row with it: it stands still while the node goes on. Its parts
/// are the node's own until that replaces them, so it takes no memory of theirs.
public struct TopPicture: Sendable {
    var facts: TopFacts
    /// Turns times into the day's.
    var clock: Clock
    /// Nanoseconds since the start.
    var elapsed: UInt64
    /// By nearness.
    public internal(set) var rows: [TopRow] = []
    /// The conntrack table nearest to its limit, whether it passes the filter or not; nil: there is none.
    var fullestTable: Occupancy?
    /// Since the start, and during the last interval.
    var failures: UInt64 = 0
    var failuresPerSecond = 0.0
    /// By the resource as failures know it.
    var failing: [Resource: TopFailures] = [:]
    /// All that the last looks have found, whether it passes the filter or not.
    var occupancies: [Occupancy] = []
    /// What fills each conntrack table.
    var destinations: [NamespaceIdentity: [TableCensus.Destination]] = [:]

    init(facts: TopFacts, clock: Clock, elapsed: UInt64) {
        self.facts = facts
        self.clock = clock
        self.elapsed = elapsed
    }

    /// The failures of a resource by type and cause.
    func tallies(of resource: Resource) -> [FailureTally] { failing[resource.asWanted]?.tallies ?? [] }

    /// The resources of a namespace's ports, the most used first.
    func ports(in namespace: NamespaceIdentity) -> [Occupancy] {
        occupancies.filter { $0.resource.kind == .ports && $0.resource.namespace == namespace }
            .sorted { $0.used > $1.used }
    }
}

/// The failures of one resource.
struct TopFailures: Sendable {
    var tallies: [FailureTally] = []
    var count: UInt64 = 0
    /// Those of them that are another resource's, which was forgotten: not new when they come.
    var past: UInt64 = 0
    var perSecond = 0.0
    /// CLOCK_MONOTONIC, nanoseconds.
    var lastTime: UInt64 = 0
}
