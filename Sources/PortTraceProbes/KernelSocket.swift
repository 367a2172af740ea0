internal import BPF
internal import Glibc

/// A socket of one's own, through which a program finds what the kernel has for all of its kind.
enum KernelSocket {
    /// An IPv4 socket, bound to nothing.
    ///
    /// - Throws: ``BPFError`` where there may be none, as under a filter of system calls.
    static func open(_ type: __socket_type) throws(BPFError) -> Descriptor {
        let number = socket(AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw BPFError("open", "an IPv4 socket", code: errno) }
        return Descriptor(number)
    }
}
