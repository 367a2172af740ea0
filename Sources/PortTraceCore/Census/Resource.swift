/// Something of which a node has a limited number: the contract's `resource`, without its figures.
public struct Resource: Hashable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Source ports of one source address towards one destination and port.
        case ports
        /// Ports for bind() to port 0, listen() and UDP's autobind.
        case bindPorts = "bind_ports"
        /// Entries of a conntrack table.
        case conntrack
        /// Ports of one NAT address towards one destination and port.
        case snat
        /// TIME_WAIT sockets: `tcp_max_tw_buckets`.
        case timeWait = "time_wait"
    }

    public var kind: Kind
    /// The network namespace that it is in.
    public var namespace: NamespaceIdentity
    /// `IPPROTO_*`; 0: of no single protocol.
    public var proto: UInt8
    /// Its address; the port is 0.
    public var source: IPAddress?
    public var destination: Endpoint?

    public init(
        _ kind: Kind, in namespace: NamespaceIdentity, proto: UInt8 = 0, source: IPAddress? = nil,
        destination: Endpoint? = nil
    ) {
        self.kind = kind
        self.namespace = namespace
        self.proto = proto
        self.source = source
        self.destination = destination
    }
}

extension Resource.Kind {
    /// The types of the events that are about it: what happens for want of it, and before.
    var types: [EventType] {
        switch self {
        case .ports: [.connectExhausted, .connectConflict, .pressure]
        case .bindPorts: [.bindExhausted, .pressure]
        case .conntrack: [.conntrackTableFull, .conntrackEvicted, .conntrackInsertFailed, .pressure]
        case .snat: [.snatExhausted, .pressure]
        case .timeWait: [.timeWaitOverflow, .pressure]
        }
    }
}

/// How far a resource is used, and by whom.
public struct Occupancy: Equatable, Sendable {
    public var resource: Resource
    public var used: UInt64
    /// What is usable; nil: not known, or there is none.
    public var limit: UInt64?
    /// Largest first, each owner once; what they do not sum up to is nobody's, as far as is known.
    public var holders: [Holder]
    /// Of a resource of TCP's ports: those of them that TIME_WAIT sockets hold; nil: not known.
    public var timeWait: UInt64?
    /// When the look was begun that has found the holders: CLOCK_MONOTONIC, nanoseconds; 0: not known.
    public var time: UInt64 = 0
    /// Of `timeWait`: those whose peer has not closed yet (FIN_WAIT2), which tcp_tw_reuse leaves alone.
    public var halfClosed: UInt64 = 0

    public init(
        _ resource: Resource, used: UInt64, limit: UInt64?, holders: [Holder], timeWait: UInt64? = nil
    ) {
        self.resource = resource
        self.used = used
        self.limit = limit
        self.holders = holders
        self.timeWait = timeWait
    }
}

/// One who holds a part of a resource, or one whom its want has hit.
public struct Holder: Hashable, Sendable {
    public var owner: HolderOwner
    public var count: UInt64
    /// Whether the owner was concluded, not seen.
    public var isInferred: Bool

    public init(_ owner: HolderOwner, count: UInt64, isInferred: Bool = false) {
        self.owner = owner
        self.count = count
        self.isInferred = isInferred
    }
}

/// Whose something is, by what the kernel knows; names come from it when it is shown.
public struct HolderOwner: Hashable, Sendable {
    /// The cgroup's id as recorded, see ``CgroupPathSource``; 0: not known.
    public var cgroupID: UInt64
    /// Where the cgroup is not known: the network namespace that the address belongs to; its pod, if it is one's alone.
    public var namespace: NamespaceIdentity?
    /// nil: not known, or several.
    public var process: HoldingProcess?
    /// Whether it is the host itself, as an address of its own namespace tells, and nobody in it is known: all else is empty.
    public private(set) var isHost = false

    public init(cgroupID: UInt64 = 0, namespace: NamespaceIdentity? = nil, process: HoldingProcess? = nil) {
        self.cgroupID = cgroupID
        self.namespace = namespace
        self.process = process
    }

    public static let unknown = HolderOwner()

    public static let host: HolderOwner = {
        var owner = HolderOwner()
        owner.isHost = true
        return owner
    }()
}

/// A process as seen from the initial namespaces.
public struct HoldingProcess: Hashable, Sendable {
    public var pid: UInt32
    /// Its leader's, when it was seen.
    public var comm: Comm

    public init(pid: UInt32, comm: Comm) {
        self.pid = pid
        self.comm = comm
    }
}
