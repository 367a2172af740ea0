/// One NAT address towards one destination: what shares a range of NAT ports.
public struct NATPair: Hashable, Sendable {
    /// The inode of the network namespace whose conntrack table it is.
    public var netnsID: UInt32
    /// `IPPROTO_*`.
    public var proto: UInt8
    public var zone: UInt16
    public var natAddress: IPAddress
    /// Where the packets go after destination NAT: the source of the reply tuple.
    public var peer: IPAddress
    /// In host byte order; 0 where the protocol has none.
    public var peerPort: UInt16

    public init(
        netnsID: UInt32, proto: UInt8, zone: UInt16, natAddress: IPAddress, peer: IPAddress, peerPort: UInt16
    ) {
        self.netnsID = netnsID
        self.proto = proto
        self.zone = zone
        self.natAddress = natAddress
        self.peer = peer
        self.peerPort = peerPort
    }
}

/// A flow that died because the reply tuple which source NAT gave it was taken: was the range of ports spent, or did two
/// flows choose one port in the same moment?
public struct NATClash: Hashable, Sendable {
    public var pair: NATPair
    /// The original tuple. Ports in host byte order; for ICMP the source port is the id, the destination port the type
    /// and code (type << 8 | code).
    public var source: IPAddress
    public var sourcePort: UInt16
    public var destination: IPAddress
    public var destinationPort: UInt16
    /// The port (or ICMP id) that source NAT left it with, in host byte order.
    public var natPort: UInt16
    /// Seconds that its entry would have had left, just made; 0 unknown.
    public var freshTimeout: UInt32

    public init(
        pair: NATPair, source: IPAddress, sourcePort: UInt16, destination: IPAddress, destinationPort: UInt16,
        natPort: UInt16, freshTimeout: UInt32 = 0
    ) {
        self.pair = pair
        self.source = source
        self.sourcePort = sourcePort
        self.destination = destination
        self.destinationPort = destinationPort
        self.natPort = natPort
        self.freshTimeout = freshTimeout
    }
}

/// What the kernel's table had to say soon after a clash, as ctnetlink gives it.
public struct NATClashEvidence: Sendable {
    /// An entry that holds a NAT port of the pair.
    public struct Holder: Sendable {
        /// The NAT port (or ICMP id), in host byte order.
        public var port: UInt16
        /// `CTA_ID`: tells an entry from a later one with the same tuple.
        public var id: UInt32
        /// `IPS_*` bits (include/uapi/linux/netfilter/nf_conntrack_common.h).
        public var status: UInt32
        /// Seconds until it expires; nil where the kernel does not say.
        public var timeout: UInt32?
        /// `TCP_CONNTRACK_*` (nf_conntrack_tcp.h), TCP only.
        public var tcpState: UInt8?

        public init(port: UInt16, id: UInt32, status: UInt32, timeout: UInt32?, tcpState: UInt8?) {
            self.port = port
            self.id = id
            self.status = status
            self.timeout = timeout
            self.tcpState = tcpState
        }
    }

    /// Whether the table has an entry of the very same original tuple: another packet of the flow made it.
    public var hasOriginal: Bool
    /// Every holder of a port of the pair.
    public var holders: [Holder]

    public init(hasOriginal: Bool, holders: [Holder]) {
        self.hasOriginal = hasOriginal
        self.holders = holders
    }
}
