/// Destinations that `--dest` asks for: `ADDR[/LEN][:PORT]`, `[ADDR]:PORT`, `[ADDR/LEN]:PORT` or `:PORT`.
public struct DestinationPattern: Equatable, Sendable {
    /// An address with its host bits cleared, and how many bits count.
    struct Network: Equatable, Sendable {
        var address: IPAddress
        var length: Int
    }

    /// Nil: any address.
    var network: Network?
    /// 0: any port. Host byte order.
    var port: UInt16

    /// Reads one pattern. Host bits are masked off; a v4-mapped address means the IPv4 address.
    ///
    /// - Throws: ``OptionError`` saying which part is wrong.
    public init(parsing text: some Collection<UInt8>) throws(OptionError) {
        let bytes = Array(text)
        var networkText = bytes[...]
        var portText: ArraySlice<UInt8>?

        let colons = bytes.count { $0 == UInt8(ascii: ":") }
        if bytes.first == UInt8(ascii: "[") {
            guard let close = bytes.firstIndex(of: UInt8(ascii: "]")) else {
                throw OptionError(text, "lacks the closing ']'")
            }
            networkText = bytes[1..<close]
            let after = bytes[(close + 1)...]
            if let first = after.first {
                guard first == UInt8(ascii: ":") else {
                    throw OptionError(text, "has something other than ':PORT' after ']'")
                }
                portText = after.dropFirst()
            }
            guard networkText.contains(UInt8(ascii: ":")) else {
                throw OptionError(text, "has brackets around something other than IPv6")
            }
        } else if colons == 1, let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
            networkText = bytes[..<colon]
            portText = bytes[(colon + 1)...]
        }

        if let portText {
            guard let number = wholeNumber(portText), (1...65_535).contains(number) else {
                throw OptionError(text, "has a bad port: 1 to 65535")
            }
            port = UInt16(number)
        } else {
            port = 0
        }
        if networkText.isEmpty, portText != nil, bytes.first == UInt8(ascii: ":") {
            network = nil
        } else {
            do {
                network = try Network(parsing: networkText)
            } catch {
                throw OptionError(text, error.rawValue)
            }
        }
    }

    /// Whether a destination is one of these; its port 0: it has none, or it is not known.
    func evaluate(_ destination: IPAddress, port: UInt16) -> Verdict {
        if let network {
            let isInside =
                destination.family == network.address.family
                && destination.masked(to: network.length) == network.address
            if !isInside { return .reject }
        }
        if self.port != 0, port == 0 { return .undecided }
        return Verdict(self.port == 0 || self.port == port)
    }
}

extension DestinationPattern.Network {
    enum Problem: String, Error {
        case address = "is not an address: ADDR[/LEN][:PORT], with IPv6 and a port as [ADDR]:PORT"
        case length = "has a bad prefix length: 0 to 32 for IPv4, 0 to 128 for IPv6"
        case mappedLength = "has a bad prefix length: 96 to 128 for an IPv4 address written as IPv6"
    }

    /// Reads `ADDR[/LEN]`.
    init(parsing text: ArraySlice<UInt8>) throws(Problem) {
        let addressText = text.prefix { $0 != UInt8(ascii: "/") }
        guard var address = IPAddress(parsing: addressText) else { throw .address }
        var length = address.family.bits
        if addressText.count < text.count {
            let digits = text.dropFirst(addressText.count + 1)
            guard let number = wholeNumber(digits), number <= UInt64(length),
                digits.count == 1 || digits.first != UInt8(ascii: "0")
            else { throw .length }
            length = Int(number)
        }
        if address.isMapped {
            guard length >= 96 else { throw .mappedLength }
            address = IPAddress(ipv4: UInt32(truncatingIfNeeded: address.low))
            length -= 96
        }
        self.init(address: address.masked(to: length), length: length)
    }
}
