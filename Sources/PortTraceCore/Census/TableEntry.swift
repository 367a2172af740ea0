/// An entry of a conntrack table, as far as the census wants it.
///
/// Ports in host byte order, 0 where the protocol has none; for ICMP the source port is the id and the destination port
/// the type and code (type << 8 | code), as in ``NATClash``.
public struct TableEntry: Equatable, Sendable {
    /// `IPPROTO_*`.
    public var proto: UInt8 = 0
    /// `TCP_CONNTRACK_*` (nf_conntrack_tcp.h); 0 for other protocols.
    public var tcpState: UInt8 = 0
    /// `IPS_*` bits (nf_conntrack_common.h).
    public var status: UInt32 = 0
    /// Seconds; 0 for an entry that does not expire by itself.
    public var timeout: UInt32 = 0
    public var source = IPAddress(ipv4: 0)
    public var destination = IPAddress(ipv4: 0)
    public var replySource = IPAddress(ipv4: 0)
    public var replyDestination = IPAddress(ipv4: 0)
    public var sourcePort: UInt16 = 0
    public var destinationPort: UInt16 = 0
    public var replySourcePort: UInt16 = 0
    public var replyDestinationPort: UInt16 = 0

    public init() {}

    /// `IPS_*`
    enum Status {
        static let seenReply: UInt32 = 1 << 1
        static let assured: UInt32 = 1 << 2
        static let sourceNAT: UInt32 = 1 << 4
        static let destinationNAT: UInt32 = 1 << 5
        /// IPS_NAT_MASK
        static let translated = sourceNAT | destinationNAT
    }

    @inline(__always)
    func has(_ bits: UInt32) -> Bool { status & bits != 0 }

    /// The destination's port, of ICMP none.
    @inline(__always)
    var port: UInt16 { TransportProtocol.isICMP(proto) ? 0 : destinationPort }

    /// Where the packets go after destination NAT: its port, of ICMP none.
    @inline(__always)
    var peerPort: UInt16 { TransportProtocol.isICMP(proto) ? 0 : replySourcePort }

    /// What source NAT has chosen: a port, or ICMP's id, which stands in the source in both directions.
    @inline(__always)
    var natPort: UInt16 { TransportProtocol.isICMP(proto) ? replySourcePort : replyDestinationPort }
}
