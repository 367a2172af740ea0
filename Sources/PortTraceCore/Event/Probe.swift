/// What saw a failure: the contract's `probe`.
enum Probe: UInt8 {
    case fentry = 1
    case kprobe = 2
    case tracepoint = 3
    /// The kernel's own counter; not of a record.
    case counter

    /// The name in the contract.
    var name: StaticString {
        switch self {
        case .fentry: "fentry"
        case .kprobe: "kprobe"
        case .tracepoint: "tracepoint"
        case .counter: "counter"
        }
    }
}

/// How much of its key a failure gave up because a map was full.
enum Folding: UInt8 {
    /// Nothing: the whole key is known.
    case none
    /// Only type, cause, cgroup, network namespace and protocol are known, and what saw it.
    case partly
    /// Only the type is known.
    case wholly
}
