internal import CPortTraceWire

/// Failures that the kernel has counted and no packet or socket has claimed: of one namespace, since they were last told.
public struct UnclaimedFailures: Sendable, Equatable {
    /// The namespace's inode; 0 unknown.
    public var netnsID: UInt32
    public var tableFull: UInt64 = 0
    public var race: UInt64 = 0
    public var chainTooLong: UInt64 = 0
    public var dying: UInt64 = 0
    public var evicted: UInt64 = 0
    public var timeWaitOverflow: UInt64 = 0

    var isNone: Bool { tableFull + race + chainTooLong + dying + evicted + timeWaitOverflow == 0 }

    /// Adds what was told of the same namespace later, or of one that has its inode again.
    mutating func add(_ other: UnclaimedFailures) {
        tableFull += other.tableFull
        race += other.race
        chainTooLong += other.chainTooLong
        dying += other.dying
        evicted += other.evicted
        timeWaitOverflow += other.timeWaitOverflow
    }
}

/// How far a namespace's conntrack counters, and TCP's own of TIME_WAIT, have moved since the attach.
public struct ConntrackMovement: Sendable, Equatable {
    /// The namespace's inode; 0 unknown: several that have gone.
    public var netnsID: UInt32
    public var drop: UInt64 = 0
    public var insertFailed: UInt64 = 0
    public var earlyDrop: UInt64 = 0
    /// TCPTimeWaitOverflow.
    public var timeWaitOverflow: UInt64 = 0
    /// Drops for another reason than this tool reports: refused by the protocol's own check, or by sequence numbers that
    /// could not be adjusted.
    public var notOurs: UInt64 = 0

    var isNone: Bool { drop + insertFailed + earlyDrop + timeWaitOverflow == 0 }

    /// Adds another namespace's.
    mutating func add(_ other: ConntrackMovement) {
        netnsID = 0
        drop += other.drop
        insertFailed += other.insertFailed
        earlyDrop += other.earlyDrop
        timeWaitOverflow += other.timeWaitOverflow
        notOurs += other.notOurs
    }
}

/// What all CPUs have counted in one table: struct pt_table of each (pt_conntrack.h). Their counters wrap.
struct TableCounts {
    private let values: [pt_table]

    init(_ values: [pt_table]) {
        self.values = values
    }

    /// What was told of a table's unclaimed failures so far.
    struct Told: Equatable {
        var drop: UInt64 = 0
        var insertFailed: UInt64 = 0
        var chainTooLong: UInt64 = 0
        var timeWaitOverflow: UInt64 = 0
        var evicted: UInt64 = 0
        /// Evictions that no hook had claimed the last time: it may still.
        var evictedBefore: UInt64 = 0
    }

    private var netnsID: UInt32 { values.first { $0.netns_id != 0 }?.netns_id ?? 0 }

    /// What was not told yet.
    ///
    /// - Parameter isFinal: Nobody claims anything any more: what is ahead of the claims is unclaimed.
    func unclaimed(since told: inout Told, isFinal: Bool) -> UnclaimedFailures {
        let before = told
        told.drop = sum(isFinal, \.drop)
        told.insertFailed = sum(isFinal, \.insert_failed)
        told.chainTooLong = sum(isFinal, \.chain_too_long)
        told.timeWaitOverflow = sum(isFinal, \.tw_overflow)
        // An eviction may be counted on one CPU and claimed on another.
        let evicted = UInt64(
            max(total { Self.difference($0.unclaimed.early_drop &+ $0.flushed.early_drop, $0.last.early_drop) }, 0))
        told.evicted = max(before.evicted, isFinal ? evicted : min(evicted, before.evictedBefore))
        told.evictedBefore = evicted

        let drop = told.drop - before.drop
        let insertFailed = told.insertFailed - before.insertFailed
        let chainTooLong = min(told.chainTooLong - before.chainTooLong, insertFailed)
        // A clash counts as both.
        let race = min(insertFailed - chainTooLong, drop)
        return UnclaimedFailures(
            netnsID: netnsID, tableFull: drop - race, race: race, chainTooLong: chainTooLong,
            dying: insertFailed - chainTooLong - race, evicted: told.evicted - before.evicted,
            timeWaitOverflow: told.timeWaitOverflow - before.timeWaitOverflow)
    }

    var movement: ConntrackMovement {
        // One CPU may have claimed what another has counted.
        let evicted = total { Self.difference($0.flushed.early_drop, $0.base.early_drop) }
        let claimed = total { Self.difference($0.last.early_drop, $0.base.early_drop) }
        return ConntrackMovement(
            netnsID: netnsID, drop: moved(\.drop), insertFailed: moved(\.insert_failed),
            earlyDrop: UInt64(max(evicted, claimed, 0)), timeWaitOverflow: moved(\.tw_overflow),
            notOurs: values.reduce(0) { $0 + UInt64($1.not_ours) })
    }

    private func sum(_ isFinal: Bool, _ counter: KeyPath<pt_counters, UInt32>) -> UInt64 {
        values.reduce(0) { sum, value in
            let ahead = Self.difference(value.flushed[keyPath: counter], value.last[keyPath: counter])
            return sum + UInt64(value.unclaimed[keyPath: counter]) + (isFinal ? UInt64(max(ahead, 0)) : 0)
        }
    }

    /// Claims since the last walk are ahead of it.
    private func moved(_ counter: KeyPath<pt_counters, UInt32>) -> UInt64 {
        values.reduce(0) { sum, value in
            let base = value.base[keyPath: counter]
            return sum
                + UInt64(max(value.flushed[keyPath: counter] &- base, value.last[keyPath: counter] &- base))
        }
    }

    private func total(_ part: (pt_table) -> Int64) -> Int64 { values.reduce(0) { $0 + part($1) } }

    private static func difference(_ now: UInt32, _ before: UInt32) -> Int64 {
        Int64(Int32(bitPattern: now &- before))
    }
}
