/// One failure, or several of one key: what the kernel's record says, in types.
struct Failure {
    var type: EventType
    /// Nil only where the map was full and the type has several, and for a change of state.
    var cause: Cause?
    /// A clash of source NAT that waits for its verdict; `conntrack_insert_failed` and `race` until then.
    var isClash = false
    var folding = Folding.none
    /// What saw it; nil only where the map was full.
    var probe: Probe?
    /// How its owner was found; nil: it has none.
    var attribution: Attribution?
    /// The cgroup's id as recorded, see ``CgroupPathSource``; 0 unknown.
    var cgroupID: UInt64 = 0
    /// The inode of the network namespace, the socket's or the conntrack table's; 0 unknown.
    var netnsID: UInt32 = 0
    /// Conntrack: the network namespace that has the owner's address; nil unknown.
    var ownerNamespace: NamespaceIdentity?
    /// Conntrack: the address by which alone the owner is known.
    var ownerAddress: IPAddress?
    /// The conntrack zone.
    var zone: UInt16 = 0
    /// The errno that the caller gets, positive; 0 unknown.
    var error: UInt16 = 0
    /// `IPPROTO_*`; 0 unknown.
    var proto: UInt8 = 0
    var family: IPFamily?
    /// Conntrack's source and destination are those before any NAT.
    var source: IPAddress?
    /// In host byte order; 0: none was assigned, or the protocol has none.
    var sourcePort: UInt16 = 0
    var destination: IPAddress?
    /// In host byte order; 0: the protocol has none.
    var destinationPort: UInt16 = 0
    /// Conntrack: what ICMP and ICMPv6 have in place of ports.
    var icmp: ICMPMessage?
    /// Conntrack: who opened the flow; nil unknown.
    var direction: Direction?
    /// Conntrack: what source NAT chose; nil where there is none.
    var nat: Endpoint?
    /// Conntrack: where destination NAT led; nil where there is none.
    var backend: Endpoint?
    /// nf_conntrack_max, the usable ports of an exhausted NAT address, or tcp_max_tw_buckets; 0 unknown.
    var limit: UInt32 = 0
    /// A clash: seconds that its entry would have had left, just made; 0 unknown.
    var freshTimeout: UInt32 = 0
    /// What a socket did; nil for other types, and where the map was full.
    var change: TCPStateChange?
    /// What shows that NAT ports were exhausted; nil for other types.
    var evidence: NATExhaustion?
    /// The failing process, of a TIME_WAIT socket the one that closed it; nil for a kernel thread, where it is not known, and where the map was full.
    var process: FailingProcess?
    /// The ports in force; nil unknown.
    var portRange: PortRange?

    init(type: EventType, cause: Cause?) {
        self.type = type
        self.cause = cause
    }
}

extension Failure {
    /// Whether anything is known of whose it is.
    var hasOwner: Bool { process != nil || owner != OwnerKey() }

    /// What its owner's names are known by.
    var owner: OwnerKey {
        OwnerKey(
            cgroupID: cgroupID, namespace: attribution == .netns ? ownerNamespace : nil,
            address: attribution == .address ? ownerAddress : nil)
    }

    /// Whether a kernel thread failed, for a socket's creator.
    var isKernels: Bool { attribution == .socket && process == nil && type.isCall }
}

/// Ports from `low` to `high`, both ends included.
public struct PortRange: Hashable, Sendable {
    public var low: UInt16
    public var high: UInt16

    public init(low: UInt16, high: UInt16) {
        self.low = low
        self.high = high
    }
}

/// An address and its port in host byte order; 0: the protocol has none.
public struct Endpoint: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// What tells ICMP's flows apart. The id is in host byte order.
struct ICMPMessage: Equatable {
    var type: UInt8
    var code: UInt8
    var id: UInt16
}

/// Who opened a flow: the contract's `detail.direction`.
enum Direction {
    /// Somebody on this node.
    case outbound
    case inbound

    /// The name in the contract.
    var name: StaticString {
        switch self {
        case .outbound: "outbound"
        case .inbound: "inbound"
        }
    }
}

/// The process that failed, as seen from the initial namespaces.
struct FailingProcess: Equatable {
    var pid: UInt32
    /// The failing thread; 0 unknown.
    var tid: UInt32
    /// The real user id.
    var uid: UInt32
    var comm: Comm
}
