/// Linux error numbers (asm-generic/errno.h, the same on x86-64 and arm64) and their names.
enum ErrorNumber {
    /// What connect() gives for both of its failures.
    static let addressNotAvailable: UInt16 = 99

    /// The name of an error number, nil for one that these hooks do not meet.
    static func name(of number: UInt16) -> StaticString? {
        switch number {
        case 1: "EPERM"
        case 4: "EINTR"
        case 11: "EAGAIN"
        case 12: "ENOMEM"
        case 13: "EACCES"
        case 14: "EFAULT"
        case 16: "EBUSY"
        case 22: "EINVAL"
        case 28: "ENOSPC"
        case 97: "EAFNOSUPPORT"
        case 98: "EADDRINUSE"
        case 99: "EADDRNOTAVAIL"
        case 101: "ENETUNREACH"
        case 105: "ENOBUFS"
        case 110: "ETIMEDOUT"
        case 111: "ECONNREFUSED"
        case 113: "EHOSTUNREACH"
        case 115: "EINPROGRESS"
        default: nil
        }
    }
}
