/// What holds the ports of this node's network namespaces at one moment.
public struct PortCensus: Sendable {
    /// When it was begun: CLOCK_MONOTONIC, nanoseconds.
    public var time: UInt64
    public var namespaces: [NamespaceCensus]
    /// `ports`, `bind_ports` and `time_wait`, in no order. Those of little use may be left out.
    public var occupancies: [Occupancy]
    /// What could not be seen. Of the part `ports`: sockets that were not counted, so that a resource may be used more.
    public var notVisible: [NotVisible]
    /// Whether all namespaces were found.
    public var isWhole = true

    public init(
        time: UInt64, namespaces: [NamespaceCensus] = [], occupancies: [Occupancy] = [], notVisible: [NotVisible] = []
    ) {
        self.time = time
        self.namespaces = namespaces
        self.occupancies = occupancies
        self.notVisible = notVisible
    }
}

/// A network namespace: what is in force there and how many sockets it has.
public struct NamespaceCensus: Sendable {
    public var id: NamespaceIdentity
    /// Whether it is the node's own.
    public var isHost: Bool
    /// `net.ipv4.ip_local_port_range`.
    public var portRange: PortRange
    /// Ports of that range that `ip_local_reserved_ports` takes.
    public var reservedPorts: UInt32
    /// Further ports of it that have a bucket of TCP's bind() or listen(): connect() passes over them.
    public var boundPorts: UInt32
    /// The nearest ports below and above the range at which somebody listens, TCP's or UDP's; 0: none.
    public var listenerBelow: UInt16
    public var listenerAbove: UInt16
    /// TIME_WAIT sockets, and `net.ipv4.tcp_max_tw_buckets`.
    public var timeWait: UInt32
    public var timeWaitLimit: UInt32
    /// `net.ipv4.tcp_tw_reuse`: 0 off, 1 on, 2 for the loopback.
    public var timeWaitReuse: UInt8
    /// `net.ipv4.tcp_timestamps`: 0 off.
    public var timestamps: UInt8
    /// TCP sockets that are no listeners and not in TIME_WAIT, and UDP sockets.
    public var tcpSockets: UInt32
    public var udpSockets: UInt32

    public init(id: NamespaceIdentity, isHost: Bool, portRange: PortRange) {
        self.id = id
        self.isHost = isHost
        self.portRange = portRange
        reservedPorts = 0
        boundPorts = 0
        listenerBelow = 0
        listenerAbove = 0
        timeWait = 0
        timeWaitLimit = 0
        timeWaitReuse = 0
        timestamps = 0
        tcpSockets = 0
        udpSockets = 0
    }

    /// Source ports that connect() can use towards one destination.
    public var usablePorts: UInt32 {
        let all = UInt32(portRange.high) - UInt32(portRange.low) + 1
        return all - min(all, reservedPorts + boundPorts)
    }
}
