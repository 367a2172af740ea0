internal import CLinux
internal import Glibc
public import PortTraceCore

/// The thread that reads whole conntrack tables and the namespaces' counters. It has the priority of any other: with a lower
/// one a node that has more to do than CPUs, as in an incident, would keep the answer back for minutes. What it may cost,
/// ``TablePace`` bounds.
final class TableCensusWorker {
    /// Nanoseconds for one question; what has not been read by then is not visible.
    private static let patience: Int64 = 50_000_000_000
    private static let sysctls = "/proc/sys/net/netfilter"
    private static let ownNetstat = "/proc/thread-self/net/netstat"

    private let queue: TableCensusQueue
    private let proc: String
    private let namespaces: NetworkNamespaces
    private let ranges = NATRanges()
    private var survey: NamespaceSurvey
    private var deadline: Int64 = 0

    init(_ queue: TableCensusQueue, proc: String) {
        self.queue = queue
        self.proc = proc
        namespaces = NetworkNamespaces(proc: proc)
        survey = NamespaceSurvey(proc: proc)
    }

    /// Answers until the queue is closed.
    func run() {
        while let question = queue.next() {
            deadline = KernelClock.monotonicNow() + Self.patience
            var answer = TableCensusReader.Answer(begun: UInt64(KernelClock.monotonicNow()))
            let before = KernelClock.threadTime()
            survey = NamespaceSurvey(proc: proc)
            if question.wantsTables { read(tables(question, &answer), question.addresses, &answer) }
            if question.wantsCounters { readCounters(&answer) }
            answer.cost = UInt64(max(0, KernelClock.threadTime() - before))
            queue.answer(answer)
        }
    }

    private var isOver: Bool { KernelClock.monotonicNow() >= deadline || queue.isClosed }

    // MARK: Tables

    /// Those to be dumped, largest first.
    private func tables(
        _ question: TableCensusReader.Question, _ answer: inout TableCensusReader.Answer
    ) -> [UsedTable] {
        var tables = question.used?.tables ?? search(&answer)
        tables.sort { $0.entries > $1.entries }
        if let unlisted = question.used?.unlisted, unlisted > 0 {
            answer.notVisible.append(
                NotVisible(.conntrack, "\(unlisted) conntrack tables", why: "there are too many with entries"))
        }
        return tables
    }

    /// Looks at each namespace that can be entered. It cannot tell two that have had one inode.
    private func search(_ answer: inout TableCensusReader.Answer) -> [UsedTable] {
        var tables: [UsedTable] = []
        for inode in survey.namespaces {
            guard let path = survey.path(of: inode) else { continue }
            do throws(NetlinkError) {
                let entries = try namespaces.inside(inode, at: path) {
                    ProcFile.number("\(Self.sysctls)/nf_conntrack_count")
                }
                guard let entries, entries > 0 else { continue }
                tables.append(
                    UsedTable(
                        namespace: NamespaceIdentity(inode: inode, mix: 0), isHost: inode == survey.host,
                        entries: entries))
            } catch {
                // One that has gone meanwhile has no table.
                if error != .system(ENOENT) { answer.notVisible.append(Self.notVisible(inode, entries: nil, error)) }
            }
        }
        return tables
    }

    private func read(
        _ tables: [UsedTable], _ addresses: NodeAddresses, _ answer: inout TableCensusReader.Answer
    ) {
        for table in tables {
            let inode = table.namespace.inode
            do throws(NetlinkError) {
                guard let path = survey.path(of: inode) else { throw .system(ENOENT) }
                let census = try namespaces.inside(inode, at: path) { () throws(NetlinkError) -> TableCensus in
                    try self.census(of: table, addresses)
                }
                answer.tables.append(census)
            } catch {
                if error == .system(ENOENT) {
                    answer.unreached.append(table)
                } else {
                    answer.unread.append(table)
                    answer.notVisible.append(Self.notVisible(inode, entries: table.entries, error))
                }
            }
        }
        answer.tables.sort { $0.table.used > $1.table.used }
    }

    /// The census of the table of the namespace that the thread is in.
    private func census(of table: UsedTable, _ addresses: NodeAddresses) throws(NetlinkError) -> TableCensus {
        // 0: unlimited, up to v6.18.
        let limit = ProcFile.number("\(Self.sysctls)/nf_conntrack_max").flatMap { $0 == 0 ? nil : $0 }
        var census = TableCensus(
            namespace: table.namespace, isHost: table.isHost, time: UInt64(KernelClock.monotonicNow()), limit: limit)
        census.buckets = ProcFile.number("\(Self.sysctls)/nf_conntrack_buckets") ?? 0
        for timeout in ConntrackTimeout.allCases {
            census.timeouts[timeout] = ProcFile.number("\(Self.sysctls)/nf_conntrack_\(timeout.rawValue)")
        }
        let tally = TableTally(census, addresses: addresses, ranges: ranges)
        try ConntrackTable.ofThisThread().dump(into: tally, isOver: { isOver })
        let routes = try? RouteTable.ofThisThread()
        return tally.census { routes?.isNobodys($0) ?? false }
    }

    private static func notVisible(_ inode: UInt32, entries: UInt64?, _ error: NetlinkError) -> NotVisible {
        let size = entries.map { " (\($0) entries)" } ?? ""
        return NotVisible(.conntrack, "the conntrack table of netns \(inode)\(size)", why: error.words)
    }

    // MARK: Counters

    private func readCounters(_ answer: inout TableCensusReader.Answer) {
        for inode in survey.namespaces {
            guard let path = survey.path(of: inode) else { continue }
            var counters = NamespaceCounters(netnsID: inode)
            do throws(NetlinkError) {
                counters.total = try namespaces.inside(inode, at: path) {
                    () throws(NetlinkError) -> NamespaceCounters.Values in try self.ownCounters()
                }
            } catch {
                if error != .system(ENOENT) {
                    answer.notVisible.append(NotVisible(.other, "the counters of netns \(inode)", why: error.words))
                }
                continue
            }
            answer.counters.append(counters)
        }
    }

    /// Of the namespace that the thread is in.
    private func ownCounters() throws(NetlinkError) -> NamespaceCounters.Values {
        if isOver { throw .late }
        var values = NamespaceCounters.Values()
        values.timeWaitOverflow =
            ProcFile.counter(Self.ownNetstat, group: "TcpExt:", name: "TCPTimeWaitOverflow") ?? 0
        // To ask without conntrack would load it.
        guard access("\(Self.sysctls)/nf_conntrack_count", F_OK) == 0 else { return values }
        let statistics = try ConntrackTable.ofThisThread().statistics(isOver: { isOver })
        values.drop = statistics.drop
        values.insertFailed = statistics.insertFailed
        values.earlyDrop = statistics.earlyDrop
        return values
    }
}

extension UsedTable {
    /// That nothing leads into its namespace.
    public var notVisible: NotVisible {
        NotVisible(
            .conntrack, "the conntrack table of netns \(namespace.inode) (\(entries) entries)",
            why: "no process and no mount leads into the namespace")
    }
}

extension NetlinkError {
    /// Why a namespace or its table could not be read, for a person.
    fileprivate var words: String {
        switch self {
        case .system(EPERM), .system(EACCES): "no permission (CAP_NET_ADMIN and CAP_SYS_ADMIN are needed)"
        case .system(EPROTONOSUPPORT), .system(EOPNOTSUPP), .system(EINVAL):
            "this kernel has no nf_conntrack_netlink"
        case .system(let code): String(cString: strerror(code))
        case .malformed: "the kernel's answer was not understood"
        case .late: "it took too long"
        }
    }
}
