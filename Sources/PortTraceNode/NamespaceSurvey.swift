internal import CLinux
internal import Glibc

/// By which way each network namespace of the node can be entered, at one moment: one pass over its processes and mounts.
struct NamespaceSurvey {
    /// `PROC_PID_INIT_INO` (linux/proc_ns.h): the initial pid namespace, which has the host's own numbers.
    private static let initialPIDs: UInt64 = 0xefff_fffc

    /// The first process in each namespace, by inode, as numbered below the procfs.
    private(set) var processes: [UInt32: UInt32] = [:]
    private var mounts: [UInt32: String] = [:]
    /// The inode of the namespace that the first process is in, which is the host's; nil where it cannot be read.
    let host: UInt32?
    /// Whether processes have the numbers that the host knows them by.
    let hasHostNumbers: Bool
    private let proc: String

    /// - Parameter proc: see ``NodeProc``.
    /// - Complexity: O(processes + mounts).
    init(proc: String) {
        self.proc = proc
        host = Self.inode("\(proc)/1/ns/net").map { UInt32(truncatingIfNeeded: $0) }
        // A procfs in which this process has a number, and that process is in the initial namespace, is the host's.
        hasHostNumbers = ["1", "self"].contains { Self.inode("\(proc)/\($0)/ns/pid") == Self.initialPIDs }
        for name in NodeProc.processes(proc) {
            guard let number = UInt32(name), let inode = Self.inode("\(proc)/\(name)/ns/net") else { continue }
            let namespace = UInt32(truncatingIfNeeded: inode)
            processes[namespace] = min(processes[namespace] ?? .max, number)
        }
        // Process 1 has the host's mounts where this process has a container's own.
        for process in ["/proc/self", "\(proc)/1"] {
            NodeProc.forEachLine(of: "\(process)/mountinfo") { line in
                if let mount = NamespaceMounts.mount(line: line), mounts[mount.inode] == nil {
                    mounts[mount.inode] = "\(process)/root\(mount.point)"
                }
                return true
            }
        }
    }

    private static func inode(_ path: String) -> UInt64? {
        var status = stat()
        return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// The inodes of all namespaces that can be entered.
    var namespaces: Set<UInt32> { Set(processes.keys).union(mounts.keys) }

    /// A file of the namespace; nil where neither a process nor a mount leads into it.
    func path(of namespace: UInt32) -> String? {
        processes[namespace].map { "\(proc)/\($0)/ns/net" } ?? mounts[namespace]
    }
}
