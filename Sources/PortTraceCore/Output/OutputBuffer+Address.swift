extension OutputBuffer {
    /// An address as text: IPv4 dotted, IPv6 as in RFC 5952.
    mutating func append(_ address: IPAddress) {
        switch address.family {
        case .ipv4: append(dotted: UInt32(truncatingIfNeeded: address.low))
        case .ipv6: append(ipv6: address)
        }
    }

    /// An address with its port, IPv6 in brackets; the address alone where the port is 0.
    mutating func append(_ address: IPAddress, port: UInt16) {
        guard port != 0 else { return append(address) }
        if address.family == .ipv6 {
            append(byte: UInt8(ascii: "["))
            append(ipv6: address)
            append(byte: UInt8(ascii: "]"))
        } else {
            append(address)
        }
        append(byte: UInt8(ascii: ":"))
        append(decimal: UInt64(port))
    }

    private mutating func append(dotted number: UInt32) {
        append(decimal: UInt64(number >> 24))
        append(byte: UInt8(ascii: "."))
        append(decimal: UInt64(number >> 16 & 0xff))
        append(byte: UInt8(ascii: "."))
        append(decimal: UInt64(number >> 8 & 0xff))
        append(byte: UInt8(ascii: "."))
        append(decimal: UInt64(number & 0xff))
    }

    private mutating func append(ipv6 address: IPAddress) {
        if address.isMapped {
            append("::ffff:")
            append(dotted: UInt32(truncatingIfNeeded: address.low))
            return
        }
        let gap = address.longestZeroRun
        var index = 0
        var separated = true
        while index < 8 {
            if index == gap.lowerBound, !gap.isEmpty {
                append("::")
                index = gap.upperBound
                separated = true
                continue
            }
            if !separated { append(byte: UInt8(ascii: ":")) }
            append(hexadecimal: address.group(index))
            separated = false
            index += 1
        }
    }

    private mutating func append(hexadecimal group: UInt16) {
        var shift: UInt16 = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0
        while true {
            append(byte: hexadecimalDigit(UInt8(truncatingIfNeeded: group >> shift & 0xf)))
            if shift == 0 { return }
            shift -= 4
        }
    }
}

extension IPAddress {
    /// The longest run of two or more zero groups, the first of equals; empty where there is none.
    fileprivate var longestZeroRun: Range<Int> {
        var longest = 0..<0
        var start = 0
        for index in 0..<9 {
            if index < 8, group(index) == 0 { continue }
            if index - start > max(longest.count, 1) { longest = start..<index }
            start = index + 1
        }
        return longest
    }
}
