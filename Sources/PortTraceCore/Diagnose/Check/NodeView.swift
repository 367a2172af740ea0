/// A sample with what a verdict asks of it: which figures belong to a failure, and how fast something grows.
struct NodeView {
    let sample: NodeSample
    /// An owner's name, safe to print.
    let name: (HolderOwner) -> String
    private let namespaces: [UInt32: NamespaceCensus]
    private let namespacesBefore: [UInt32: NamespaceCensus]
    private let before: [Resource: Occupancy]
    /// Each table's later look, or the only one.
    private let tables: [TableCensus]

    init(_ sample: NodeSample, name: @escaping (HolderOwner) -> String) {
        self.sample = sample
        self.name = name
        namespaces = NodeView.byInode(sample.ports)
        namespacesBefore = NodeView.byInode(sample.portsBefore)
        var before: [Resource: Occupancy] = [:]
        for occupancy in sample.portsBefore?.occupancies ?? [] { before[occupancy.resource] = occupancy }
        for table in sample.tablesBefore {
            before[table.table.resource] = table.table
            for translation in table.translations { before[translation.resource] = translation }
        }
        self.before = before
        let again = Set(sample.tables.map(\.namespace.inode))
        tables = sample.tables + sample.tablesBefore.filter { !again.contains($0.namespace.inode) }
    }

