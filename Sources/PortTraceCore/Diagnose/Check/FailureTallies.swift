/// The failures of a run by type, cause and resource, with who was refused. The counts are exact whatever there is.
///
/// In a run of days resources and victims come and go: what has been quiet for a minute makes room, and its counts stay as those
/// of its type, cause and namespace, or of victims that are not known.
struct FailureTallies {
    /// Resources that are told apart; what comes after them goes to its type, cause and namespace alone.
    private static let mostResources = 4_096
    /// Victims that are told apart, over all resources.
    private static let mostVictims = 32_768
    /// Nanoseconds for which a resource must have been quiet to make room for another, or between two times that victims do.
    private static let quiet: UInt64 = 60_000_000_000
    /// Nanoseconds between two looks for room.
    private static let pause: UInt64 = 1_000_000_000
    /// Victims that a tally names.
    private static let namedVictims = 16
    /// Failures that it remembers one by one.
    private static let recentFailures = 8

    private struct Key: Hashable {
        var type: EventType
        var cause: Cause?
        var resource: Resource

        /// Of all resources of its kind and namespace.
        var general: Key {
            var general = self
            general.resource = Resource(resource.kind, in: resource.namespace)
            return general
        }
    }

    private struct Row {
        var tally: FailureTally
        var victims: [HolderOwner: UInt64] = [:]
        /// Of the last failure: CLOCK_MONOTONIC, nanoseconds.
        var time: UInt64 = 0

        mutating func add(_ failure: Failure, count: UInt64, at time: UInt64, victim: HolderOwner) {
            tally.count += count
            self.time = max(self.time, time)
            if failure.proto == TransportProtocol.udp, failure.destinationPort == 53 { tally.dns += count }
            if let range = failure.portRange { tally.portRange = range }
            if failure.limit != 0 { tally.limit = failure.limit }
            victims[victim, default: 0] += count
            if tally.recent.count == FailureTallies.recentFailures { tally.recent.removeFirst() }
            tally.recent.append(RecentFailure(time: time, victim: victim, count: count))
        }

        /// Takes the counts of a resource that is forgotten.
        mutating func take(_ row: Row) {
            tally.count += row.tally.count
            tally.past += row.tally.count
            tally.dns += row.tally.dns
        }

        var knownVictims: Int { victims.count - (victims[.unknown] == nil ? 0 : 1) }

        mutating func keepLargest(_ most: Int) {
            let known = victims.filter { $0.key != .unknown }
            guard known.count > most else { return }
            let largest = known.sorted { $0.value > $1.value }.prefix(most)
            let rest = victims.values.reduce(0, +) - largest.reduce(0) { $0 + $1.value }
            victims = Dictionary(uniqueKeysWithValues: largest.map { ($0.key, $0.value) })
            victims[.unknown] = rest
        }
    }

    private var rows: [Key: Row] = [:]
    private var victimCount = 0
    /// Before that nothing can make room: CLOCK_MONOTONIC, nanoseconds.
    private var nextRoom: UInt64 = 0
    private var nextVictims: UInt64 = 0

    /// - Parameter time: of the last of them, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    mutating func add(_ failure: Failure, count: UInt64, at time: UInt64) {
        var key = Key(type: failure.type, cause: failure.cause, resource: Resource(wantedBy: failure))
        if nextVictims == 0, time > 0 { nextVictims = time &+ Self.quiet }
        if rows[key] == nil, rows.count >= Self.mostResources { makeRoom(at: time) }
        if rows[key] == nil, rows.count >= Self.mostResources { key = key.general }
        var victim = HolderOwner(failure)
        if victimCount >= Self.mostVictims, nextVictims > 0, time >= nextVictims { forgetVictims(at: time) }
        if victim != .unknown, rows[key]?.victims[victim] == nil {
            if victimCount < Self.mostVictims { victimCount += 1 } else { victim = .unknown }
        }
        rows[key, default: Row(tally: FailureTally(type: key.type, cause: key.cause, resource: key.resource, count: 0))]
            .add(failure, count: count, at: time, victim: victim)
    }

    /// Forgets the resources that have been quiet for long, the quietest first, an eighth of all at most.
    ///
    /// O(resources), once a second at most.
    private mutating func makeRoom(at time: UInt64) {
        guard time >= nextRoom else { return }
        let oldest = rows.filter { $0.key != $0.key.general }.sorted { $0.value.time < $1.value.time }
        for (key, row) in oldest.prefix(Self.mostResources / 8) where row.time &+ Self.quiet <= time {
            rows[key] = nil
            victimCount -= row.knownVictims
            let tally = FailureTally(type: key.type, cause: key.cause, resource: key.general.resource, count: 0)
            rows[key.general, default: Row(tally: tally)].take(row)
        }
        nextRoom = time &+ Self.pause
    }

    /// Forgets all victims but those that are named.
    private mutating func forgetVictims(at time: UInt64) {
        nextVictims = time &+ Self.quiet
        victimCount = 0
        for key in rows.keys {
            rows[key]!.keepLargest(Self.namedVictims)
            victimCount += rows[key]!.knownVictims
        }
    }

    /// Largest first.
    var all: [FailureTally] {
        rows.values.map { row in
            var tally = row.tally
            let victims = row.victims.filter { $0.key != .unknown }.map { Holder($0.key, count: $0.value) }
            tally.victims = Array(victims.sorted { $0.count > $1.count }.prefix(Self.namedVictims))
            return tally
        }.sorted { $0.count > $1.count }
    }
}

extension Resource {
    /// What a failure wanted and did not get. Of its namespace the inode alone is known.
    init(wantedBy failure: Failure) {
        let namespace = NamespaceIdentity(inode: failure.netnsID, mix: 0)
        let destination = failure.destination.map { Endpoint(address: $0, port: failure.destinationPort) }
        switch failure.type {
        case .connectExhausted, .connectConflict:
            self.init(
                .ports, in: namespace, proto: failure.proto, source: failure.source, destination: destination)
        case .bindExhausted:
            self.init(.bindPorts, in: namespace, proto: failure.proto)
        case .snatExhausted:
            self.init(
                .snat, in: namespace, proto: failure.proto, source: failure.nat?.address,
                destination: failure.backend ?? destination)
        case .timeWaitOverflow:
            self.init(.timeWait, in: namespace, proto: failure.proto)
        case .conntrackTableFull, .conntrackEvicted, .conntrackInsertFailed, .tcpState, .pressure, .lost, .summary:
            self.init(.conntrack, in: namespace)
        }
    }
}

extension HolderOwner {
    init(_ failure: Failure) {
        self.init(
            cgroupID: failure.cgroupID, namespace: failure.attribution == .netns ? failure.ownerNamespace : nil,
            process: failure.process.map { HoldingProcess(pid: $0.pid, comm: $0.comm) })
    }
}
