/// What a run knows of its hooks when it ends.
public struct SessionFacts: Sendable {
    /// Each hook and its tier, in the order to show: `("bind", "none (why)")`.
    public var hooks: [(hook: String, tier: String)]
    /// The failure types that an attached hook would have seen.
    public var attachedTypes: [EventType]
    /// How far the kernel's own counters moved meanwhile, by namespace.
    public var kernel: [KernelMovement]

    public init(
        hooks: [(hook: String, tier: String)], attachedTypes: [EventType], kernel: [KernelMovement] = []
    ) {
        self.hooks = hooks
        self.attachedTypes = attachedTypes
        self.kernel = kernel
    }
}

/// How far the kernel's own counters of one network namespace moved during a run; nil: not read.
public struct KernelMovement: Sendable {
    /// The namespace's inode; 0 unknown.
    public var netnsID: UInt32
    /// Conntrack's `drop`, `insert_failed` and `early_drop`.
    public var drop: UInt64?
    public var insertFailed: UInt64?
    public var earlyDrop: UInt64?
    /// TCPTimeWaitOverflow.
    public var twOverflow: UInt64?

    public init(
        netnsID: UInt32, drop: UInt64? = nil, insertFailed: UInt64? = nil, earlyDrop: UInt64? = nil,
        twOverflow: UInt64? = nil
    ) {
        self.netnsID = netnsID
        self.drop = drop
        self.insertFailed = insertFailed
        self.earlyDrop = earlyDrop
        self.twOverflow = twOverflow
    }

    /// What was read, by the contract's names.
    var counters: [(name: StaticString, moved: UInt64)] {
        [("drop", drop), ("insert_failed", insertFailed), ("early_drop", earlyDrop), ("tw_overflow", twOverflow)]
            .compactMap { name, moved in moved.map { (name, $0) } }
    }
}

/// What was lost: `detail.where` of a `lost` line.
public enum LossPlace: Sendable {
    /// Samples not delivered; their failures come as coalesced lines.
    case ring
    /// Runs of a program that the kernel skipped: an upper bound of failures unseen.
    case missedRuns

    /// The name in the contract.
    var name: StaticString {
        switch self {
        case .ring: "ring"
        case .missedRuns: "missed_runs"
        }
    }
}

/// Something to say on standard error.
public struct Diagnostic: Sendable {
    public enum Severity: Sendable {
        case warning
        /// A bug of porttrace.
        case error
    }

    public var severity: Severity
    /// One line, safe on a terminal.
    public var message: String
}
