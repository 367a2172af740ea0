/// What a run knows of its hooks when it ends.
public struct SessionFacts: Sendable {
    /// Each hook and its tier, in the order to show: `("bind", "none (why)")`.
    public var hooks: [(hook: String, tier: String)]
    /// The failure types that an attached hook would have seen.
    public var attachedTypes: [EventType]

    public init(hooks: [(hook: String, tier: String)], attachedTypes: [EventType]) {
        self.hooks = hooks
        self.attachedTypes = attachedTypes
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
