@testable import PortTraceCore

/// A node as `porttrace check` would have sampled it: healthy and quiet, until a test makes it otherwise.
struct StagedNode {
    static let second: UInt64 = 1_000_000_000
    static let host = NamespaceIdentity(inode: 4_026_531_840, mix: 1)
    static let pod = NamespaceIdentity(inode: 4_026_532_345, mix: 2)
    static let source = IPAddress(ipv4: 0x0a14_0102)
    static let server = Endpoint(address: IPAddress(ipv4: 0x0a14_000a), port: 8080)
    static let nameServer = Endpoint(address: IPAddress(ipv4: 0x0a60_000a), port: 53)
    static let nat = IPAddress(ipv4: 0xc000_0201)
    static let (hog, victim) = (owner(1, 4711, "nginx"), owner(2, 99, "worker"))

    static func owner(_ cgroup: UInt64, _ pid: UInt32, _ comm: String) -> HolderOwner {
        HolderOwner(cgroupID: cgroup, process: HoldingProcess(pid: pid, comm: Comm(comm.utf8)))
    }

    static let ports = Resource(.ports, in: pod, proto: 6, source: source, destination: server)
    static let bindPorts = Resource(.bindPorts, in: pod, proto: 6)
    static let table = Resource(.conntrack, in: host)
    static let snat = Resource(.snat, in: host, proto: 6, source: nat, destination: server)
    static let timeWait = Resource(.timeWait, in: pod, proto: 6)

    var sample: NodeSample

    init() {
        var facts = NodeFacts()
        facts.conntrackMax = 262_144
        facts.conntrackBuckets = 262_144
        facts.memory = 16 << 30
        facts.hostReservesPorts = false
        let path = "/kubepods.slice/kubepods-pod00000000_0000_0000_0000_000000000007.slice"
        facts.keepers = [StagedNode.pod.inode: CgroupOwner(path: Array(path.utf8))]
        facts.processes = [StagedNode.host.inode: 1, StagedNode.pod.inode: 4711]
        sample = NodeSample(duration: 5 * StagedNode.second, facts: facts)
        var host = NamespaceCensus(
            id: StagedNode.host, isHost: true, portRange: PortRange(low: 32_768, high: 60_999))
        host.timeWaitLimit = 131_072
        host.timeWaitReuse = 2
        host.timestamps = 1
        var pod = host
        pod.id = StagedNode.pod
        pod.isHost = false
        sample.portsBefore = PortCensus(time: StagedNode.second, namespaces: [host, pod])
        sample.ports = PortCensus(time: 6 * StagedNode.second, namespaces: [host, pod])
        var table = TableCensus(
            namespace: StagedNode.host, isHost: true, time: StagedNode.second, limit: 262_144)
        table.buckets = 262_144
        table.timeouts = [.established: 432_000, .timeWait: 120, .synSent: 120, .udp: 30, .udpStream: 120]
        table.table.used = 1_000
        table.protocols = [6: 800, 17: 200]
        table.tcpStates = [3: 300, 7: 100]
        sample.tablesBefore = [table]
        table.time = 6 * StagedNode.second
        sample.tables = [table]
    }

    func with(_ change: (inout StagedNode) -> Void) -> StagedNode {
        var changed = self
        change(&changed)
        return changed
    }

    /// Changes the pod's namespace, in both looks.
    mutating func setPod(_ change: (inout NamespaceCensus) -> Void) {
        change(&sample.ports!.namespaces[1])
        change(&sample.portsBefore!.namespaces[1])
    }

    /// Uses a resource of sockets so far, now and before.
    mutating func use(
        _ resource: Resource, _ used: UInt64, of limit: UInt64?, before: UInt64? = nil, timeWait: UInt64? = nil,
        timeWaitBefore: UInt64? = nil, holders: [Holder]? = nil
    ) {
        let holders = holders ?? [Holder(StagedNode.hog, count: used * 9 / 10)]
        sample.ports!.occupancies.append(
            Occupancy(resource, used: used, limit: limit, holders: holders, timeWait: timeWait))
        sample.portsBefore!.occupancies.append(
            Occupancy(
                resource, used: before ?? used, limit: limit, holders: holders, timeWait: timeWaitBefore ?? timeWait))
    }

    /// Fills the host's table so far: TCP by state, and UDP.
    mutating func fillTable(_ tcp: [UInt8: UInt64], udp: UInt64 = 0, of limit: UInt64, before: [UInt8: UInt64]? = nil) {
        func fill(_ table: inout TableCensus, _ tcp: [UInt8: UInt64]) {
            let all = tcp.values.reduce(0, +)
            table.tcpStates = tcp
            table.protocols = [6: all, 17: udp]
            table.table.used = all + udp
            table.table.limit = limit
            table.table.holders = [Holder(StagedNode.hog, count: (all + udp) * 9 / 10)]
        }
        fill(&sample.tables[0], tcp)
        fill(&sample.tablesBefore[0], before ?? tcp)
        sample.facts.conntrackMax = limit
    }

    mutating func fail(
        _ type: EventType, _ cause: Cause?, _ resource: Resource, _ count: UInt64, dns: UInt64 = 0,
        portRange: PortRange? = nil
    ) {
        var tally = FailureTally(type: type, cause: cause, resource: resource, count: count)
        tally.victims = [Holder(StagedNode.victim, count: count)]
        tally.dns = dns
        tally.portRange = portRange
        sample.failures.append(tally)
    }

