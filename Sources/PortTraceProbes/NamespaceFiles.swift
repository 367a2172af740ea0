internal import BPF
internal import CLinux
internal import Glibc
public import PortTraceCore

/// Tells network namespaces by their files: of /proc/PID/ns, or mounted as `ip netns` and container engines do.
public struct NamespaceFiles: Sendable {
    let program: Int32

    /// - Parameter descriptor: an open file.
    /// - Returns: nil where it is no network namespace's.
    public func identity(of descriptor: Int32) -> NamespaceIdentity? {
        var status = stat()
        guard fstat(descriptor, &status) == 0, let inode = UInt32(exactly: status.st_ino),
            let mix = try? Program.run(program, [UInt64(UInt32(bitPattern: descriptor))]), mix != 0
        else { return nil }
        return NamespaceIdentity(inode: inode, mix: mix)
    }
}
