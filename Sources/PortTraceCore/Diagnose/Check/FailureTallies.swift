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
    /// Nanoseconds between two looks for room, and between two at a resource.
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
        /// When to look again who has the ports: CLOCK_MONOTONIC, nanoseconds.
        private var nextLook: UInt64 = 0
        /// For `tally.mapping`, less those against it.
        private var votes: UInt64 = 0
        /// Whether not all failures had the same ports in force.
        private var hasRanges = false

        init(_ tally: FailureTally) {
            self.tally = tally
        }

        /// Looks who has the ports, unless all were in use at a look before.
        mutating func look(at time: UInt64, _ census: any CensusSource) {
            guard tally.resource.kind == .ports || tally.resource.kind == .bindPorts, tally.cause == .portRange,
                time >= nextLook, tally.occupancy.map({ $0.used < $0.limit ?? .max }) ?? true
            else { return }
            nextLook = time &+ FailureTallies.pause
            guard let seen = census.occupancy(of: tally.resource), seen.used > tally.occupancy?.used ?? 0 else {
                return
            }
            tally.occupancy = seen
        }

        mutating func add(_ failure: Failure, count: UInt64, at time: UInt64, victim: HolderOwner) {
            tally.count += count
            self.time = max(self.time, time)
            if failure.proto == TransportProtocol.udp, failure.destinationPort == 53 { tally.dns += count }
            if failure.cause == .race, failure.destination != nil { note(race: failure, count) }
            note(failure.portRange)
            if failure.type == .connectConflict, failure.sourcePort != 0 { tally.sourcePort = failure.sourcePort }
            if failure.limit != 0 { tally.limit = failure.limit }
            victims[victim, default: 0] += count
            if tally.recent.count == FailureTallies.recentFailures { tally.recent.removeFirst() }
            tally.recent.append(RecentFailure(time: time, victim: victim, count: count))
        }

        /// Finds the majority of the translated by the votes of Boyer and Moore.
        private mutating func note(race failure: Failure, _ count: UInt64) {
            guard failure.nat != nil else {
                tally.untranslated += count
                return
            }
            tally.translated += count
            let mapping = Resource(mappingOf: failure)
            if tally.mapping == mapping {
                votes += count
            } else if votes >= count {
                votes -= count
            } else {
                (tally.mapping, votes) = (mapping, count - votes)
            }
        }

        private mutating func note(_ range: PortRange?) {
            guard let range else { return }
            hasRanges = hasRanges || (tally.portRange.map { $0 != range } ?? false)
            tally.portRange = hasRanges ? nil : range
        }

        /// Takes the counts of a resource that is forgotten.
        mutating func take(_ row: Row) {
            tally.count += row.tally.count
            tally.past += row.tally.count
            tally.dns += row.tally.dns
            tally.translated += row.tally.translated
            tally.untranslated += row.tally.untranslated
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

    /// Who is asked who has what failed; nil: nobody.
    private let census: (any CensusSource)?
    private var rows: [Key: Row] = [:]
    private var victimCount = 0
    /// Before that nothing can make room: CLOCK_MONOTONIC, nanoseconds.
    private var nextRoom: UInt64 = 0
    private var nextVictims: UInt64 = 0

    init(census: (any CensusSource)? = nil) {
        self.census = census
    }

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
        rows[key, default: Row(FailureTally(type: key.type, cause: key.cause, resource: key.resource, count: 0))]
            .add(failure, count: count, at: time, victim: victim)
        if let census { rows[key]?.look(at: time, census) }
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
            rows[key.general, default: Row(tally)].take(row)
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
            self.init(mappingOf: failure)
        case .timeWaitOverflow:
            self.init(.timeWait, in: namespace, proto: failure.proto)
        case .conntrackTableFull, .conntrackEvicted, .conntrackInsertFailed, .tcpState, .pressure, .lost, .summary:
            self.init(.conntrack, in: namespace)
        }
    }
}

extension Resource {
    /// The NAT address of a packet's flow towards its destination.
    init(mappingOf failure: Failure) {
        let destination = failure.destination.map { Endpoint(address: $0, port: failure.destinationPort) }
        self.init(
            .snat, in: NamespaceIdentity(inode: failure.netnsID, mix: 0), proto: failure.proto,
            source: failure.nat?.address, destination: failure.backend ?? destination)
    }
}

extension HolderOwner {
    init(_ failure: Failure) {
        self.init(
            cgroupID: failure.cgroupID, namespace: failure.attribution == .netns ? failure.ownerNamespace : nil,
            process: failure.process.map { HoldingProcess(pid: $0.pid, comm: $0.comm) })
    }
}
