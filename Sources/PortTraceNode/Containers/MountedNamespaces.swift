internal import CLinux
internal import Glibc

/// The places where network namespaces are mounted, as a process sees them.
struct MountedNamespaces: ~Copyable {
    private let path: String
    /// Has priority data when the mounts have changed since it was asked last, proc_pid_mountinfo(5).
    private let file: Int32
    private var points: Set<String> = []

    init(mountInfo path: String) {
        self.path = path
        file = open(path, O_RDONLY | O_CLOEXEC)
        read()
    }

    deinit { if file >= 0 { close(file) } }

    /// The mount at a path that a runtime has written down; nil where there is none.
    ///
    /// Runtimes write /var/run for /run, to which it is a link.
    ///
    /// - Parameter root: Where the root is seen of which the path is, without a slash at its end.
    mutating func point(of path: String, below root: String = "") -> String? {
        let other = path.hasPrefix("/var/run/") ? String(path.dropFirst("/var".utf8.count)) : path
        let candidates = [path, other]
        if let point = candidates.first(where: { points.contains(root + $0) }) { return point }
        guard hasChanged() else { return nil }
        read()
        return candidates.first { points.contains(root + $0) }
    }

    private func hasChanged() -> Bool {
        var polled = pollfd(fd: file, events: Int16(POLLPRI), revents: 0)
        return poll(&polled, 1, 0) == 1 && polled.revents & Int16(POLLPRI) != 0
    }

    private mutating func read() {
        var found: Set<String> = []
        NodeProc.forEachLine(of: path) { line in
            if let mount = NamespaceMounts.mount(line: line) { found.insert(mount.point) }
            return true
        }
        points = found
    }
}
