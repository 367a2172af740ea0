internal import CLinux
internal import Glibc
public import PortTraceCore

/// Names of the node's containers and pods, from what runtimes and the kubelet keep on disk. A thread reads them when
/// they appear, and keeps them for ten minutes after they have gone; looking them up here never waits for a disk.
public final class ContainerWatch {
    /// jansson recurses, up to ``JSONText/deepest`` levels.
    private static let stackBytes = 1 << 20

    /// Which pod a network namespace belongs to; to be begun once there is somebody to identify them.
    public let namespaces: PodNamespaces
    private let queue = ContainerQueue()
    private let hostRoot: String
    private var thread: WorkerThread?
    private var sought = SoughtOwners()

    /// - Parameter hostRoot: Where the node's file system is seen, `/` for a process on the node itself.
    public init(hostRoot: String = "/") {
        self.hostRoot = hostRoot
        namespaces = PodNamespaces(hostRoot: hostRoot)
    }

    deinit { close() }

    /// To be polled for reading: names have come, or an answer. ``takeNews()`` makes it unreadable again.
    public var descriptor: Int32 { queue.news }

    /// Begins with a pass over all containers that are there.
    ///
    /// - Returns: Whether it runs; not where there is no such folder, or no thread to be had.
    @discardableResult
    public func start() -> Bool {
        guard thread == nil, !queue.isClosed, HostFolder(root: hostRoot) != nil else { return thread != nil }
        thread = WorkerThread(stackBytes: Self.stackBytes) { [queue, hostRoot, namespaces] in
            guard let root = HostFolder(root: hostRoot) else { return queue.notePassed() }
            ContainerWorker(queue, namespaces, root: root).run()
        }
        return thread != nil
    }

    /// Waits for the end of the first pass.
    ///
    /// - Returns: Whether it has ended.
    public func awaitFirstPass(milliseconds: Int32) -> Bool {
        var polled = pollfd(fd: queue.passed, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, milliseconds) == 1
    }

    public func takeNews() { queue.takeNews() }

    /// Has a container looked for that is not known, and its pod, or a pod alone. Does not wait: when that is done,
    /// found or not, ``descriptor`` is readable.
    ///
    /// - Parameters:
    ///   - id: 64 hexadecimal digits in lower case, nothing else is looked for; nil: only the pod.
    ///   - podUID: as the API has it, with `-`; empty where it is not known.
    /// - Returns: Whether it will be looked for: not while 1,024 wait already, nor again within a second, then two, then
    ///   four, up to a minute.
    @discardableResult
    public func look(for id: [UInt8]?, podUID: [UInt8] = []) -> Bool {
        let container = id.flatMap { ContainerID($0) }
        guard podUID.isName(NameLimit.podUID), container != nil || !podUID.isEmpty,
            sought.mayAsk(SoughtOwner(id: container, podUID: podUID), at: KernelClock.monotonicNow())
        else { return false }
        return queue.ask(ContainerQueue.Question(id: container, podUID: podUID))
    }

    /// Constant time; nil where it is not known, or went more than ten minutes ago.
    public func record(ofContainer id: [UInt8]) -> ContainerRecord? {
        guard let id = ContainerID(id) else { return nil }
        return queue.withCache { $0.record(id) }
    }

    /// Constant time; from any of the pod's containers or its log directory.
    public func pod(ofUID uid: [UInt8]) -> PodNames? {
        queue.withCache { $0.pod(uid) }
    }

    /// Moves whenever more may be known than before.
    public var version: UInt64 { queue.version &+ namespaces.version }

    /// The pod that a network namespace belongs to, its UID and names; nil where there is no one pod, or it is not known
    /// yet: then it is looked for, once a second at most. Names that are not known are looked for as ``look(for:podUID:)``
    /// does.
    public func pod(of namespace: NamespaceIdentity) -> (uid: [UInt8], names: PodNames?)? {
        guard let pod = namespaces.pod(of: namespace) else {
            if namespaces.isToBeSought(namespace) { queue.ask(namespace) }
            return nil
        }
        if let names = pod.names ?? self.pod(ofUID: pod.uid) { return (pod.uid, names) }
        look(for: nil, podUID: pod.uid)
        return (pod.uid, nil)
    }

    /// Which source has told of which containers since the last call; nil: none.
    public func takeArrivals() -> String? { queue.withCache { $0.takeArrivals() }.text }

    /// What has hindered the reading since the last call; each thing is told once.
    public func takeProblems() -> [String] { queue.takeProblems() }

    /// The containers that are there now, in no order; ``takeArrivals()`` tells of what comes after that.
    ///
    /// - Complexity: O(containers).
    public func takePresentRecords() -> [ContainerRecord] {
        queue.withCache { cache in
            _ = cache.takeArrivals()
            return cache.present
        }
    }

    /// Entries that are kept, containers and pods, and about how many bytes they take.
    public var size: (entries: Int, bytes: Int) { queue.withCache { ($0.entryCount, $0.byteCount) } }

    /// Ends the thread and waits for it: not longer than for one file. Names stay.
    public func close() {
        queue.close()
        thread?.join()
        thread = nil
    }
}
