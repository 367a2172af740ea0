internal import CLinux
internal import Glibc
public import PortTraceCore
internal import Synchronization

/// Which pod a network namespace belongs to: by the path that a container's runtime has written down, else by the
/// processes in it. The host's own, and one that several pods share, belongs to none.
public final class PodNamespaces: Sendable {
    /// What tells a namespace from all others, by an open file of it.
    public typealias Identify = @Sendable (_ descriptor: Int32) -> NamespaceIdentity?

    private struct State {
        var identify: Identify?
        var hosts: Set<NamespaceIdentity> = []
        /// What came before there was anybody to identify namespaces.
        var waiting: [ContainerRecord] = []
        /// Nil: several have it.
        var pods: [NamespaceIdentity: Pod?] = [:]
        /// The keys of `pods`, the oldest first.
        var order: [NamespaceIdentity] = []
        /// When each was last looked for among the processes; CLOCK_MONOTONIC, nanoseconds.
        var sought: [NamespaceIdentity: Int64] = [:]
        var version: UInt64 = 0
    }

    /// A pod by what it is called.
    struct Pod: Equatable, Sendable {
        var uid: [UInt8]
        var names: PodNames
    }

    private static let most = 16_384
    /// Nanoseconds after which a namespace is looked for again.
    private static let patience: Int64 = 1_000_000_000

    private let state = Mutex(State())
    /// The node's procfs.
    private let proc: String

    init(hostRoot: String) {
        let own = hostRoot == "/" ? "/proc" : "\(hostRoot)/proc"
        proc = access("\(own)/1/ns/net", F_OK) == 0 ? own : "/proc"
    }

    /// Begins, with what has come until now.
    public func begin(_ identify: @escaping Identify) {
        let hosts = ["\(proc)/1/ns/net", "/proc/self/ns/net"].compactMap { Self.identity($0, identify) }
        let waiting = state.withLock { state in
            (state.identify, state.hosts) = (identify, Set(hosts))
            defer { state.waiting = [] }
            return state.waiting
        }
        for record in waiting { note(record) }
    }

    /// Moves whenever more is known.
    var version: UInt64 { state.withLock { $0.version } }

    /// Constant time; nil where it is not known, or there is no one pod.
    func pod(of namespace: NamespaceIdentity) -> Pod? {
        state.withLock { $0.pods[namespace] ?? nil }
    }

    /// Whether to look for it among the processes: it is not known, nor the host's, nor was it looked for lately.
    func isToBeSought(_ namespace: NamespaceIdentity) -> Bool {
        let now = KernelClock.monotonicNow()
        return state.withLock { state in
            guard state.pods[namespace] == nil, !state.hosts.contains(namespace),
                now - (state.sought[namespace] ?? .min / 2) >= Self.patience
            else { return false }
            if state.sought.count >= Self.most { state.sought = [:] }
            state.sought[namespace] = now
            return true
        }
    }

    /// Takes a container that has appeared.
    func note(_ record: ContainerRecord) {
        guard record.hasPod, !record.podUID.isEmpty, !record.netnsPath.isEmpty else { return }
        let identify = state.withLock { state -> Identify? in
            if state.identify == nil, state.waiting.count < Self.most { state.waiting.append(record) }
            return state.identify
        }
        // The host's mounts are those of process 1, also where this process has others.
        let path = "\(proc)/1/root" + String(decoding: record.netnsPath, as: UTF8.self)
        guard let identify, let namespace = Self.identity(path, identify) else { return }
        let names = PodNames(namespace: record.namespace, pod: record.pod)
        insert(Pod(uid: record.podUID, names: names), namespace)
    }

    private func insert(_ pod: Pod, _ namespace: NamespaceIdentity) {
        state.withLock { state in
            guard !state.hosts.contains(namespace) else { return }
            if let known = state.pods[namespace] {
                guard let known, known.uid != pod.uid else { return }
                state.pods[namespace] = .some(nil)
            } else {
                if state.order.count == Self.most {
                    for oldest in state.order.prefix(Self.most / 8) { state.pods[oldest] = nil }
                    state.order.removeFirst(Self.most / 8)
                }
                state.pods[namespace] = pod
                state.order.append(namespace)
            }
            state.version += 1
        }
    }

    // MARK: By processes

    /// Looks through all processes for those in these namespaces.
    ///
    /// - Parameter podOf: the pod of a container, of which the cgroup's path has told.
    /// - Complexity: O(processes).
    func seek(_ wanted: Set<NamespaceIdentity>, podOf: (CgroupOwner) -> Pod?) {
        guard let identify = state.withLock({ $0.identify }), let folder = opendir(proc) else { return }
        defer { closedir(folder) }
        let inodes = Set(wanted.map { UInt64($0.inode) })
        // Nil: somebody in it is of no pod that is known, or of another one.
        var found: [NamespaceIdentity: Pod?] = [:]
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let process = "\(proc)/\(name)"
            var status = stat()
            guard let first = name.utf8.first, (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(first),
                stat("\(process)/ns/net", &status) == 0, inodes.contains(UInt64(status.st_ino)),
                let namespace = Self.identity("\(process)/ns/net", identify), wanted.contains(namespace),
                let owner = Self.container(ofProcess: process)
            else { continue }
            let pod = podOf(owner)
            found[namespace] = found[namespace].map { $0 == pod ? pod : nil } ?? .some(pod)
        }
        for case (let namespace, let pod?) in found { insert(pod, namespace) }
    }

    /// The container of a process; nil for one of the host's.
    private static func container(ofProcess process: String) -> CgroupOwner? {
        guard let file = fopen("\(process)/cgroup", "re") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while true {
            let count = getline(&line, &capacity, file)
            guard count > 0, let line else { return nil }
            // hierarchy:controllers:path, cgroups(7)
            let fields = UnsafeRawBufferPointer(start: line, count: count - 1)
                .split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let owner = CgroupOwner(path: Array(fields[2]))
            if !owner.containerID.isEmpty || !owner.podUID.isEmpty { return owner }
        }
    }

    /// Opened without reading: it may be anything.
    private static func identity(_ path: String, _ identify: Identify) -> NamespaceIdentity? {
        let descriptor = open(path, linux_o_path | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return identify(descriptor)
    }
}
