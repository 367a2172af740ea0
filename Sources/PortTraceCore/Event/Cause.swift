/// Why it happened: the contract's `cause`.
public enum Cause: Sendable {
    /// No port of the range was free.
    case portRange
    /// The 4-tuple is in use.
    case tupleTaken
    /// nf_conntrack_max is reached.
    case tableFull
    /// No source port was free for a NAT mapping.
    case natPorts
    /// Another flow, or another packet of the same one, was faster; or a NAT clash that cannot be told.
    case race
    /// The chain of the entry's hash bucket is too long (v6.1+).
    case chainTooLong
    /// The entry was being deleted.
    case dying
    /// The kernel had no memory for an entry, or a TIME_WAIT socket.
    case noMemory
    /// tcp_max_tw_buckets is reached.
    case timeWaitBuckets

    /// The name in the contract.
    public var name: StaticString {
        switch self {
        case .portRange: "port_range"
        case .tupleTaken: "tuple_taken"
        case .tableFull: "table_full"
        case .natPorts: "nat_ports"
        case .race: "race"
        case .chainTooLong: "chain_too_long"
        case .dying: "dying"
        case .noMemory: "no_memory"
        case .timeWaitBuckets: "tw_buckets"
        }
    }
}
