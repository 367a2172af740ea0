/// What the lines of failures say of who holds what they wanted: asked for once a resource and second at most.
struct HolderLists {
    /// Holders that are named.
    private static let named = 5
    /// Resources whose holders are remembered. All are forgotten when there are more, but not within a second: until then
    /// the others' lines have none.
    private static let mostEntries = 1_024
    /// Nanoseconds that they are remembered.
    private static let freshness: UInt64 = 1_000_000_000

    /// What is known of a resource's holders.
    struct Entry {
        /// `"holders":[…]`; empty in text mode, and where nothing is known.
        var json: [UInt8] = []
        /// The largest one for a person, `71 % held by shop/worker`, and when, if that is long ago; nil in NDJSON mode, and where
        /// none is known.
        var text: TerminalText?
    }

    private let census: any CensusSource
    private let forTerminal: Bool
    private var entries: [Resource: (entry: Entry, time: UInt64)] = [:]
    /// When all were forgotten, CLOCK_MONOTONIC, nanoseconds.
    private var forgotten: UInt64 = 0

    init(census: any CensusSource, forTerminal: Bool) {
        self.census = census
        self.forTerminal = forTerminal
    }

    /// - Parameter time: of the failure, CLOCK_MONOTONIC, nanoseconds.
    mutating func entry(of failure: borrowing Failure, at time: UInt64, owners: inout OwnerCache) -> Entry {
        guard failure.hasHolders else { return Entry() }
        let resource = Resource(wantedBy: failure)
        if let known = entries[resource], !time.isPast(known.time, by: Self.freshness) { return known.entry }
        if entries.count >= Self.mostEntries {
            guard time.isPast(forgotten, by: Self.freshness) else { return Entry() }
            entries.removeAll(keepingCapacity: true)
            forgotten = time
        }
        let entry = census.occupancy(of: resource).map { makeEntry($0, at: time, owners: &owners) } ?? Entry()
        entries[resource] = (entry, time)
        return entry
    }

    private func makeEntry(_ occupancy: Occupancy, at time: UInt64, owners: inout OwnerCache) -> Entry {
        var entry = Entry()
        if forTerminal {
            entry.text = text(occupancy, at: time, owners: &owners)
        } else {
            var buffer = OutputBuffer()
            buffer.append("\"holders\":")
            buffer.append(holders: occupancy.holders, of: occupancy.used, most: Self.named, owners: &owners)
            entry.json = buffer.withBytes { Array($0) }
        }
        return entry
    }

    private func text(_ occupancy: Occupancy, at time: UInt64, owners: inout OwnerCache) -> TerminalText? {
        guard let largest = occupancy.holders.first, largest.owner != .unknown, occupancy.used > 0 else { return nil }
        var text = TerminalText("\(min(100, largest.count * 100 / occupancy.used)) % held by ")
        text.append(
            TextLayout.owner(
                owners.entry(for: largest.owner.key), comm: largest.owner.process?.comm,
                pid: largest.owner.process?.pid, isKernels: false))
        text.append(occupancy.age(at: time))
        return text
    }
}

extension UInt64 {
    /// Whether a time is later than another by so much at least; of records, whose times may be any.
    fileprivate func isPast(_ other: UInt64, by span: UInt64) -> Bool { self >= other && self - other >= span }
}

extension Failure {
    /// Whether its lines say who holds what it wanted.
    fileprivate var hasHolders: Bool {
        guard folding == .none else { return false }
        switch type {
        case .connectExhausted, .bindExhausted, .conntrackTableFull, .conntrackEvicted, .snatExhausted,
            .conntrackInsertFailed:
            return true
        case .connectConflict, .timeWaitOverflow, .tcpState, .pressure, .lost, .summary: return false
        }
    }
}
