internal import CLinux
internal import Glibc
public import PortTraceCore

/// What of the node itself a verdict and its fixes need, read from procfs and from pinned BPF maps.
public struct NodeFactsReader: Sendable {
    /// Names of processes as the kernel cuts them: 15 bytes.
    private enum Name {
        /// The last ones have kube-proxy in them: k3s and microk8s.
        static let kubeProxies = ["kube-proxy", "k3s-server", "k3s-agent", "kubelite"]
        static let cilium = "cilium-agent"
    }

    /// Where Cilium pins its connection tracking tables, and how their names begin (cilium_ct4_global, …).
    private static let pinned = "/sys/fs/bpf/tc/globals"
    private static let ciliumTable = "cilium_ct"

    private let hostRoot: String
    private let proc: String

    /// - Parameter hostRoot: Where the node's file system is seen.
    public init(hostRoot: String = "/") {
        self.hostRoot = hostRoot
        proc = NodeProc.path(hostRoot: hostRoot)
    }

    /// All facts but ``NodeFacts/driverLimits``, which wants two readings: see ``DriverLimits``.
    ///
    /// - Complexity: O(processes + mounts).
    public func read() -> NodeFacts {
        let survey = NamespaceSurvey(proc: proc)
        var facts = NodeFacts()
        facts.conntrackMax = ProcFile.number("\(proc)/sys/net/netfilter/nf_conntrack_max")
        facts.conntrackBuckets = ProcFile.number("\(proc)/sys/net/netfilter/nf_conntrack_buckets") ?? 0
        facts.memory = (ProcFile.number("\(proc)/meminfo", named: "MemTotal:") ?? 0) * 1_024
        facts.hasKubeProxy = Name.kubeProxies.contains { hosts($0, host: survey.host) }
        if hosts(Name.cilium, host: survey.host) || hasPinnedTables { facts.otherDataPath = "cilium" }
        facts.isInContainer = OwnContainer.isIn
        if survey.hasHostNumbers { facts.processes = survey.processes }
        for (namespace, process) in survey.processes where namespace != survey.host {
            facts.keepers[namespace] = OwnContainer.owner(ofCgroups: "\(proc)/\(process)/cgroup")
        }
        return facts
    }

    /// Whether `ip_local_reserved_ports` of a network namespace names any port; true also where it is not the calling
    /// thread's, and so is not known.
    public static func reservesPorts(inNamespace inode: UInt32) -> Bool {
        var status = stat()
        guard stat("/proc/thread-self/ns/net", &status) == 0, UInt64(status.st_ino) == UInt64(inode) else {
            return true
        }
        var isEmpty = false
        NodeProc.forEachLine(of: "/proc/sys/net/ipv4/ip_local_reserved_ports") { line in
            isEmpty = line.allSatisfy { $0 == UInt8(ascii: "\n") }
            return false
        }
        return !isEmpty
    }

    /// Whether a process of that name runs in the host's network namespace, where a pod's own name for itself counts only if
    /// the node lets it in.
    private func hosts(_ name: String, host: UInt32?) -> Bool {
        NodeProc.processes(proc).contains { process in
            guard ProcFile.isLine("\(proc)/\(process)/comm", name) else { return false }
            var status = stat()
            return stat("\(proc)/\(process)/ns/net", &status) == 0 && UInt32(truncatingIfNeeded: status.st_ino) == host
        }
    }

    private var hasPinnedTables: Bool {
        guard let folder = HostFolder(root: hostRoot)?.resolved(Self.pinned) else { return false }
        var found = false
        folder.forEachName { name in
            found = name.starts(with: Self.ciliumTable.utf8)
            return !found
        }
        return found
    }
}

/// Whether this process is in a container.
enum OwnContainer {
    /// `PROC_PID_INIT_INO` and `PROC_CGROUP_INIT_INO` (linux/proc_ns.h).
    private static let initial: [(kind: String, inode: UInt64)] = [("pid", 0xefff_fffc), ("cgroup", 0xefff_fffb)]

    static var isIn: Bool {
        let hasOther = initial.contains { kind, inode in
            var status = stat()
            return stat("/proc/self/ns/\(kind)", &status) == 0 && UInt64(status.st_ino) != inode
        }
        return hasOther || isInContainersCgroup("/proc/self/cgroup")
    }

    /// Whether a line of a file like /proc/PID/cgroup has a container's path.
    static func isInContainersCgroup(_ path: String) -> Bool { owner(ofCgroups: path)?.containerID.isEmpty == false }

    /// What the lines of a file like /proc/PID/cgroup say of the process' owner, a container before all else; nil where there
    /// are none.
    static func owner(ofCgroups path: String) -> CgroupOwner? {
        var owner: CgroupOwner?
        NodeProc.forEachCgroup(of: path) { found in
            if owner == nil || !found.containerID.isEmpty { owner = found }
            return found.containerID.isEmpty
        }
        return owner
    }
}
