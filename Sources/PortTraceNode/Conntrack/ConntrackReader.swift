public import PortTraceCore

/// Asks the kernel's conntrack tables about NAT clashes, on a thread of its own: it may have to look for a network
/// namespace, to enter it and to read a large table. The thread begins with the first question.
///
/// The kernel loads nf_conntrack_netlink by itself when it is asked first, where that is a module.
public final class ConntrackReader: NATClashReader {
    private let queue = ConntrackQueue()
    private let proc: String
    private var thread: WorkerThread?

    /// - Parameter hostRoot: Where the node's file system is seen.
    public init(hostRoot: String = "/") {
        proc = NodeProc.path(hostRoot: hostRoot)
    }

    deinit { close() }

    /// To be polled for reading: answers are there to be taken.
    public var descriptor: Int32 { queue.answered.descriptor }

    /// Asks, and does not wait. When 64 questions wait already, or there is no thread to be had, the answer is nil and
    /// there at once.
    public func ask(_ clash: NATClash) {
        guard start(), queue.ask(clash) else { return queue.answer(clash, nil) }
    }

    /// The answers since the last call, each with its question, in the order of the questions but for those that are
    /// there at once. nil evidence: the namespace was not found (it must have a process or a mount), its table cannot
    /// be read, or that took more than 10 s.
    ///
    /// Holders of one pair: 65,536 at most. The next question waits while there are as many in answers not taken.
    public func takeAnswers() -> [(NATClash, NATClashEvidence?)] {
        queue.takeAnswers().map { ($0.clash, $0.evidence) }
    }

    /// Ends the thread and waits for it, not longer than for the kernel's next message. What has not been answered by
    /// then never is.
    public func close() {
        queue.close()
        thread?.join()
        thread = nil
    }

    /// - Returns: Whether the thread runs.
    private func start() -> Bool {
        guard thread == nil, !queue.isClosed else { return thread != nil }
        thread = WorkerThread { [queue, proc] in ConntrackWorker(queue, proc: proc).run() }
        return thread != nil
    }
}
