/// One problem of a node: the contract's finding.
public struct Finding: Sendable {
    public enum Problem: String, Sendable, CaseIterable {
        case portExhaustion = "port_exhaustion"
        case bindExhaustion = "bind_exhaustion"
        case tupleConflict = "tuple_conflict"
        case snatExhaustion = "snat_exhaustion"
        case conntrackFull = "conntrack_full"
        case conntrackInsertFailed = "conntrack_insert_failed"
        case timeWaitOverflow = "time_wait_overflow"
    }

    public enum Severity: String, Sendable {
        case warning, failing
    }

    public var problem: Problem
    public var severity: Severity
    public var occupancy: Occupancy
    /// Whether the census has its figures; if not, the use is not known.
    public var isMeasured = true
    /// Failures during the sample.
    public var failures: UInt64 = 0
    /// In one line: what is short, and by how much.
    public var summary = ""
    /// What the culprits are, and what their counts are of.
    public enum Blame: Sendable {
        /// Who holds what is used.
        case holders
        /// Who has sent the packets that raced: of the failures, as they hold nothing.
        case senders
        /// Who it is cannot be known.
        case nobody
    }

    /// Largest first.
    public var culprits: [Holder]
    public var blame = Blame.holders
    /// Who was refused, largest first.
    public var victims: [Holder]
    /// Sentences with numbers. They hold no text that comes from a pod but through the naming that was given.
    public var evidence: [String]
    public var fixes: [Fix]

    public init(_ problem: Problem, _ severity: Severity, _ occupancy: Occupancy) {
        self.problem = problem
        self.severity = severity
        self.occupancy = occupancy
        culprits = []
        victims = []
        evidence = []
        fixes = []
    }
}

/// What can be done about a problem.
public struct Fix: Equatable, Sendable {
    public enum Time: String, Sendable {
        /// Ends the failures within a minute, on this node.
        case now
        /// The cure.
        case later
    }

    public var when: Time
    /// What it does and where it acts, in a sentence.
    public var why: String
    /// To be pasted by root: numbers, addresses, pids and names that match RFC 1123, nothing else of the node's.
    public var command: String?
    /// How it outlives a restart.
    public var persist: String?
    public var risk: String

    public init(_ when: Time, why: String, command: String? = nil, persist: String? = nil, risk: String) {
        self.when = when
        self.why = why
        self.command = command
        self.persist = persist
        self.risk = risk
    }
}
