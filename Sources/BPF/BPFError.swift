internal import CLibbpf
internal import Glibc

/// A call into libbpf or the kernel's bpf() that failed.
public struct BPFError: Error, Sendable, CustomStringConvertible {
    /// What was tried, in a few words: `load`, `attach`.
    public var operation: String

    /// What it was tried on: an object's, program's or map's name.
    public var object: String

    /// The positive errno.
    public var code: Int32

    public init(_ operation: String, _ object: String, code: Int32) {
        self.operation = operation
        self.object = object
        self.code = code
    }

    /// The failure that errno describes now; to be made right after the call.
    init(_ operation: String, _ object: String) {
        self.init(operation, object, code: errno)
    }

    /// The errno, or libbpf's own number, in words.
    public var reason: String {
        // libbpf's begin at 4000 (enum libbpf_errno, bpf/libbpf.h).
        guard code >= 4000 else { return String(cString: strerror(code)) }
        var words = [CChar](repeating: 0, count: 128)
        libbpf_strerror(code, &words, words.count)
        return String(decoding: words.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    public var description: String { "cannot \(operation) \(object): \(reason)" }
}
