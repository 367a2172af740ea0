/// The lines of one interval that wait for its end: the largest, and sums of the rest.
///
/// Bounded by the lines of an interval, but for the destinations of the rest: 8 bytes each, of which there are no
/// more than rows in the kernel's map, and none after the interval.
struct TextInterval {
    /// What may become a line.
    struct Candidate {
        var failure: Failure
        var count: UInt64
        /// CLOCK_MONOTONIC, nanoseconds; 0 unknown.
        var time: UInt64
        /// The names of its destination; nil where they are not known.
        var destination: TerminalText?
    }

    /// What gets one line together.
    struct Rest {
        var failures: UInt64 = 0
        var folded: UInt64 = 0
        var destinations = 0
        /// The latest time known, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
        var time: UInt64 = 0
    }

    /// Most lines of an interval, all sorts together.
    static let mostLines = 40

    // Up to twice as many as there can be lines, so that sorting is rare.
    private var candidates: [Candidate] = []
    private var rest: [EventType: Rest] = [:]
    private var restDestinations: Set<UInt64> = []
    private var shownDestinations: [UInt64] = []

    var isEmpty: Bool { candidates.isEmpty && rest.isEmpty }

    /// Remembers that a line has shown a destination.
    mutating func insertShown(_ failure: Failure) {
        if let hash = destinationHash(failure) { shownDestinations.append(hash) }
    }

    /// Adds what may become a line.
    mutating func insert(_ candidate: Candidate) {
        candidates.append(candidate)
        guard candidates.count == 2 * TextInterval.mostLines else { return }
        sort()
        for candidate in candidates[TextInterval.mostLines...] { leaveOut(candidate) }
        candidates.removeLast(TextInterval.mostLines)
    }

    /// Ends the interval: gives what gets lines, the largest first, and what gets one line for each type.
    ///
    /// - Parameter lines: how many there is room for, at least one for each failure type.
    mutating func finish(lines: Int) -> (lines: [Candidate], rest: [(type: EventType, Rest)]) {
        sort()
        var kept = min(candidates.count, lines)
        while kept > 0, kept + restTypes(keeping: kept) > lines { kept -= 1 }
        for candidate in candidates[kept...] { leaveOut(candidate) }
        candidates.removeLast(candidates.count - kept)
        for candidate in candidates { insertShown(candidate.failure) }
        var remaining = rest
        for hash in Set(shownDestinations) where restDestinations.contains(hash) {
            if let type = EventType(rawValue: UInt8(hash & typeBits)) { remaining[type]?.destinations -= 1 }
        }
        let result = (
            candidates, EventType.counted.compactMap { type in remaining[type].map { (type: type, $0) } }
        )
        self = TextInterval()
        return result
    }

    private func restTypes(keeping kept: Int) -> Int {
        Set(rest.keys).union(candidates[kept...].map(\.failure.type)).count
    }

    private mutating func sort() {
        // Of equals the earlier, and those whose time is not known last.
        candidates.sort { ($1.count, $0.time &- 1) < ($0.count, $1.time &- 1) }
    }

    private mutating func leaveOut(_ candidate: Candidate) {
        let failure = candidate.failure
        var sum = rest[failure.type] ?? Rest()
        sum.failures += candidate.count
        if failure.folding != .none { sum.folded += candidate.count }
        if let hash = destinationHash(failure), restDestinations.insert(hash).inserted { sum.destinations += 1 }
        sum.time = max(sum.time, candidate.time)
        rest[failure.type] = sum
    }
}

/// The bits of a destination's number that are its type.
private let typeBits: UInt64 = 15

/// A number for a type's destination, nearly always another for another; its lowest bits are the type.
private func destinationHash(_ failure: Failure) -> UInt64? {
    guard let address = failure.destination else { return nil }
    let hash = mixed(mixed(address.high) ^ address.low)
    let port = UInt64(failure.destinationPort) << 8 | UInt64(address.family.rawValue)
    return mixed(hash ^ port) & ~typeBits | UInt64(failure.type.rawValue)
}
