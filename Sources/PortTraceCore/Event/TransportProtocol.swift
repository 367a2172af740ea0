/// The names of `IPPROTO_*` numbers (linux/in.h) that the contract uses.
enum TransportProtocol {
    static let icmp: UInt8 = 1
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
    static let icmpv6: UInt8 = 58

    /// Whether flows are told apart by type, code and id in place of ports.
    static func isICMP(_ number: UInt8) -> Bool { number == icmp || number == icmpv6 }

    /// The name of a protocol number, nil where it is shown as a number.
    static func name(of number: UInt8) -> StaticString? {
        switch number {
        case 1: "icmp"
        case 2: "igmp"
        case 6: "tcp"
        case 17: "udp"
        case 33: "dccp"
        case 47: "gre"
        case 50: "esp"
        case 51: "ah"
        case 58: "icmpv6"
        case 132: "sctp"
        case 136: "udplite"
        default: nil
        }
    }
}
