/// A process name: up to 16 bytes of any value but NUL, which ends it.
public struct Comm: Hashable, Sendable {
    // The bytes in memory order as little-endian words, zero from the first NUL on.
    private var first: UInt64
    private var second: UInt64

    /// Numbers that are the same for the same name alone.
    var words: [UInt64] { [first, second] }

    /// The name in a record's sixteen bytes, given as two little-endian words.
    init(littleEndian first: UInt64, _ second: UInt64) {
        if let end = Comm.endOfText(first) {
            self.first = first & Comm.mask(bytes: end)
            self.second = 0
        } else {
            self.first = first
            self.second = Comm.endOfText(second).map { second & Comm.mask(bytes: $0) } ?? second
        }
    }

    /// A name from bytes; what comes after a NUL or the sixteenth is left out.
    public init(_ bytes: some Sequence<UInt8>) {
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in bytes.prefix(16).enumerated() {
            if index < 8 {
                words.0 |= UInt64(byte) << UInt64(8 * index)
            } else {
                words.1 |= UInt64(byte) << UInt64(8 * (index - 8))
            }
        }
        self.init(littleEndian: words.0, words.1)
    }

    /// Bytes of the name, 0 to 16.
    var count: Int {
        Comm.endOfText(first) ?? (8 + (Comm.endOfText(second) ?? 8))
    }

    /// Gives the name's bytes; the buffer lives as long as the call.
    @inline(__always)
    public func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeBytes(of: (first.littleEndian, second.littleEndian)) { bytes in
            body(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
    }

    /// The index of the first zero byte of a little-endian word.
    private static func endOfText(_ word: UInt64) -> Int? {
        let zeros = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
        return zeros == 0 ? nil : zeros.trailingZeroBitCount / 8
    }

    private static func mask(bytes count: Int) -> UInt64 {
        ~(~0 << UInt64(8 * count))
    }
}
