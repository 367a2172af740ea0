internal import CLinux

/// Goes through attributes in a row, where there are many messages: without a closure, and without an error to be passed.
/// Its bytes must outlive it.
struct AttributeCursor {
    private let bytes: UnsafeRawPointer
    private let end: Int
    private var next: Int
    /// Whether a length did not fit, or a number was asked for of another size.
    private(set) var isMalformed = false
    /// Of the attribute that it stands at, without the flags `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    private(set) var type: UInt16 = 0
    private var value = 0
    private var length = 0

    /// - Parameter offset: where the first attribute begins; not beyond the end.
    @inline(__always)
    init(_ bytes: UnsafeRawPointer, from offset: Int, to end: Int) {
        self.bytes = bytes
        next = offset
        self.end = end
    }

    /// To the next one.
    ///
    /// - Returns: false at the end, and where a length does not fit.
    @inline(__always)
    mutating func advance() -> Bool {
        let size = MemoryLayout<nlattr>.size
        guard next < end else { return false }
        guard end - next >= size else { return fail() }
        let header = bytes.loadUnaligned(fromByteOffset: next, as: nlattr.self)
        let total = Int(header.nla_len)
        guard total >= size, total <= end - next else { return fail() }
        type = header.nla_type & Netlink.attributeTypeMask
        value = next + size
        length = total - size
        next += Netlink.aligned(total)
        return true
    }

    private mutating func fail() -> Bool {
        isMalformed = true
        return false
    }

    /// Those inside the attribute.
    @inline(__always)
    var nested: AttributeCursor { AttributeCursor(bytes, from: value, to: value + length) }

    /// A number in network byte order; 0 where the value has another size.
    @inline(__always)
    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> Number {
        guard length == MemoryLayout<Number>.size else {
            isMalformed = true
            return 0
        }
        return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: value, as: type))
    }

    /// Sixteen bytes as two numbers in network byte order; zeros where the value has another size.
    @inline(__always)
    mutating func pair() -> (UInt64, UInt64) {
        guard length == 16 else {
            isMalformed = true
            return (0, 0)
        }
        return (
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: value, as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: value + 8, as: UInt64.self))
        )
    }

    /// Takes over what was found inside the attribute.
    @inline(__always)
    mutating func join(_ nested: AttributeCursor) {
        if nested.isMalformed { isMalformed = true }
    }
}