    private static func byInode(_ census: PortCensus?) -> [UInt32: NamespaceCensus] {
        Dictionary((census?.namespaces ?? []).map { ($0.id.inode, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func namespace(_ resource: Resource) -> NamespaceCensus? { namespaces[resource.namespace.inode] }

    func namespaceBefore(_ resource: Resource) -> NamespaceCensus? { namespacesBefore[resource.namespace.inode] }

    /// The later look at the conntrack table of a namespace, else the earlier.
    func table(_ resource: Resource) -> TableCensus? {
        tables.first { $0.namespace.inode == resource.namespace.inode }
    }

    func tableBefore(_ resource: Resource) -> TableCensus? {
        sample.tablesBefore.first { $0.namespace.inode == resource.namespace.inode }
    }

    func counters(_ resource: Resource) -> NamespaceCounters? {
        sample.counters.first { $0.netnsID == resource.namespace.inode }
    }

    /// The host's own table, else the fullest.
    var mainTable: TableCensus? {
        tables.first { $0.isHost } ?? tables.max { $0.table.used < $1.table.used }
    }

    func isHost(_ resource: Resource) -> Bool {
        let unread = sample.unreadTables.first { $0.namespace.inode == resource.namespace.inode }
        return namespace(resource)?.isHost ?? table(resource)?.isHost ?? unread?.isHost ?? false
    }

    func place(of resource: Resource) -> SettingPlace {
        let inode = resource.namespace.inode
        return SettingPlace(
            netnsID: inode, isHost: isHost(resource), process: sample.facts.processes[inode],
            keeper: sample.facts.keepers[inode], seesProcesses: !sample.facts.processes.isEmpty,
            isInContainer: sample.facts.isInContainer)
    }

    /// Where nf_conntrack_max and the hash size are: the initial namespace, whichever table is full.
    var conntrackPlace: SettingPlace {
        SettingPlace(
            netnsID: 0, isHost: true, process: nil, keeper: nil, seesProcesses: false,
            isInContainer: sample.facts.isInContainer)
    }

    // MARK: Which figures

    /// All that had figures at the first look.
    var earlier: [Occupancy] { Array(before.values) }

    /// All that has figures: tables, ports, translations, TIME_WAIT sockets.
    var occupancies: [Occupancy] {
        var all = sample.ports?.occupancies ?? []
        let known = Set(all.lazy.filter { $0.resource.kind == .timeWait }.map(\.resource.namespace.inode))
        for namespace in sample.ports?.namespaces ?? [] where !known.contains(namespace.id.inode) {
            let resource = Resource(.timeWait, in: namespace.id, proto: TransportProtocol.tcp)
            let limit = namespace.timeWaitLimit == 0 ? nil : UInt64(namespace.timeWaitLimit)
            all.append(Occupancy(resource, used: UInt64(namespace.timeWait), limit: limit, holders: []))
        }
        for table in tables {
            all.append(table.table)
            all.append(contentsOf: table.translations)
        }
        for table in sample.unreadTables where !tables.contains(where: { $0.namespace.inode == table.namespace.inode })
        {
            // 0: unlimited.
            let limit = sample.facts.conntrackMax.flatMap { $0 == 0 ? nil : $0 }
            all.append(
                Occupancy(Resource(.conntrack, in: table.namespace), used: table.entries, limit: limit, holders: []))
        }
        return all
    }

    /// What of these kinds is nearest to its limit; nil: none has one.
    func fullest(_ kinds: [Resource.Kind]) -> Occupancy? {
        var fullest: Occupancy?
        var most = -1.0
        for occupancy in occupancies where kinds.contains(occupancy.resource.kind) {
            guard let limit = occupancy.limit, limit > 0 else { continue }
            let share = Double(occupancy.used) / Double(limit)
            if share > most { (fullest, most) = (occupancy, share) }
        }
        return fullest
    }

    /// The figures that belong to what was wanted, the fullest where several fit; nil: there are none.
    static func occupancy(of wanted: Resource, in all: [Occupancy]) -> Occupancy? {
        all.lazy.filter { fits($0.resource, wanted) }.max { $0.used < $1.used }
    }

    /// A failure may know its namespace's inode alone, and no source address; one that bind() refused has no destination.
    static func fits(_ resource: Resource, _ wanted: Resource) -> Bool {
        guard resource.kind == wanted.kind, resource.namespace.inode == wanted.namespace.inode,
            wanted.namespace.mix == 0 || resource.namespace.mix == 0 || wanted.namespace.mix == resource.namespace.mix
        else { return false }
        // A namespace has one conntrack table, and one limit for TIME_WAIT.
        if wanted.kind == .conntrack || wanted.kind == .timeWait { return true }
        return (wanted.proto == 0 || resource.proto == 0 || wanted.proto == resource.proto)
            && (wanted.source == nil || resource.source == nil || wanted.source == resource.source)
            && (wanted.destination == resource.destination || wanted.kind == .bindPorts)
    }

    // MARK: How fast

    /// How the use has grown from the first look to the second; nil: there were not two.
    func growth(of occupancy: Occupancy) -> Growth? {
        let resource = occupancy.resource
        switch resource.kind {
        case .ports, .bindPorts, .timeWait:
            guard let first = sample.portsBefore, let last = sample.ports, last.time > first.time else { return nil }
            let earlier = earlierUse(of: occupancy)
            return Growth(
                from: earlier, to: occupancy.used, passing: passingGrowth(of: occupancy, since: before[resource]),
                lifetime: 60, time: last.time - first.time)
        case .conntrack, .snat:
            guard let first = tableBefore(resource), let last = table(resource), last.time > first.time
            else { return nil }
            let lasting = last.lasting - first.lasting
            let all = Int64(last.table.used) - Int64(first.table.used)
            let earlier = earlierUse(of: occupancy)
            let growth = Int64(occupancy.used) - Int64(earlier)
            // Of one NAT address's mappings the states are not known: as in its whole table.
            let passing = resource.kind == .conntrack ? all - lasting : lasting * 2 > all ? 0 : growth
            return Growth(
                from: earlier, to: occupancy.used, passing: passing, lifetime: Double(last.lifetime(since: first)),
                time: last.time - first.time)
        }
    }

    /// What was used at the first look. What is not there may have been of too little use to be told: a twentieth at most.
    private func earlierUse(of occupancy: Occupancy) -> UInt64 {
        if let earlier = before[occupancy.resource] { return earlier.used }
        if occupancy.resource.kind == .timeWait, let namespace = namespaceBefore(occupancy.resource) {
            return UInt64(namespace.timeWait)
        }
        return min(occupancy.used, occupancy.limit.map { $0 / 20 } ?? occupancy.used)
    }

    /// What of the growth is TIME_WAIT, which passes.
    private func passingGrowth(of occupancy: Occupancy, since earlier: Occupancy?) -> Int64 {
        let growth = Int64(occupancy.used) - Int64(earlierUse(of: occupancy))
        switch occupancy.resource.kind {
        case .timeWait: return growth
        case .bindPorts where occupancy.resource.proto == TransportProtocol.udp: return 0
        default: break
        }
        if let timeWait = occupancy.timeWait { return Int64(timeWait) - Int64(earlier?.timeWait ?? 0) }
        let ofNamespace =
            Int64(namespace(occupancy.resource)?.timeWait ?? 0)
            - Int64(namespaceBefore(occupancy.resource)?.timeWait ?? 0)
        return min(max(growth, 0), max(ofNamespace, 0))
    }
}

extension TableCensus {
    /// Entries that stay until somebody ends them: TCP's established ones.
    fileprivate var lasting: Int64 { Int64(tcpStates[ConntrackTCPState.established] ?? 0) }

    /// Seconds for which the other entries that have come since an earlier look stay: the longest of their timeouts.
    fileprivate func lifetime(since earlier: TableCensus) -> UInt64 {
        func grows(_ count: (TableCensus) -> UInt64) -> Bool { count(self) > count(earlier) }
        // UDP flows of more than two packets, both ways.
        let areAssured = grows { $0.assured - min($0.assured, $0.tcpStates[ConntrackTCPState.established] ?? 0) }
        let kinds: [(grows: Bool, timeout: ConntrackTimeout)] = [
            (grows { $0.tcpStates[ConntrackTCPState.timeWait] ?? 0 }, .timeWait),
            (grows { $0.tcpStates[ConntrackTCPState.synSent] ?? 0 }, .synSent),
            (grows { $0.protocols[TransportProtocol.udp] ?? 0 }, areAssured ? .udpStream : .udp),
        ]
        return kinds.filter(\.grows).compactMap { timeouts[$0.timeout] }.max() ?? TableCensus.usualTimeWait
    }
}

/// `TCP_CONNTRACK_*` (include/uapi/linux/netfilter/nf_conntrack_tcp.h).
enum ConntrackTCPState {
    static let synSent: UInt8 = 1
    static let established: UInt8 = 3
    static let timeWait: UInt8 = 7
}
