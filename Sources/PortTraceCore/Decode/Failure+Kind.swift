internal import CPortTraceWire

extension Failure {
    /// Begins with a key's kind and cause.
    ///
    /// - Throws: ``DecodeError``: `kind` for an unknown one, `cause` for one that does not belong to it.
    init(kindOf key: pt_key, folding: Folding) throws(DecodeError) {
        switch UInt32(key.kind) {
        case PT_KIND_CONNECT_EXHAUSTED.rawValue: self.init(type: .connectExhausted, cause: .portRange)
        case PT_KIND_CONNECT_CONFLICT.rawValue: self.init(type: .connectConflict, cause: .tupleTaken)
        case PT_KIND_BIND_EXHAUSTED.rawValue: self.init(type: .bindExhausted, cause: .portRange)
        case PT_KIND_CONNTRACK_TABLE_FULL.rawValue: self.init(type: .conntrackTableFull, cause: .tableFull)
        case PT_KIND_CONNTRACK_EVICTED.rawValue: self.init(type: .conntrackEvicted, cause: .tableFull)
        case PT_KIND_CONNTRACK_INSERT_FAILED.rawValue: self.init(type: .conntrackInsertFailed, cause: nil)
        case PT_KIND_SNAT_CLASH.rawValue:
            self.init(type: .conntrackInsertFailed, cause: .race)
            // Without its tuple there is nothing to ask for.
            isClash = folding == .none
        case PT_KIND_TIME_WAIT_OVERFLOW.rawValue: self.init(type: .timeWaitOverflow, cause: nil)
        case PT_KIND_TCP_STATE.rawValue: self.init(type: .tcpState, cause: nil)
        default: throw .kind(key.kind)
        }
        if key.cause == 0, folding == .wholly || type == .tcpState { return }
        guard let read = Failure.cause(key.cause), cause == read || (cause == nil && read.isOneOf(type)) else {
            throw .cause(key.cause)
        }
        cause = read
    }

    private static func cause(_ value: UInt8) -> Cause? {
        switch UInt32(value) {
        case PT_CAUSE_PORT_RANGE.rawValue: .portRange
        case PT_CAUSE_TUPLE_TAKEN.rawValue: .tupleTaken
        case PT_CAUSE_TABLE_FULL.rawValue: .tableFull
        case PT_CAUSE_RACE.rawValue: .race
        case PT_CAUSE_CHAIN_TOO_LONG.rawValue: .chainTooLong
        case PT_CAUSE_DYING.rawValue: .dying
        case PT_CAUSE_NO_MEMORY.rawValue: .noMemory
        case PT_CAUSE_TW_BUCKETS.rawValue: .timeWaitBuckets
        default: nil
        }
    }
}

extension Cause {
    /// Whether it is one of a type that has several.
    fileprivate func isOneOf(_ type: EventType) -> Bool {
        switch self {
        case .race, .chainTooLong, .dying: type == .conntrackInsertFailed
        case .noMemory: type == .conntrackInsertFailed || type == .timeWaitOverflow
        case .timeWaitBuckets: type == .timeWaitOverflow
        case .portRange, .tupleTaken, .tableFull, .natPorts: false
        }
    }
}
