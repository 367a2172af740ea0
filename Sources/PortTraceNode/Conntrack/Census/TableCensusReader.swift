public import PortTraceCore

/// Reads what fills the node's conntrack tables, and what the kernel has counted in its network namespaces, on a thread of
/// its own, which enters them. The thread begins with the first question.
///
/// The kernel loads nf_conntrack_netlink by itself when it is asked first, where that is a module; it is asked only where a
/// table has entries, or counters are wanted of a namespace in which conntrack is there.
public final class TableCensusReader {
    /// What is to be read.
    public struct Question: Sendable {
        /// Which tables have entries; nil: it is looked for in each namespace that has a process or a mount.
        public var used: UsedTables?
        public var addresses: NodeAddresses
        /// Whether to dump the tables.
        public var wantsTables = true
        /// Whether to read the counters of each namespace that has a process or a mount.
        public var wantsCounters = false

        public init(used: UsedTables?, addresses: NodeAddresses) {
            self.used = used
            self.addresses = addresses
        }
    }

    public struct Answer: Sendable {
        /// When the reading was begun: CLOCK_MONOTONIC, nanoseconds.
        public var begun: UInt64
        /// CPU time, the kernel's included; nanoseconds.
        public var cost: UInt64 = 0
        /// Those that could be read, largest first.
        public var tables: [TableCensus] = []
        /// `total` alone.
        public var counters: [NamespaceCounters] = []
        public var notVisible: [NotVisible] = []
        /// Tables in `notVisible` of which it is known how many entries they have.
        public var unread: [UsedTable] = []
        /// Tables of namespaces that nothing led into: they cannot be entered, or have gone meanwhile.
        public var unreached: [UsedTable] = []

        init(begun: UInt64) {
            self.begun = begun
        }
    }

    private let queue = TableCensusQueue()
    private let proc: String
    private var thread: WorkerThread?

    /// - Parameter hostRoot: Where the node's file system is seen.
    public init(hostRoot: String = "/") {
        proc = NodeProc.path(hostRoot: hostRoot)
    }

    deinit { close() }

    /// To be polled for reading: an answer is there to be taken.
    public var descriptor: Int32 { queue.answered.descriptor }

    /// Asks, and does not wait.
    ///
    /// - Returns: false where the question before it has no answer yet, or one that nobody has taken, or there is no
    ///   thread to be had.
    public func ask(_ question: Question) -> Bool { start() && queue.ask(question) }

    /// The answer, once; nil while there is none.
    ///
    /// - Parameter addresses: whose addresses are now: what is somebody's by now is not stale.
    public func takeAnswer(addresses: @autoclosure () -> NodeAddresses?) -> Answer? {
        guard var answer = queue.takeAnswer() else { return nil }
        guard answer.tables.contains(where: { !$0.stale.isEmpty }) else { return answer }
        let addresses = addresses()
        for index in answer.tables.indices {
            answer.tables[index].stale.removeAll { addresses?.isKnownToHaveNone($0.address) != true }
        }
        return answer
    }

    /// Ends the thread and waits for it, not longer than for the kernel's next message.
    public func close() {
        queue.close()
        thread?.join()
        thread = nil
    }

    /// - Returns: Whether the thread runs.
    private func start() -> Bool {
        guard thread == nil, !queue.isClosed else { return thread != nil }
        thread = WorkerThread { [queue, proc] in TableCensusWorker(queue, proc: proc).run() }
        return thread != nil
    }
}
