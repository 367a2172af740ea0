import CLinux
import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// What holds this node's ports and conntrack entries, looked at when it is asked for, at the pace that its cost allows.
final class NodeCensus: CensusSource {
    /// Nanoseconds by which a refresh may come early, so that one a second finds a look due each time.
    private static let slack: UInt64 = 100_000_000

    private let session: ProbeSession
    private let names: NodeNames
    private let reader: TableCensusReader
    /// Whether somebody asks for a process: then an owner's are told apart.
    private let tellsProcesses: Bool
    private var pace = TablePace()
    /// Of the last look at the ports: when it ended, and its CPU time; nanoseconds.
    private var portsEnd: UInt64 = 0
    private var portsCost: UInt64 = 0
    private var isAsked = false
    private(set) var ports: PortCensus?
    private(set) var tables: [TableCensus] = []
    /// When the last reading of the tables was begun; 0: there was none.
    private var tablesTime: UInt64 = 0
    /// Of the looks that ``takeLooks(at:)`` has given last.
    private var takenPorts: UInt64 = 0
    private var takenTables: UInt64 = 0
    /// What the last reading of the tables could not see.
    private(set) var notVisible: [NotVisible] = []
    /// Tables of these of which it is known how many entries they have.
    private(set) var unread: [UsedTable] = []
    /// Why the ports could not be looked at the last time that it was due; nil: they could.
    private(set) var portsRefusal: String?
    private(set) var counters: [NamespaceCounters] = []

    init(session: ProbeSession, names: NodeNames, hostRoot: String, tellsProcesses: Bool) {
        self.session = session
        self.tellsProcesses = tellsProcesses
        self.names = names
        reader = TableCensusReader(hostRoot: hostRoot)
    }

    /// To be polled for reading, with ``takeTables()`` to follow.
    var descriptor: Int32 { reader.descriptor }

    func close() { reader.close() }

    // MARK: CensusSource

    func occupancy(of resource: Resource) -> Occupancy? {
        let inode = resource.namespace.inode
        switch resource.kind {
        case .ports, .bindPorts, .timeWait:
            lookAtPorts(after: Pressure.watchedDelay(afterLookCosting: portsCost, urgency: 0), slack: 0)
            return ports?.occupancy(
                resource.kind, netnsID: inode, proto: resource.proto, source: resource.source,
                destination: resource.destination)
        case .conntrack:
            askForTables(urgency: 0)
            return table(inode)?.table
        case .snat:
            // It is asked for as it is spent.
            askForTables(urgency: 1_000)
            return table(inode)?.translations.first {
                $0.resource.proto == resource.proto && $0.resource.source == resource.source
                    && $0.resource.destination == resource.destination
            }
        }
    }

    /// Looks at what is due for a screen that somebody watches: ports now, tables on their own thread.
    func refresh(for node: TopNode) {
        askForTables(urgency: node.urgency { $0.kind == .snat })
        let urgency = node.urgency { !$0.kind.isOfTables }
        lookAtPorts(after: Pressure.watchedDelay(afterLookCosting: portsCost, urgency: urgency))
    }

    /// The same at the pace that the distance to the limits wants.
    func refresh(by pressure: borrowing Pressure) {
        askForTables(urgency: pressure.urgency { $0.kind == .snat })
        lookAtPorts(after: pressure.delay(afterLookCosting: portsCost) { !$0.kind.isOfTables })
    }

    /// What was found since the last call, each sort of look by itself.
    ///
    /// - Parameter time: now.
    func takeLooks(at time: UInt64) -> [CensusLook] {
        var looks: [CensusLook] = []
        if let ports, ports.time != takenPorts {
            takenPorts = ports.time
            var look = CensusLook(.ports, ports.occupancies, at: ports.time)
            look.isWhole = ports.isWhole
            looks.append(look)
        }
        let isNew = tablesTime != takenTables
        if let used = tableOccupancies ?? (isNew ? tables.map(\.table) : nil) {
            looks.append(CensusLook(.tables, used, at: time))
        }
        if isNew {
            takenTables = tablesTime
            var look = CensusLook(.translations, tables.flatMap(\.translations), at: tablesTime)
            let used = session.conntrack?.usedTables()?.tables.map(\.namespace) ?? []
            look.unread = Set(used).subtracting(tables.map(\.namespace))
            looks.append(look)
        }
        return looks
    }

    /// The tables that are in use, as full as they are now and held as the last reading has found it; nil: how full they are
    /// now is not known.
    private var tableOccupancies: [Occupancy]? {
        guard let used = session.conntrack?.usedTables() else { return nil }
        let limit = session.conntrack?.limit.map { UInt64($0) }
        return used.tables.map { table in
            guard var read = tables.first(where: { $0.namespace == table.namespace })?.table.aged(to: table.entries)
            else {
                return Occupancy(
                    Resource(.conntrack, in: table.namespace), used: table.entries, limit: limit, holders: [])
            }
            read.limit = limit ?? read.limit
            return read
        }
    }

    /// Whether a reading is under way that will tell who holds a table that is near its limit: of half of it or more that is
    /// not known yet.
    var isLearningHolders: Bool {
        guard isAsked, let used = session.conntrack?.usedTables(), let limit = session.conntrack?.limit else {
            return false
        }
        return used.tables.contains { table in
            let known = tables.first { $0.namespace == table.namespace }?.table.used ?? 0
            return table.entries * 2 >= UInt64(limit) && known <= table.entries / 2
        }
    }

