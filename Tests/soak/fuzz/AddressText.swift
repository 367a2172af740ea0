import Glibc

/// An address of 4 or 16 bytes as libc writes it.
func addressText(_ address: [UInt8]) -> String {
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
        inet_ntop(
            address.count == 4 ? AF_INET : AF_INET6, address, buffer.baseAddress, socklen_t(INET6_ADDRSTRLEN)
        ).map { String(cString: $0) }
    }
    return text ?? ""
}

/// The bytes of an address as libc reads it; nil for what is none.
func addressBytes(_ text: [UInt8]) -> [UInt8]? {
    if text.contains(0) { return nil }
    let isIPv6 = text.contains(UInt8(ascii: ":"))
    var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
    let string = text.map { CChar(bitPattern: $0) } + [0]
    return inet_pton(isIPv6 ? AF_INET6 : AF_INET, string, &bytes) == 1 ? bytes : nil
}
