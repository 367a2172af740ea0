extension IPAddress {
    /// Reads an address in text form, and nothing around it: IPv4 as four decimal numbers without leading zeros,
    /// IPv6 as in RFC 4291, also with IPv4 at its end; nil for anything else. No zone.
    init?(parsing text: some Collection<UInt8>) {
        let bytes = Array(text)
        if bytes.contains(UInt8(ascii: ":")) {
            self.init(ipv6: bytes)
        } else if let number = ipv4Number(bytes[...]) {
            self.init(ipv4: number)
        } else {
            return nil
        }
    }

    private init?(ipv6 bytes: [UInt8]) {
        var groups: [UInt16] = []
        // Groups before `::`.
        var gap: Int?
        var rest = bytes[...]
        if rest.starts(with: "::".utf8) {
            gap = 0
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != UInt8(ascii: ":") }
            rest = rest.dropFirst(part.count)
            if rest.isEmpty, part.contains(UInt8(ascii: ".")) {
                guard let number = ipv4Number(part) else { return nil }
                groups.append(UInt16(number >> 16))
                groups.append(UInt16(number & 0xffff))
                break
            }
            guard let group = hexadecimalGroup(part) else { return nil }
            groups.append(group)
            if rest.isEmpty { break }
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = groups.count
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        if let gap {
            // `::` stands for at least one group.
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        self.init(
            ipv6High: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
            low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
    }
}

private func ipv4Number(_ text: ArraySlice<UInt8>) -> UInt32? {
    let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var number: UInt32 = 0
    for part in parts {
        guard part.count == 1 || part.first != UInt8(ascii: "0"), let octet = wholeNumber(part), octet < 256
        else { return nil }
        number = number << 8 | UInt32(octet)
    }
    return number
}

private func hexadecimalGroup(_ text: ArraySlice<UInt8>) -> UInt16? {
    guard (1...4).contains(text.count) else { return nil }
    var group: UInt16 = 0
    for byte in text {
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
        default: return nil
        }
        group = group << 4 | UInt16(digit)
    }
    return group
}
