/// The failures of a sample by type, cause and resource, with who was refused. The counts are exact whatever there is.
struct FailureTallies {
    /// Resources that are told apart; what comes after them goes to its type, cause and namespace alone.
    private static let mostResources = 4_096
    /// Victims that are told apart, over all resources.
    private static let mostVictims = 32_768
    /// Victims that a tally names.
    private static let namedVictims = 16
    /// Failures that it remembers one by one.
    private static let recentFailures = 8

    private struct Key: Hashable {
        var type: EventType
        var cause: Cause?
        var resource: Resource
    }

    private struct Row {
        var tally: FailureTally
        var victims: [HolderOwner: UInt64] = [:]

        mutating func add(_ failure: Failure, count: UInt64, at time: UInt64, victim: HolderOwner) {
            tally.count += count
            if failure.proto == TransportProtocol.udp, failure.destinationPort == 53 { tally.dns += count }
            if let range = failure.portRange { tally.portRange = range }
            if failure.limit != 0 { tally.limit = failure.limit }
            victims[victim, default: 0] += count
            if tally.recent.count == FailureTallies.recentFailures { tally.recent.removeFirst() }
            tally.recent.append(RecentFailure(time: time, victim: victim, count: count))
        }
    }

    private var rows: [Key: Row] = [:]
    private var victimCount = 0

    /// - Parameter time: of the last of them, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    mutating func add(_ failure: Failure, count: UInt64, at time: UInt64) {
        var key = Key(type: failure.type, cause: failure.cause, resource: Resource(wantedBy: failure))
        if rows[key] == nil, rows.count >= Self.mostResources {
            let kind = key.resource.kind
            key.resource = Resource(kind, in: key.resource.namespace)
        }
        var victim = HolderOwner(failure)
        if rows[key]?.victims[victim] == nil {
            if victimCount < Self.mostVictims { victimCount += 1 } else { victim = .unknown }
        }
        rows[key, default: Row(tally: FailureTally(type: key.type, cause: key.cause, resource: key.resource, count: 0))]
            .add(failure, count: count, at: time, victim: victim)
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
