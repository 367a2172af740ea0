/// What an event says: the contract's `type`.
public enum EventType: UInt8, CaseIterable, Sendable {
    /// connect() found no free source port.
    case connectExhausted
    /// connect() from a bound port whose 4-tuple is taken.
    case connectConflict
    /// bind to port 0, listen() or autobind found no free port.
    case bindExhausted
    /// A TIME_WAIT socket could not be made.
    case timeWaitOverflow
    /// A packet that would start a flow was dropped: the conntrack table is full.
    case conntrackTableFull
    /// A conntrack entry was evicted to make room.
    case conntrackEvicted
    /// No free source port for a NAT mapping.
    case snatExhausted
    /// A conntrack entry could not be made or inserted.
    case conntrackInsertFailed
    /// A TCP socket changed its state: no failure, and told with `--states` only.
    case tcpState
    /// A resource has crossed a threshold on its way to its limit, or back.
    case pressure
    /// Something that porttrace could not deliver or see.
    case lost
    /// The last line of a run.
    case summary

    /// The failures, in the contract's order.
    public static let failures: [EventType] = [
        .connectExhausted, .connectConflict, .bindExhausted, .timeWaitOverflow, .conntrackTableFull, .conntrackEvicted,
        .snatExhausted, .conntrackInsertFailed,
    ]
    /// The types that are counted, in the contract's order: failures, and with `--states` changes of state.
    public static let counted = failures + [.tcpState]

    /// Whether conntrack failed, not a socket's call.
    var isConntrack: Bool {
        switch self {
        case .conntrackTableFull, .conntrackEvicted, .snatExhausted, .conntrackInsertFailed: true
        case .connectExhausted, .connectConflict, .bindExhausted, .timeWaitOverflow, .tcpState, .pressure, .lost,
            .summary:
            false
        }
    }

    /// Whether it is a task's call that failed.
    var isCall: Bool { self == .connectExhausted || self == .connectConflict || self == .bindExhausted }

    /// The name in the contract, as in NDJSON and `--kind`.
    public var name: StaticString {
        switch self {
        case .connectExhausted: "connect_exhausted"
        case .connectConflict: "connect_conflict"
        case .bindExhausted: "bind_exhausted"
        case .timeWaitOverflow: "time_wait_overflow"
        case .conntrackTableFull: "conntrack_table_full"
        case .conntrackEvicted: "conntrack_evicted"
        case .snatExhausted: "snat_exhausted"
        case .conntrackInsertFailed: "conntrack_insert_failed"
        case .tcpState: "tcp_state"
        case .pressure: "pressure"
        case .lost: "lost"
        case .summary: "summary"
        }
    }

    /// The words for a person.
    var words: StaticString {
        switch self {
        case .connectExhausted: "ports exhausted"
        case .connectConflict: "tuple taken"
        case .bindExhausted: "bind exhausted"
        case .timeWaitOverflow: "TIME_WAIT full"
        case .conntrackTableFull: "conntrack full"
        case .conntrackEvicted: "conntrack evicted"
        case .snatExhausted: "SNAT exhausted"
        case .conntrackInsertFailed: "insert failed"
        case .tcpState: "TCP state"
        case .pressure: "pressure"
        case .lost: "lost"
        case .summary: "summary"
        }
    }
}

/// One number for each event type.
struct TypeCounts: Equatable {
    private var counts: [UInt64]

    init() {
        counts = Array(repeating: 0, count: EventType.allCases.count)
    }

    /// The number of one type.
    subscript(type: EventType) -> UInt64 {
        get { counts[Int(type.rawValue)] }
        set { counts[Int(type.rawValue)] = newValue }
    }

    /// All types together.
    var sum: UInt64 { counts.reduce(0, &+) }
}
