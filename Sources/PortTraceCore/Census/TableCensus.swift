/// A conntrack table that has entries.
public struct UsedTable: Sendable {
    public var namespace: NamespaceIdentity
    /// Whether it is the node's own.
    public var isHost: Bool
    public var entries: UInt64

    public init(namespace: NamespaceIdentity, isHost: Bool, entries: UInt64) {
        self.namespace = namespace
        self.isHost = isHost
        self.entries = entries
    }
}

/// The tables that have entries, as the kernel's own list of namespaces has them.
public struct UsedTables: Sendable {
    public var tables: [UsedTable]
    /// Further ones, for which the list had no room.
    public var unlisted: Int

    public init(tables: [UsedTable], unlisted: Int = 0) {
        self.tables = tables
        self.unlisted = unlisted
    }
}

/// What fills one conntrack table.
public struct TableCensus: Sendable {
    /// Entries of one kind towards one destination.
    public struct Destination: Hashable, Sendable {
        /// `IPPROTO_*`.
        public var proto: UInt8
        /// Before destination NAT.
        public var endpoint: Endpoint
        public var count: UInt64
        /// Those of them whose first packet nobody has answered.
        public var unreplied: UInt64

        public init(proto: UInt8, endpoint: Endpoint, count: UInt64, unreplied: UInt64) {
            self.proto = proto
            self.endpoint = endpoint
            self.count = count
            self.unreplied = unreplied
        }
    }

    /// Entries of an address that is nobody's on this node any more, although it is in a range of its pods.
    public struct Stale: Hashable, Sendable {
        public var address: IPAddress
        /// Whether destination NAT leads to it (`conntrack -D -r`); else it has opened them (`conntrack -D -s`).
        public var isBackend: Bool
        public var count: UInt64
        /// Seconds until the last of them is over, if nothing happens.
        public var longestTimeout: UInt32

        public init(address: IPAddress, isBackend: Bool = false, count: UInt64, longestTimeout: UInt32) {
            self.address = address
            self.isBackend = isBackend
            self.count = count
            self.longestTimeout = longestTimeout
        }
    }

    public var namespace: NamespaceIdentity
    /// Whether it is the node's own.
    public var isHost: Bool
    /// When the dump was begun: CLOCK_MONOTONIC, nanoseconds. The figures below are as old as that.
    public var time: UInt64
    /// The table: `used` is what the dump has met, `limit` nf_conntrack_max (nil: 0, unlimited).
    public var table: Occupancy
    /// `nf_conntrack_buckets`, the whole machine's; 0: not known.
    public var buckets: UInt64
    /// Seconds; those that are not known are missing.
    public var timeouts: [ConntrackTimeout: UInt64]
    /// Entries with IPS_ASSURED: early_drop() passes them over.
    public var assured: UInt64
    /// Those whose first packet nobody has answered.
    public var unreplied: UInt64
    /// Those that somebody outside has opened, towards somebody here.
    public var inbound: UInt64
    /// Those of the host itself: it has opened them, or they are addressed to it.
    public var own: UInt64
    /// Those of them that are connections of TCP which it has opened, by the ports that they use. Those of few may be left out.
    public var ownConnections: [Resource: UInt64]
    /// By `IPPROTO_*`, and TCP's by `TCP_CONNTRACK_*`.
    public var protocols: [UInt8: UInt64]
    public var tcpStates: [UInt8: UInt64]
    /// Entries whose addresses or ports are translated.
    public var translated: UInt64
    /// Largest first, a few.
    public var destinations: [Destination]
    public var stale: [Stale]
    /// `snat`, in no order; those of little use may be left out.
    public var translations: [Occupancy]

    public init(namespace: NamespaceIdentity, isHost: Bool, time: UInt64, limit: UInt64?) {
        self.namespace = namespace
        self.isHost = isHost
        self.time = time
        table = Occupancy(Resource(.conntrack, in: namespace), used: 0, limit: limit, holders: [])
        table.time = time
        buckets = 0
        timeouts = [:]
        assured = 0
        unreplied = 0
        inbound = 0
        own = 0
        ownConnections = [:]
        protocols = [:]
        tcpStates = [:]
        translated = 0
        destinations = []
        stale = []
        translations = []
    }
}
