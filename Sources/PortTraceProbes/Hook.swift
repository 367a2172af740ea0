/// A place of the kernel that porttrace watches, by its name in the contract.
public enum Hook: String, CaseIterable, Sendable {
    case connect
    case bind
    case conntrack
    case evictions
    case timeWait = "time_wait"
    case states

    /// Whether what its programs did not see is found by the kernel's own counters (``ConntrackAudit``).
    var isAudited: Bool { self == .conntrack || self == .evictions || self == .timeWait }

    /// The module that the hook's functions are in, where the kernel has it as one.
    var module: String? { self == .evictions ? "nf_conntrack" : nil }
}

/// The means by which a hook is attached, by its name in the contract.
public enum Tier: String, Sendable {
    case fentry
    case kprobe
    case tracepoint
}

/// The most that `--probe-mode` lets be used.
public enum ProbeMode: String, CaseIterable, Sendable {
    case auto
    case fentry
    case kprobe
    case tracepoint
}

/// A way to attach a hook. Two of them are of the same tier and differ in when the kernel skips a run: see
/// ``ProbePlan``.
public enum Attachment: String, Sendable, CaseIterable {
    /// fexit through a BPF trampoline.
    case fexit = "fentry"
    /// A kprobe and a kretprobe, made through tracefs.
    case kprobe
    /// A raw tracepoint.
    case rawTracepoint = "raw tracepoint"
    /// A classic tracepoint, through tracefs and perf.
    case tracepoint

    public var tier: Tier {
        switch self {
        case .fexit: .fentry
        case .kprobe: .kprobe
        case .rawTracepoint, .tracepoint: .tracepoint
        }
    }
}
