/// One step through bytes that should be UTF-8 and may be anything.
struct UnicodeStep {
    /// The scalar's value; nil where the bytes are no UTF-8.
    var scalar: UInt32?
    /// Bytes of it: of an invalid sequence, its longest start that could have become valid, at least 1.
    var length: Int

    /// Reads at an index of the bytes.
    ///
    /// - Precondition: the index is within the bytes.
    init(_ bytes: UnsafeRawBufferPointer, at index: Int) {
        let lead = bytes[index]
        length = 1
        if lead < 0x80 {
            scalar = UInt32(lead)
            return
        }
        // The second byte's bounds exclude overlong forms, surrogates and what is beyond U+10FFFF.
        let (size, bounds): (Int, ClosedRange<UInt8>)
        switch lead {
        case 0xc2...0xdf: (size, bounds) = (2, 0x80...0xbf)
        case 0xe0: (size, bounds) = (3, 0xa0...0xbf)
        case 0xed: (size, bounds) = (3, 0x80...0x9f)
        case 0xe1...0xef: (size, bounds) = (3, 0x80...0xbf)
        case 0xf0: (size, bounds) = (4, 0x90...0xbf)
        case 0xf1...0xf3: (size, bounds) = (4, 0x80...0xbf)
        case 0xf4: (size, bounds) = (4, 0x80...0x8f)
        default: return
        }
        var value = UInt32(lead) & (0xff >> UInt32(size + 1))
        for offset in 1..<size {
            guard index + offset < bytes.count else { return }
            let next = bytes[index + offset]
            guard (offset == 1 ? bounds : 0x80...0xbf).contains(next) else { return }
            value = value << 6 | UInt32(next & 0x3f)
            length += 1
        }
        scalar = value
    }
}

/// Whether a scalar could change what a terminal or a reader does with the text around it: control characters
/// (C0, DEL, C1), line and paragraph separators, and the marks that turn the direction of writing.
func isHazardous(_ scalar: UInt32) -> Bool {
    switch scalar {
    case 0...0x1f, 0x7f...0x9f, 0x061c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
}
