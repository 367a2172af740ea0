internal import CPortTraceWire

/// The samples that were shown at once, so that their rows do not show them again; and when some of the others
/// happened.
///
/// Bounded: as many keys as an interval has lines, and 1,024 times.
struct PrintedSamples {
    private struct Printed {
        var key: pt_key
        var hash: UInt64
        var generation: UInt32
        /// Shown and not yet taken off a row.
        var left: UInt64
    }

    private struct Unprinted {
        var hash: UInt64 = 0
        var generation: UInt32 = 0
        /// CLOCK_MONOTONIC, nanoseconds; 0: free.
        var time: UInt64 = 0
    }

    private static let slots: UInt64 = 1_024
    private var printed: [Printed] = []
    private var unprinted: [Unprinted] = []

    /// Remembers that a sample was shown.
    mutating func insert(_ sample: Sample) {
        let hash = hashValue(of: sample.key)
        let known = printed.firstIndex {
            $0.hash == hash && $0.generation == sample.generation && isSame($0.key, sample.key)
        }
        if let known {
            printed[known].left += 1
        } else {
            printed.append(Printed(key: sample.key, hash: hash, generation: sample.generation, left: 1))
        }
    }

    /// Remembers when a sample that was not shown happened, where there is room.
    mutating func insertTime(of sample: Sample) {
        if unprinted.isEmpty { unprinted = Array(repeating: Unprinted(), count: Int(PrintedSamples.slots)) }
        let hash = hashValue(of: sample.key)
        let slot = Int(hash % PrintedSamples.slots)
        if unprinted[slot].time == 0 || unprinted[slot].generation != sample.generation {
            unprinted[slot] = Unprinted(hash: hash, generation: sample.generation, time: sample.time)
        }
    }

    /// When a key's sample happened that was not shown, CLOCK_MONOTONIC in nanoseconds; nil where that was not
    /// kept.
    func time(of key: pt_key, generation: UInt32) -> UInt64? {
        if unprinted.isEmpty { return nil }
        let hash = hashValue(of: key)
        let slot = unprinted[Int(hash % PrintedSamples.slots)]
        return slot.hash == hash && slot.generation == generation && slot.time != 0 ? slot.time : nil
    }

    /// How many of a row's failures were shown, each of them told once.
    ///
    /// With `--each` a sample has its whole key also where the full map counted it in a folded row: what whole rows
    /// did not take is taken off the folded rows that could have counted it. That is why they come later.
    mutating func take(of row: CountRow, generation: UInt32) -> UInt64 {
        if printed.isEmpty { return 0 }
        var taken: UInt64 = 0
        let hash = row.failure.folding == .none ? hashValue(of: row.key) : 0
        for index in printed.indices where taken < row.count {
            guard printed[index].left > 0, printed[index].generation == generation else { continue }
            let key = printed[index].key
            let isCounted =
                switch row.failure.folding {
                case .none: printed[index].hash == hash && isSame(key, row.key)
                case .partly: isFolded(key, into: row.key)
                case .wholly: key.kind == row.key.kind
                }
            guard isCounted else { continue }
            let some = min(printed[index].left, row.count - taken)
            printed[index].left -= some
            taken += some
        }
        return taken
    }

    /// Forgets a generation whose rows have all been given, and those before it.
    mutating func forget(generation: UInt32) {
        printed.removeAll { Int32(bitPattern: $0.generation &- generation) <= 0 }
    }
}

/// Whether the kernel would count a key in this folded one where its map is full.
private func isFolded(_ key: pt_key, into folded: pt_key) -> Bool {
    key.kind == folded.kind && key.cause == folded.cause && key.cgroup_id == folded.cgroup_id
        && key.netns_id == folded.netns_id && key.proto == folded.proto && key.tier == folded.tier
        && key.attribution == folded.attribution
}
