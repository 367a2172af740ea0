/// A resource that is short, or about to be: what a finding is made of.
struct Trouble {
    var problem: Finding.Problem
    /// Its figures; where the census has none, `used` means nothing.
    var occupancy: Occupancy
    var isMeasured: Bool
    /// Where the figures are those of an earlier look, when more was used: what is used now.
    var usedNow: UInt64?
    /// Failures during the sample.
    var count: UInt64 = 0
    /// Of `conntrack_full`: those that are evictions.
    var evictions: UInt64 = 0
    /// Of `conntrack_insert_failed` and `time_wait_overflow`: by cause, those that need cures of their own.
    var chains: UInt64 = 0
    var noMemory: UInt64 = 0
    var dying: UInt64 = 0
    /// Questions to name servers.
    var dns: UInt64 = 0
    /// Races of flows that source NAT has given a port, most of them with this address and destination; and of others.
    var translated: UInt64 = 0
    var mapping: Resource?
    var untranslated: UInt64 = 0
    var victims: [Holder] = []
    /// The range that was searched.
    var portRange: PortRange?
    /// Of `tuple_conflict`: the port that was bound; 0: not known.
    var sourcePort: UInt16 = 0
    /// Known by the kernel's counters alone.
    var isCounted = false

    init(_ problem: Finding.Problem, _ occupancy: Occupancy, isMeasured: Bool = true) {
        self.problem = problem
        self.occupancy = occupancy
        self.isMeasured = isMeasured
    }

    var isFailing: Bool { count > 0 }
    /// Of `conntrack_insert_failed`: those of two packets in one moment.
    var races: UInt64 { count - min(count, chains + noMemory + dying) }
    /// Whether they are mostly of flows that chose one NAT port.
    var areOfPorts: Bool { translated > untranslated }
    var resource: Resource { occupancy.resource }
    /// The share of its limit that is used, where both are known.
    var fullness: Double {
        guard isMeasured, let limit = occupancy.limit, limit > 0 else { return 0 }
        return Double(occupancy.used) / Double(limit)
    }

    mutating func add(_ tally: FailureTally) {
        count += tally.count
        dns += tally.dns
        if tally.translated > translated { mapping = tally.mapping }
        translated += tally.translated
        untranslated += tally.untranslated
        if tally.type == .conntrackEvicted { evictions += tally.count }
        switch tally.cause {
        case .chainTooLong: chains += tally.count
        case .noMemory: noMemory += tally.count
        case .dying: dying += tally.count
        default: break
        }
        portRange = portRange ?? tally.portRange
        if tally.sourcePort != 0 { sourcePort = tally.sourcePort }
        if occupancy.limit == nil, let limit = tally.limit { occupancy.limit = UInt64(limit) }
        for victim in tally.victims {
            if let index = victims.firstIndex(where: { $0.owner == victim.owner }) {
                victims[index].count += victim.count
                victims[index].isInferred = victims[index].isInferred || victim.isInferred
            } else {
                victims.append(victim)
            }
        }
        victims.sort { $0.count > $1.count }
    }
}

extension Finding.Problem {
    /// What a failure is a sign of.
    init(_ tally: FailureTally) {
        switch tally.resource.kind {
        case .ports: self = tally.cause == .tupleTaken ? .tupleConflict : .portExhaustion
        case .bindPorts: self = .bindExhaustion
        case .snat: self = .snatExhaustion
        case .timeWait: self = .timeWaitOverflow
        case .conntrack: self = tally.type == .conntrackInsertFailed ? .conntrackInsertFailed : .conntrackFull
        }
    }

    /// What is near when a resource is nearly used up.
    init(nearing kind: Resource.Kind) {
        switch kind {
        case .ports: self = .portExhaustion
        case .bindPorts: self = .bindExhaustion
        case .snat: self = .snatExhaustion
        case .timeWait: self = .timeWaitOverflow
        case .conntrack: self = .conntrackFull
        }
    }
}

extension Occupancy {
    /// TIME_WAIT sockets whose ports tcp_tw_reuse gives back.
    var reusable: UInt64 { timeWait.map { $0 - min($0, halfClosed) } ?? 0 }
}

// MARK: From a sample

extension NodeView {
    /// Share of a limit from which on it is a warning; seconds to failure below which it is one.
    private static let warningPercent: UInt64 = 80
    private static let warningTime: Double = 600

    /// All that is wrong, the worst first: what fails, by failures; then what is near, by fullness.
    func troubles() -> [Trouble] {
        let all = occupancies
        var troubles = failing(all)
        addCounted(&troubles, all)
        // A conflict, or a failed insertion, does not mean that the resource is used up: it may be near that as well.
        let exhausted = troubles.lazy.filter { $0.isMeasured && $0.problem == .init(nearing: $0.resource.kind) }
        troubles += nearing(all, failing: Set(exhausted.map(\.resource)))
        return troubles.sorted { left, right in
            if left.isFailing != right.isFailing { return left.isFailing }
            if left.count != right.count { return left.count > right.count }
            if left.fullness != right.fullness { return left.fullness > right.fullness }
            if left.occupancy.used != right.occupancy.used { return left.occupancy.used > right.occupancy.used }
            return left.resource.namespace.inode < right.resource.namespace.inode
        }
    }

