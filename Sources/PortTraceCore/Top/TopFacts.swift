/// What the header of `porttrace top` says of the node.
public struct TopFacts: Sendable {
    /// The node's name, any bytes; empty: not known.
    public var node: [UInt8]
    /// `uname -r`.
    public var kernel: [UInt8]
    /// Each hook and its tier, in the order to show.
    public var hooks: [(hook: String, tier: String)]
    /// Entries of all conntrack tables, and nf_conntrack_max; nil: not known, limit nil: unlimited.
    public var conntrack: (used: UInt64, limit: UInt64?)?
    /// Sockets of all namespaces; nil: not known.
    public var sockets: TopSockets?
    /// The inode of the node's own network namespace; 0: not known.
    public var hostNamespace: UInt32
    /// What cannot be seen, and why: in words that are safe on a terminal.
    public var notVisible: [String]

    public init(node: [UInt8], kernel: [UInt8], hooks: [(hook: String, tier: String)]) {
        self.node = node
        self.kernel = kernel
        self.hooks = hooks
        hostNamespace = 0
        notVisible = []
    }
}

/// Numbers of sockets.
public struct TopSockets: Sendable {
    /// TCP's that are no listeners and not in TIME_WAIT.
    public var tcp: UInt64
    public var udp: UInt64
    public var timeWait: UInt64

    public init(tcp: UInt64, udp: UInt64, timeWait: UInt64) {
        self.tcp = tcp
        self.udp = udp
        self.timeWait = timeWait
    }

    /// All namespaces together.
    public init(of census: PortCensus) {
        self.init(tcp: 0, udp: 0, timeWait: 0)
        for namespace in census.namespaces {
            tcp += UInt64(namespace.tcpSockets)
            udp += UInt64(namespace.udpSockets)
            timeWait += UInt64(namespace.timeWait)
        }
    }
}
