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

    /// The errno in words.
    public var reason: String { String(cString: strerror(code)) }

    public var description: String { "cannot \(operation) \(object): \(reason)" }
}