    private func failing(_ all: [Occupancy]) -> [Trouble] {
        struct Key: Hashable {
            var problem: Finding.Problem
            var resource: Resource
        }
        var troubles: [Trouble] = []
        var positions: [Key: Int] = [:]
        for tally in sample.failures where tally.count > 0 {
            let known = figures(of: tally, in: all)
            let problem = Finding.Problem(tally)
            let key = Key(problem: problem, resource: known?.resource ?? tally.resource)
            if positions[key] == nil {
                positions[key] = troubles.count
                let occupancy = known ?? Occupancy(tally.resource, used: 0, limit: nil, holders: [])
                var trouble = Trouble(problem, occupancy, isMeasured: known != nil)
                let last = NodeView.occupancy(of: tally.resource, in: all)?.used ?? 0
                if let known, last < known.used, problem == .init(nearing: known.resource.kind) {
                    trouble.usedNow = last
                }
                troubles.append(trouble)
            }
            if let position = positions[key] { troubles[position].add(tally) }
        }
        return troubles
    }

    /// How a resource was used, as far as is known: of all looks at it the fullest. Whoever has held it when it failed may have
    /// let go of it before the last one.
    private func figures(of tally: FailureTally, in all: [Occupancy]) -> Occupancy? {
        // A range of a socket's own is not what was counted.
        if tally.cause == .portRange, ownRange(tally.portRange, in: tally.resource) != nil { return nil }
        let looks = [
            NodeView.occupancy(of: tally.resource, in: all), tally.occupancy,
            NodeView.occupancy(of: tally.resource, in: earlier),
        ]
        return looks.compactMap { $0 }.max { $0.used < $1.used }
    }

    /// What the kernel's counters alone have seen: where a hook could not stand.
    private func addCounted(_ troubles: inout [Trouble], _ all: [Occupancy]) {
        for counters in sample.counters {
            let namespace = NamespaceIdentity(inode: counters.netnsID, mix: 0)
            func seen(_ problems: [Finding.Problem], _ count: (Trouble) -> UInt64 = { $0.count }) -> UInt64 {
                troubles.reduce(0) {
                    let isIts = $1.resource.namespace.inode == counters.netnsID && problems.contains($1.problem)
                    return isIts ? $0 + count($1) : $0
                }
            }
            func add(_ problem: Finding.Problem, _ kind: Resource.Kind, _ count: UInt64, evictions: UInt64 = 0) {
                let known = NodeView.occupancy(of: Resource(kind, in: namespace), in: all)
                let occupancy = known ?? Occupancy(Resource(kind, in: namespace), used: 0, limit: nil, holders: [])
                var trouble = Trouble(problem, occupancy, isMeasured: known != nil)
                let same = troubles.firstIndex {
                    $0.problem == problem && $0.resource.namespace.inode == counters.netnsID
                }
                if let same { trouble = troubles.remove(at: same) } else { trouble.isCounted = true }
                trouble.count += count
                trouble.evictions += evictions
                troubles.append(trouble)
            }
            let moved = counters.moved
            let evicted = seen([.conntrackFull], { $0.evictions })
            if moved.earlyDrop > evicted {
                let more = moved.earlyDrop - evicted
                add(.conntrackFull, .conntrack, more, evictions: more)
            }
            // One more in both counters is a clash; `drop` alone is a table that is full, or a packet that broke a rule.
            let inserted = seen([.conntrackInsertFailed, .snatExhaustion])
            if moved.insertFailed > 0, inserted == 0 { add(.conntrackInsertFailed, .conntrack, moved.insertFailed) }
            if moved.drop > moved.insertFailed, seen([.conntrackFull]) == 0, isFull(namespace, all) {
                add(.conntrackFull, .conntrack, moved.drop - moved.insertFailed)
            }
            let overflows = seen([.timeWaitOverflow])
            if moved.timeWaitOverflow > overflows {
                add(.timeWaitOverflow, .timeWait, moved.timeWaitOverflow - overflows)
            }
        }
    }

    private func isFull(_ namespace: NamespaceIdentity, _ all: [Occupancy]) -> Bool {
        guard let table = NodeView.occupancy(of: Resource(.conntrack, in: namespace), in: all),
            let limit = table.limit
        else { return false }
        return table.used * 100 >= limit * 99
    }

    private func nearing(_ all: [Occupancy], failing: Set<Resource>) -> [Trouble] {
        all.compactMap { occupancy in
            guard let limit = occupancy.limit, limit > 0, !failing.contains(occupancy.resource), isWanted(occupancy)
            else { return nil }
            let isNearlyFull = lasting(occupancy) * 100 >= limit * NodeView.warningPercent
            guard isNearlyFull || (growth(of: occupancy)?.secondsTo(limit)).map({ $0 < NodeView.warningTime }) == true
            else { return nil }
            return Trouble(Finding.Problem(nearing: occupancy.resource.kind), occupancy)
        }
    }

    /// Whether anybody asks for it, as far as is known: a port that connect() has chosen is shared by all destinations,
    /// and is lost to bind() alone. So on a busy proxy nearly all are, and it is well.
    private func isWanted(_ occupancy: Occupancy) -> Bool {
        guard occupancy.resource.kind == .bindPorts, occupancy.resource.proto == TransportProtocol.tcp,
            let namespace = namespace(occupancy.resource)
        else { return true }
        return UInt64(namespace.boundPorts) * 2 >= occupancy.used
    }

    /// What of it connect() could not have again.
    private func lasting(_ occupancy: Occupancy) -> UInt64 {
        guard occupancy.resource.kind == .ports, reusesTimeWait(occupancy.resource) else { return occupancy.used }
        return occupancy.used - min(occupancy.used, occupancy.reusable)
    }
}