    var diagnosis: NodeDiagnosis { NodeDiagnosis(sample, name: StagedNode.name) }

    static func name(_ owner: HolderOwner) -> String {
        switch owner.cgroupID {
        case 1: "shop/checkout/web nginx[4711]"
        case 2: "shop/worker/app worker[99]"
        default: "-"
        }
    }
}

// MARK: Nodes in trouble

extension StagedNode {
    /// 234 ports, all taken by a neighbour of the victim.
    static let portsExhausted = StagedNode().with {
        $0.setPod { $0.portRange = PortRange(low: 32_768, high: 33_001) }
        $0.use(ports, 234, of: 234, timeWait: 10)
        $0.fail(.connectExhausted, .portRange, ports, 27)
    }

    /// Sockets that may use ten ports of their own.
    static let ownRange = StagedNode().with {
        $0.use(ports, 30, of: 28_232, timeWait: 30)
        $0.fail(.connectExhausted, .portRange, ports, 3, portRange: PortRange(low: 40_000, high: 40_009))
    }

    /// Ports that only the look at the failure has met.
    static let burst = portsExhausted.with {
        $0.sample.failures[0].occupancy = $0.sample.ports!.occupancies.removeLast()
        $0.sample.portsBefore!.occupancies.removeLast()
    }

    /// The host's table, of which the size alone is known.
    static func unreadTable(_ entries: UInt64) -> StagedNode {
        StagedNode().with {
            $0.sample.tables = []
            $0.sample.tablesBefore = []
            $0.sample.facts.conntrackMax = 100_000
            $0.sample.unreadTables = [UsedTable(namespace: host, isHost: true, entries: entries)]
            $0.sample.notVisible = [
                NotVisible(.conntrack, "the conntrack table of netns \(host.inode)", why: "no netlink")
            ]
        }
    }

    static let bindExhausted = StagedNode().with {
        $0.setPod { $0.portRange = PortRange(low: 32_768, high: 33_001) }
        $0.use(bindPorts, 234, of: 234)
        $0.fail(.bindExhausted, .portRange, bindPorts, 12)
    }

    static let tupleTaken = StagedNode().with {
        $0.use(ports, 3, of: 28_232, timeWait: 1)
        $0.fail(.connectConflict, .tupleTaken, ports, 4)
        $0.sample.failures[0].sourcePort = 30_001
    }

    static let tableFilling = StagedNode().with { $0.fillTable([3: 85_000], of: 100_000) }

    static let tableFull = StagedNode().with {
        $0.fillTable([3: 90_000, 7: 10_000], of: 100_000)
        $0.sample.tables[0].assured = 99_000
        $0.fail(.conntrackTableFull, .tableFull, table, 500)
    }

    static let evicting = StagedNode().with {
        $0.fillTable([1: 60_000, 3: 40_000], of: 100_000)
        $0.fail(.conntrackEvicted, .tableFull, table, 700)
    }

    static let snatSpent = StagedNode().with {
        let mappings = Occupancy(snat, used: 10, limit: 10, holders: [Holder(hog, count: 9)])
        $0.sample.tables[0].translations = [mappings]
        $0.sample.tables[0].translated = 10
        $0.fail(.snatExhausted, .natPorts, snat, 20)
    }

    static let timeWaitOverflow = StagedNode().with {
        $0.setPod {
            $0.timeWait = 50
            $0.timeWaitLimit = 50
        }
        $0.fail(.connectExhausted, nil, timeWait, 150)
    }

    static let dnsRace = StagedNode().with {
        $0.sample.tables[0].translated = 900
        $0.fail(.conntrackInsertFailed, .race, table, 40, dns: 38)
        $0.sample.failures[0].untranslated = 40
    }

    /// Pods that ask from one port in the same moment, behind one NAT address.
    static let natRace = dnsRace.with {
        $0.sample.failures[0].untranslated = 0
        $0.sample.failures[0].translated = 40
        $0.sample.failures[0].mapping = Resource(.snat, in: host, proto: 17, source: nat, destination: nameServer)
    }

    static let chainTooLong = StagedNode().with {
        $0.fillTable([3: 90_000], of: 262_144)
        $0.sample.tables[0].buckets = 1_024
        $0.sample.facts.conntrackBuckets = 1_024
        $0.fail(.conntrackInsertFailed, .chainTooLong, table, 40)
    }

    static let several = StagedNode().with {
        $0.fillTable([3: 100_000], of: 100_000)
        $0.fail(.conntrackTableFull, .tableFull, table, 10)
        $0.use(ports, 28_232, of: 28_232, timeWait: 28_000)
        $0.fail(.connectExhausted, .portRange, ports, 900)
        $0.use(bindPorts, 26_000, of: 28_232)
        $0.setPod { $0.boundPorts = 20_000 }
    }

    /// All of them, by name.
    static let inTrouble: [(name: String, node: StagedNode)] = [
        ("ports", portsExhausted), ("bind", bindExhausted), ("tuple", tupleTaken), ("filling", tableFilling),
        ("full", tableFull), ("evicting", evicting), ("SNAT", snatSpent), ("TIME_WAIT", timeWaitOverflow),
        ("DNS", dnsRace), ("NAT race", natRace), ("chains", chainTooLong), ("several", several),
    ]
}
