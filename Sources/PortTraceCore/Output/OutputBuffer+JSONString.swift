extension OutputBuffer {
    /// Foreign bytes as the inside of a JSON string: always valid, and safe on a terminal too.
    ///
    /// What is no UTF-8 becomes U+FFFD; quotes, backslashes and hazardous scalars are escaped.
    mutating func append(escapedForJSON bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < bytes.count {
            let start = index
            while index < bytes.count, isPlainInJSON(bytes[index]) { index += 1 }
            append(UnsafeRawBufferPointer(rebasing: bytes[start..<index]))
            guard index < bytes.count else { return }

            let step = UnicodeStep(bytes, at: index)
            let sequence = UnsafeRawBufferPointer(rebasing: bytes[index..<index + step.length])
            index += step.length
            switch step.scalar {
            case nil: append("\u{FFFD}")
            case 0x22: append("\\\"")
            case 0x5c: append("\\\\")
            case 0x0a: append("\\n")
            case 0x0d: append("\\r")
            case 0x09: append("\\t")
            case let scalar? where isHazardous(scalar): append(unicodeEscape: scalar)
            default: append(sequence)
            }
        }
    }

    /// `\uXXXX`.
    ///
    /// - Precondition: the scalar is below U+10000.
    mutating func append(unicodeEscape scalar: UInt32) {
        append("\\u")
        var shift: UInt32 = 16
        while shift > 0 {
            shift -= 4
            append(byte: hexadecimalDigit(UInt8(truncatingIfNeeded: scalar >> shift & 0xf)))
        }
    }
}

@inline(__always)
private func isPlainInJSON(_ byte: UInt8) -> Bool {
    byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
}
