internal import CLinux
internal import Glibc

/// The kernel's tracing file system: where tracepoints have their ids and kprobes are made.
struct TraceFS: Sendable {
    /// The first of these that is mounted, in libbpf's own order (src/libbpf.c, use_debugfs()), so that both see the
    /// same one.
    private static let paths = ["/sys/kernel/debug/tracing", "/sys/kernel/tracing"]

    let path: String

    /// Finds tracefs. Where it or debugfs is not mounted, mounts it in a mount namespace of this process's own, so that
    /// nobody else sees it; needs CAP_SYS_ADMIN for that.
    static func open() -> TraceFS? {
        let debugfs = access("/sys/kernel/debug/tracing", F_OK) == 0
        if !debugfs || mounted == nil, MountNamespace.enterPrivate() {
            if !debugfs { _ = mount("debugfs", "/sys/kernel/debug", "debugfs", 0, nil) }
            if mounted == nil { _ = mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, nil) }
        }
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
    /// Leaves the mount namespace for a copy: mounts made outside still come in, own ones below /sys stay inside.
    static func enterPrivate() -> Bool {
        guard linux_unshare_mounts() == 0 else { return false }
        // In a chroot the root is no mount.
        return ["/", "/sys"].contains { (path: String) in mount("none", path, nil, UInt(MS_REC | MS_SLAVE), nil) == 0 }
    }
}
