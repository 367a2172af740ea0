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
        var pods: [NamespaceIdentity: Entry] = [:]
        /// The keys of `pods`, the oldest first.
        var order: [NamespaceIdentity] = []
        /// When each was last looked for among the processes; CLOCK_MONOTONIC, nanoseconds.
        var sought: [NamespaceIdentity: Int64] = [:]
        var version: UInt64 = 0
    }

    private struct Entry {
        /// Nil: several have it.
        var pod: Pod?
        /// By the runtime's own word, not by processes.
        var isSure: Bool
    }

    /// A pod by what it is called. Only its UID is known where its processes' cgroups alone tell of it.
    struct Pod: Equatable, Sendable {
        var uid: [UInt8]
        var names: PodNames?
    }

    private static let most = 16_384
    /// Containers that are kept until it begins.
    private static let mostWaiting = 1_024
    /// Nanoseconds after which a namespace is looked for again.
    private static let patience: Int64 = 1_000_000_000

    private let state = Mutex(State())
    private let proc: String
    /// Where the host's mounts may be seen, the best first.
    private let roots: [String]
    /// Of process 1, for the first of them, and of this one, for the others.
    private let hostMounts: Mutex<MountedNamespaces>
    private let ownMounts: Mutex<MountedNamespaces>

    init(hostRoot: String) {
        proc = NodeProc.path(hostRoot: hostRoot)
        // Those of process 1 are the host's, also where this process has others.
        roots = ["\(proc)/1/root", hostRoot] + (proc == "/proc" ? ["/"] : [])
        hostMounts = Mutex(MountedNamespaces(mountInfo: "\(proc)/1/mountinfo"))
        ownMounts = Mutex(MountedNamespaces(mountInfo: "/proc/self/mountinfo"))
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
        state.withLock { $0.pods[namespace]?.pod }
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
        // A process may have gone, and its id be another's; the sandbox's record has the mount.
        guard record.hasPod, !record.podUID.isEmpty, !record.netnsPath.isEmpty,
            !record.netnsPath.starts(with: "/proc/".utf8)
        else { return }
        let identify = state.withLock { state -> Identify? in
            if state.identify == nil, state.waiting.count < Self.mostWaiting { state.waiting.append(record) }
            return state.identify
        }
        guard let identify, let namespace = identity(mountedAt: record.netnsPath, identify) else { return }
        let names = PodNames(namespace: record.namespace, pod: record.pod)
        insert(Pod(uid: record.podUID, names: names), namespace, isSure: true)
    }

    private func identity(mountedAt path: [UInt8], _ identify: Identify) -> NamespaceIdentity? {
        let path = String(decoding: path, as: UTF8.self)
        let resolve = UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        for (number, root) in roots.enumerated() {
            // Any other path may lead to where an open() waits for a server.
            let point =
                number == 0
                ? hostMounts.withLock { $0.point(of: path) }
                : ownMounts.withLock { $0.point(of: path, below: root == "/" ? "" : root) }
            guard let point else { continue }
            let folder = open(root, linux_o_path | O_DIRECTORY | O_CLOEXEC)
            guard folder >= 0 else { continue }
            defer { close(folder) }
            let descriptor = linux_open_below(folder, point, linux_o_path, resolve)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            if let namespace = identify(descriptor) { return namespace }
        }
        return nil
    }

    private func insert(_ pod: Pod, _ namespace: NamespaceIdentity, isSure: Bool) {
        state.withLock { state in
            guard !state.hosts.contains(namespace) else { return }
            if let known = state.pods[namespace] {
                if known.pod == pod || (known.isSure && !isSure) { return }
                let isBetter =
                    isSure && !known.isSure || known.pod.map { $0.uid == pod.uid && $0.names == nil } ?? false
                state.pods[namespace] = Entry(pod: isBetter ? pod : nil, isSure: isSure)
            } else {
                if state.order.count == Self.most {
                    for oldest in state.order.prefix(Self.most / 8) { state.pods[oldest] = nil }
                    state.order.removeFirst(Self.most / 8)
                }
                state.pods[namespace] = Entry(pod: pod, isSure: isSure)
                state.order.append(namespace)
            }
            state.version += 1
        }
    }

    // MARK: By processes

    /// Looks through all processes for those in these namespaces.
    ///
    /// - Parameters:
    ///   - wanted: nil: all that are not known.
    ///   - meanwhile: is called after each process.
    ///   - podOf: the pod of a container, of which the cgroup's path has told.
    /// - Complexity: O(processes).
    func seek(_ wanted: Set<NamespaceIdentity>?, meanwhile: () -> Void, podOf: (CgroupOwner) -> Pod?) {
        let (identify, known) = state.withLock { ($0.identify, $0.hosts.union($0.pods.keys)) }
        guard let identify else { return }
        // Most are told by their inode alone.
        let wantedInodes = wanted.map { Set($0.map(\.inode)) }
        let knownInodes = Set(known.map(\.inode))
        func mayBeWanted(_ inode: UInt32) -> Bool {
            wantedInodes?.contains(inode) ?? !knownInodes.contains(inode)
        }
        // Nil: somebody in it is of no pod that is known, or of another one.
        var found: [NamespaceIdentity: Pod?] = [:]
        for name in NodeProc.processes(proc) {
            defer { meanwhile() }
            let process = "\(proc)/\(name)"
            var status = stat()
            guard stat("\(process)/ns/net", &status) == 0, mayBeWanted(UInt32(truncatingIfNeeded: status.st_ino)),
                let namespace = Self.identity("\(process)/ns/net", identify), wanted?.contains(namespace) ?? true
            else { continue }
            let pod = Self.container(ofProcess: process).flatMap(podOf)
            found[namespace] = found[namespace].map { $0 == pod ? pod : nil } ?? .some(pod)
        }
        for case (let namespace, let pod?) in found { insert(pod, namespace, isSure: false) }
    }

    /// The container of a process; nil for one of the host's.
    private static func container(ofProcess process: String) -> CgroupOwner? {
        var container: CgroupOwner?
        NodeProc.forEachCgroup(of: "\(process)/cgroup") { owner in
            guard !owner.containerID.isEmpty || !owner.podUID.isEmpty else { return true }
            container = owner
            return false
        }
        return container
    }

    /// Opened without reading: it may be anything.
    private static func identity(_ path: String, _ identify: Identify) -> NamespaceIdentity? {
        let descriptor = open(path, linux_o_path | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return identify(descriptor)
    }
}
