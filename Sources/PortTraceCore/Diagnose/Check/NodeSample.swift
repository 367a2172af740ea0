/// What `porttrace check` has seen of a node during its sample: all that a verdict is made of.
public struct NodeSample: Sendable {
    /// Nanoseconds from the attach to the end.
    public var duration: UInt64
    /// Failures that happened meanwhile.
    public var failures: [FailureTally]
    /// Two looks at the ports, as far apart as the sample is long; nil: it could not be done.
    public var portsBefore: PortCensus?
    public var ports: PortCensus?
    /// Two looks at each conntrack table in use; the second one may be missing for a large table.
    public var tablesBefore: [TableCensus]
    public var tables: [TableCensus]
    /// Tables in use that could not be read: how many entries they have is known, not whose.
    public var unreadTables: [UsedTable] = []
    /// Whether nothing has used conntrack so far, neither an entry nor a rule.
    public var isConntrackIdle = false
    /// Whether options have left something out.
    public var isNarrowed = false
    /// How conntrack's and TCP's counters moved meanwhile, and what they stand at since each namespace was made.
    public var counters: [NamespaceCounters]
    public var facts: NodeFacts
    /// What could not be seen, and why.
    public var notVisible: [NotVisible]

    public init(duration: UInt64, facts: NodeFacts) {
        self.duration = duration
        self.facts = facts
        failures = []
        tablesBefore = []
        tables = []
        counters = []
        notVisible = []
    }
}

/// The failures of one type, cause and resource.
public struct FailureTally: Sendable {
    public var type: EventType
    public var cause: Cause?
    /// What was wanted: `ports`, `bind_ports`, `conntrack`, `snat` or `time_wait`. Its namespace may have the inode alone.
    public var resource: Resource
    public var count: UInt64
    /// Those of them whose own resource has been forgotten since.
    public var past: UInt64 = 0
    /// Who was refused, largest first, a few.
    public var victims: [Holder]
    /// Those of them that were questions to a name server: UDP to port 53.
    public var dns: UInt64
    /// Of races: those of flows that source NAT has given a port, and those of others; neither: it is not known.
    public var translated: UInt64 = 0
    public var untranslated: UInt64 = 0
    /// Of the translated: the NAT address and destination of more than half, if any has so many; nil: there are none.
    public var mapping: Resource?
    /// The ports in force; a socket may have its own range. Nil where they were not the same all the time.
    public var portRange: PortRange?
    /// Of `connect_conflict`: the port that was bound, the last one's; 0: not known.
    public var sourcePort: UInt16 = 0
    /// Of `ports` and `bind_ports`: the fullest that they were seen to be when it failed; nil: they were not looked at.
    public var occupancy: Occupancy?
    /// nf_conntrack_max, or the usable ports of an exhausted NAT address; nil: not known.
    public var limit: UInt32?
    /// The last ones, a few, the latest at the end.
    public var recent: [RecentFailure]

    public init(type: EventType, cause: Cause?, resource: Resource, count: UInt64) {
        self.type = type
        self.cause = cause
        self.resource = resource
        self.count = count
        victims = []
        dns = 0
        recent = []
    }
}

/// A failure, or several of one process at once.
public struct RecentFailure: Equatable, Sendable {
    /// CLOCK_MONOTONIC, nanoseconds; 0: not known.
    public var time: UInt64
    public var victim: HolderOwner
    public var count: UInt64

    public init(time: UInt64, victim: HolderOwner, count: UInt64) {
        self.time = time
        self.victim = victim
        self.count = count
    }
}

/// The kernel's own counters of a network namespace.
public struct NamespaceCounters: Sendable {
    public struct Values: Equatable, Sendable {
        public var drop: UInt64 = 0
        public var insertFailed: UInt64 = 0
        public var earlyDrop: UInt64 = 0
        public var timeWaitOverflow: UInt64 = 0

        public init() {}
    }

    /// Inode.
    public var netnsID: UInt32
    /// During the sample.
    public var moved = Values()
    /// Since the namespace was made, the sample included.
    public var total = Values()

    public init(netnsID: UInt32) {
        self.netnsID = netnsID
    }
}

/// What could not be seen, and why: in words, for the contract's `not_visible`.
public struct NotVisible: Hashable, Sendable {
    public enum Part: Hashable, Sendable {
        /// Without it there is no healthy verdict.
        case ports
        case conntrack
        /// Anything else.
        case other
    }

    public var part: Part
    /// `bind failures`, `the conntrack table of netns 4026532345`.
    public var what: String
    public var why: String

    public init(_ part: Part, _ what: String, why: String) {
        self.part = part
        self.what = what
        self.why = why
    }

    /// `what (why)`.
    public var words: String { "\(what) (\(why))" }
}

/// What of the node itself a verdict and its fixes need.
public struct NodeFacts: Sendable {
    /// nf_conntrack_max (nil: conntrack is not there, 0: unlimited) and nf_conntrack_buckets; the whole machine's.
    public var conntrackMax: UInt64?
    public var conntrackBuckets: UInt64 = 0
    /// Bytes of memory.
    public var memory: UInt64 = 0
    /// Whether kube-proxy runs here: it sets conntrack's sysctls itself.
    public var hasKubeProxy = false
    /// Another data path that tracks connections by itself, such as `cilium`; nil: none was seen.
    public var otherDataPath: String?
    /// Whether porttrace runs in a container: it may not see all of the node.
    public var isInContainer = false
    /// A process in each network namespace that has one, by inode: for `nsenter -t`.
    public var processes: [UInt32: UInt32] = [:]
    /// Whose these processes are by their cgroups, by the same inode; those of the host's namespace are left out.
    public var keepers: [UInt32: CgroupOwner] = [:]
    /// Network drivers' own limits whose counters have moved: device, counter, how far.
    public var driverLimits: [(device: String, counter: String, moved: UInt64)] = []
    /// Whether the host's `ip_local_reserved_ports` names any port; true also where it is not known.
    public var hostReservesPorts = true
    /// Services' ports on the node (`--service-node-port-range`), not to be given to connect().
    public var nodePorts = PortRange(low: 30_000, high: 32_767)

    public init() {}
}
