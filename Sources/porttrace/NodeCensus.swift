import CLinux
import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// What holds this node's ports and conntrack entries, looked at when it is asked for, at the pace that its cost allows.
final class NodeCensus: CensusSource {
    /// A look at the ports takes at most this share of the time, one in so many.
    private static let portsShare: UInt64 = 50
    /// Nanoseconds between two looks at the ports at least.
    private static let nearest: UInt64 = 1_000_000_000

    /// Nanoseconds by which a refresh may come early, so that one a second finds a look due each time.
    private static let slack: UInt64 = 100_000_000

    private let session: ProbeSession
    private let names: NodeNames
    private let reader: TableCensusReader
    /// Whether somebody asks for a process: then an owner's are told apart.
    private let tellsProcesses: Bool
    private var pace = TablePace()
    private var nextPorts: UInt64 = 0
    private var isAsked = false
    private(set) var ports: PortCensus?
    private(set) var tables: [TableCensus] = []
    /// What the last reading of the tables could not see.
    private(set) var notVisible: [NotVisible] = []
    private(set) var counters: [NamespaceCounters] = []

    init(session: ProbeSession, names: NodeNames, hostRoot: String, filter: Filter) {
        self.session = session
        tellsProcesses = filter.asksForProcesses
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
            if UInt64(KernelClock.monotonicNow()) >= nextPorts { try? lookAtPorts() }
            return ports?.occupancy(
                resource.kind, netnsID: inode, proto: resource.proto, source: resource.source,
                destination: resource.destination)
        case .conntrack:
            askForTables()
            return table(inode)?.table
        case .snat:
            askForTables()
            return table(inode)?.translations.first {
                $0.resource.proto == resource.proto && $0.resource.source == resource.source
                    && $0.resource.destination == resource.destination
            }
        }
    }

    /// Looks at what is due, where it is due: ports now, tables on their own thread.
    func refresh() {
        if UInt64(KernelClock.monotonicNow()) + Self.slack >= nextPorts { try? lookAtPorts() }
        askForTables()
    }

    /// The tables that are in use, as full as they are now and held as the last reading has found it.
    var tableOccupancies: [Occupancy] {
        guard let used = session.conntrack?.usedTables() else { return tables.map(\.table) }
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

    private func table(_ inode: UInt32) -> TableCensus? { tables.first { $0.namespace.inode == inode } }

    // MARK: Ports

    /// Takes a census of the ports now.
    ///
    /// - Parameter processes: whether an owner's processes are told apart in any case.
    func lookAtPorts(processes: Bool = false) throws(ProbeError) {
        let begun = UInt64(KernelClock.monotonicNow())
        defer {
            let end = UInt64(KernelClock.monotonicNow())
            nextPorts = end + max(Self.nearest, (end - begun) * Self.portsShare)
        }
        ports = try session.ports?.take(processes: processes || tellsProcesses) { [names] namespace, _ in
            names.names(of: namespace) != nil
        }
    }

    // MARK: Tables

    /// Has the tables read if that is due; the answer comes later.
    private func askForTables() {
        let used = session.conntrack?.usedTables()
        let entries = used?.tables.reduce(0) { $0 + $1.entries } ?? 0
        let limit = UInt64(session.conntrack?.limit ?? 0)
        let largest = used?.tables.map(\.entries).max() ?? 0
        let fullest = limit == 0 ? 0 : largest * 1_000 / limit
        guard !isAsked, UInt64(KernelClock.monotonicNow()) >= pace.earliest(entries: entries, fullest: fullest) else {
            return
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
        tables = answer.tables
        let used = session.conntrack?.usedTables()?.tables.map(\.namespace)
        // One that is in no list any more has gone.
        notVisible =
            answer.notVisible + answer.unreached.filter { used?.contains($0.namespace) ?? true }.map(\.notVisible)
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