    private func table(_ inode: UInt32) -> TableCensus? { tables.first { $0.namespace.inode == inode } }

    // MARK: Ports

    /// Takes a census of the ports now.
    func lookAtPorts() throws(ProbeError) {
        let before = KernelClock.threadTime()
        defer {
            portsEnd = UInt64(KernelClock.monotonicNow())
            portsCost = UInt64(max(0, KernelClock.threadTime() - before))
        }
        ports = try session.ports?.take(processes: tellsProcesses) { [names] namespace, _ in
            names.names(of: namespace) != nil
        }
    }

    /// The same if the last one was so long ago, in nanoseconds. Where it fails ``portsRefusal`` says why.
    private func lookAtPorts(after pause: UInt64, slack: UInt64 = NodeCensus.slack) {
        guard portsEnd == 0 || UInt64(KernelClock.monotonicNow()) + slack >= portsEnd + pause else { return }
        do throws(ProbeError) {
            try lookAtPorts()
            portsRefusal = session.ports == nil ? "the kernel refuses the programs that look at them" : nil
        } catch {
            portsRefusal = error.message
        }
    }

    // MARK: Tables

    /// Has the tables read if that is due and there is anything to read; the answer comes later.
    ///
    /// - Parameter urgency: thousandths of its limit that something in them has reached, as far as is known beside their sizes.
    private func askForTables(urgency: UInt64) {
        let used = session.conntrack?.usedTables()
        if let used, used.tables.isEmpty, tables.isEmpty { return }
        let entries = used?.tables.reduce(0) { $0 + $1.entries } ?? 0
        let limit = UInt64(session.conntrack?.limit ?? 0)
        let largest = used?.tables.map(\.entries).max() ?? 0
        let fullest = max(urgency, limit == 0 ? 0 : largest * 1_000 / limit)
        let earliest = pace.earliest(entries: entries, fullest: fullest)
        let now = UInt64(KernelClock.monotonicNow())
        guard !isAsked, now >= earliest else { return }
        // Whose the host's own entries are its sockets tell.
        if fullest >= 500, tables.contains(where: { !$0.ownConnections.isEmpty }) {
            lookAtPorts(after: Pressure.watchedDelay(afterLookCosting: portsCost, urgency: 0), slack: 0)
        }
        _ = ask(counters: false)
    }

    /// Has the tables, and the counters of all namespaces, read now.
    ///
    /// - Returns: false where there is no thread for it.
    func ask(counters: Bool) -> Bool {
        var question = TableCensusReader.Question(
            used: session.conntrack?.usedTables(),
            addresses: (try? session.conntrack?.addresses()) ?? NodeAddresses(isComplete: false))
        question.wantsCounters = counters
        isAsked = reader.ask(question)
        return isAsked
    }

    /// Takes the answer, where there is one.
    ///
    /// - Returns: whether there was.
    @discardableResult
    func takeTables() -> Bool {
        guard let answer = reader.takeAnswer(addresses: try? session.conntrack?.addresses()) else { return false }
        isAsked = false
        pace.note(begun: answer.begun, cost: answer.cost, entries: answer.tables.reduce(0) { $0 + $1.table.used })
        tables = ports.map { ports in answer.tables.map { $0.naming(ports) } } ?? answer.tables
        tablesTime = answer.begun
        let used = session.conntrack?.usedTables()?.tables.map(\.namespace)
        // One that is in no list any more has gone.
        let unreached = answer.unreached.filter { used?.contains($0.namespace) ?? true }
        notVisible = answer.notVisible + unreached.map(\.notVisible)
        unread = answer.unread + unreached
        counters = answer.counters
        return true
    }

    /// Waits for the answer.
    ///
    /// - Returns: false where it has not come in time, or `isStopped` has said so.
    func awaitTables(milliseconds: Int32, isStopped: () -> Bool) -> Bool {
        let end = KernelClock.monotonicNow() + Int64(milliseconds) * 1_000_000
        while isAsked {
            let left = end - KernelClock.monotonicNow()
            var polled = pollfd(fd: reader.descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, !isStopped(), poll(&polled, 1, min(Int32(left / 1_000_000) + 1, Self.slice)) >= 0 else {
                return false
            }
            takeTables()
        }
        return true
    }

    /// Milliseconds after which somebody who waits looks whether to stop.
    private static let slice: Int32 = 100
}

/// What one look at the node has found.
struct CensusLook {
    /// What a look finds: resources of sockets, tables, or what is translated in them.
    enum Sort {
        case ports
        case tables
        case translations
    }

    let sort: Sort
    let occupancies: [Occupancy]
    /// When it was begun: CLOCK_MONOTONIC, nanoseconds.
    let time: UInt64
    /// Whether it went over all there is: what is not found in a part may be there all the same.
    var isWhole = true
    /// Whose tables are in use and could not be read this time: of their translations nothing is known.
    var unread: Set<NamespaceIdentity> = []

    init(_ sort: Sort, _ occupancies: [Occupancy], at time: UInt64) {
        self.sort = sort
        self.occupancies = occupancies
        self.time = time
    }

    /// Whether it would have found a resource.
    func covers(_ resource: Resource) -> Bool {
        switch sort {
        case .ports: isWhole && !resource.kind.isOfTables
        case .tables: resource.kind == .conntrack
        case .translations: resource.kind == .snat && !unread.contains(resource.namespace)
        }
    }
}

extension Resource.Kind {
    /// Whether it is found in conntrack tables, not among sockets.
    fileprivate var isOfTables: Bool { self == .conntrack || self == .snat }
}
