internal import CLinux
internal import Glibc

/// The kernel's tracing file system: where tracepoints have their ids and kprobes are made.
struct TraceFS: Sendable {
    /// The first of these that is mounted, in libbpf's own order (src/libbpf.c, use_debugfs()), so that both see the
    /// same one.
    private static let paths = ["/sys/kernel/debug/tracing", "/sys/kernel/tracing"]

    let path: String

    /// Finds tracefs. Where it is not mounted, mounts it in a mount namespace of this process's own, so that
    /// nobody else sees it; to be called before the process has threads. Needs CAP_SYS_ADMIN for that.
    static func open() -> TraceFS? {
        if let mounted = mounted { return mounted }
        guard MountNamespace.enterPrivate() else { return nil }
        _ = mount("debugfs", "/sys/kernel/debug", "debugfs", 0, nil)
        _ = mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, nil)
        return mounted
    }

    private static var mounted: TraceFS? {
        paths.first { access("\($0)/events", F_OK) == 0 }.map { TraceFS(path: $0) }
    }

    /// Whether there is such an event, `GROUP/NAME`.
    func event(_ name: String) -> KernelFeatures.Outcome {
        TextFile.read("\(path)/events/\(name)/id") != nil ? .works : .refused("no tracepoint \(name)")
    }
}

private enum MountNamespace {
    /// Leaves the mount namespace for a copy: mounts made outside still come in, own ones stay inside.
    static func enterPrivate() -> Bool {
        unshare(CLONE_NEWNS) == 0 && mount("none", "/", nil, UInt(MS_REC | MS_SLAVE), nil) == 0
    }
}
