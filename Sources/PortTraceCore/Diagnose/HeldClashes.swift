internal import CPortTraceWire

/// One failure, or several of one key, whose verdict is awaited.
struct HeldClash {
    var key: pt_key
    var failure: Failure
    var count: UInt64
    /// The first and last of them, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    var first: UInt64
    var last: UInt64
    /// The generation that counted it.
    var generation: UInt32
}

/// Clashes of source NAT until it is known what they were, and what is known of their pairs.
///
/// A pair is asked about once an interval, at its first clash; the answer serves all its clashes until the interval
/// ends, or where that is not enough, how often the pair has clashed by then. Bounded: 1,024 lines and pairs, and 1 MB of who
/// held which ports; what has no room is a race.
struct HeldClashes {
    private struct Line {
        var clash: HeldClash
        var pair: NATPair
        var hash: UInt64
    }

    private struct Question {
        var clash: NATClash
        /// When the clash happened, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
        var time: UInt64
    }

    private struct Pair {
        var question: Question?
        /// Of this interval, and its clashes in it.
        var judgement: NATClashJudgement?
        var clashes: UInt64 = 0
        /// Who held its ports, by the evidence of this interval and of one before.
        var holders: NATHolders?
        var earlier: NATHolders?
        /// Intervals that have ended since its last clash.
        var quietIntervals = 0

        /// Notes a clash.
        ///
        /// - Returns: The verdict where there is one, and whether it is now to be asked for.
        mutating func meet(_ clash: NATClash, at time: UInt64) -> (verdict: NATClashVerdict?, isNew: Bool) {
            quietIntervals = 0
            if judgement != nil || question != nil { return (verdict, false) }
            question = Question(clash: clash, time: time)
            return (nil, true)
        }

        /// The verdict before the interval has ended; nil where there is none yet.
        var verdict: NATClashVerdict? {
            if case .settled(let verdict) = judgement { verdict } else { nil }
        }

        /// Ends the interval: it is to be asked for anew.
        mutating func endInterval() {
            quietIntervals += 1
            if question == nil { clashes = 0 }
            guard judgement != nil else { return }
            judgement = nil
            // Read before the next generation began, and so before its clashes.
            earlier = holders ?? earlier
            holders = nil
        }
    }

    /// What flows of one NAT address choose their ports for.
    private struct Source: Hashable {
        var netnsID: UInt32
        var proto: UInt8
        var natAddress: IPAddress
    }

    private static let mostLines = 1_024
    private static let mostPairs = 1_024
    private static let mostHolders = 131_072
    /// How long a pair without clashes is remembered.
    private static let mostQuietIntervals = 60

    private let reader: any NATClashReader
    private var lines: [Line] = []
    private var pairs: [NATPair: Pair] = [:]
    /// The lowest and the highest port of all evidence so far. As many as pairs; what has no room is not known.
    private var spans: [Source: ClosedRange<UInt16>] = [:]

    init(reader: any NATClashReader) {
        self.reader = reader
    }

    /// Whether nothing is held.
    var isEmpty: Bool { lines.isEmpty }

    /// Whether something that is held waits for an answer, not for the end of an interval.
    var awaitsAnswers: Bool { lines.contains { pairs[$0.pair]?.question != nil } }

    /// The verdict on a clash's pair in this interval; nil: it is asked for.
    ///
    /// - Parameter time: when the clash happened, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    mutating func verdict(on clash: NATClash, at time: UInt64) -> NATClashVerdict? {
        guard pairs[clash.pair] != nil || pairs.count < HeldClashes.mostPairs else { return .race }
        let (verdict, isNew) = pairs[clash.pair, default: Pair()].meet(clash, at: time)
        if isNew { reader.ask(clash) }
        return verdict
    }

    /// Takes a clash, to be held until it is known what it was.
    ///
    /// - Returns: The verdict where it is known at once; it is not held then.
    mutating func take(_ held: HeldClash) -> NATClashVerdict? {
        guard let clash = held.failure.natClash else { return .race }
        let verdict = verdict(on: clash, at: held.first)
        pairs[clash.pair]?.clashes += held.count
        if let verdict { return verdict }
        let hash = hashValue(of: held.key)
        if lines.count < HeldClashes.mostLines {
            lines.append(Line(clash: held, pair: clash.pair, hash: hash))
            return nil
        }
        guard let same = lines.firstIndex(where: { $0.hash == hash && isSame($0.clash.key, held.key) }) else {
            return .race
        }
        lines[same].clash.count += held.count
        lines[same].clash.last = max(lines[same].clash.last, held.first, held.last)
        return nil
    }

    /// Takes an answer: decides, and gives what waited for it. Nil where nobody waits for this one, or where the interval's end
    /// decides.
    ///
    /// - Parameter time: when the evidence had been read, or later; CLOCK_MONOTONIC, nanoseconds.
    mutating func answer(
        _ clash: NATClash, _ evidence: NATClashEvidence?, at time: UInt64
    ) -> (verdict: NATClashVerdict, lines: [HeldClash])? {
        guard var pair = pairs[clash.pair], let question = pair.question, question.clash == clash else { return nil }
        // A time that is not known, or after the answer's, may be any.
        let delay = question.time == 0 || question.time > time ? .max : time - question.time
        let span = span(of: clash.pair, with: evidence)
        pair.question = nil
        pair.judgement = clash.judge(evidence, earlier: pair.earlier, span: span, delay: delay)
        if let evidence, heldPorts + evidence.holders.count <= HeldClashes.mostHolders {
            pair.holders = NATHolders(evidence.holders)
        }
        pairs[clash.pair] = pair
        return pair.verdict.map { ($0, remove { $0.pair == clash.pair }.map(\.clash)) }
    }

    /// The span of the pair's NAT address, towards all destinations, with what is seen now.
    private mutating func span(of pair: NATPair, with evidence: NATClashEvidence?) -> ClosedRange<UInt16>? {
        let source = Source(netnsID: pair.netnsID, proto: pair.proto, natAddress: pair.natAddress)
        let known = spans[source]
        guard let seen = evidence?.span, known != nil || spans.count < HeldClashes.mostPairs else { return known }
        let span =
            min(
                known?.lowerBound ?? seen.lowerBound, seen.lowerBound)...max(
                known?.upperBound ?? seen.upperBound, seen.upperBound)
        spans[source] = span
        return span
    }

    /// Ends an interval: verdicts are to be asked for anew.
    ///
    /// - Parameter generation: the one whose rows have all been given.
    /// - Returns: What has waited for this end, and as races what has waited for an answer since a generation before.
    mutating func endInterval(generation: UInt32) -> [(clash: HeldClash, verdict: NATClashVerdict)] {
        let settled = finalVerdicts
        for (key, pair) in pairs {
            var pair = pair
            pair.endInterval()
            let isForgotten =
                pair.quietIntervals > HeldClashes.mostQuietIntervals
                || (pair.question == nil && pair.earlier == nil)
            pairs[key] = isForgotten ? nil : pair
        }
        return remove {
            settled[$0.pair] != nil || Int32(bitPattern: $0.clash.generation &- generation) < 0
        }.map { ($0.clash, settled[$0.pair] ?? .race) }
    }

    /// Gives all that is held; nothing is afterwards.
    mutating func removeAll() -> [(clash: HeldClash, verdict: NATClashVerdict)] {
        let settled = finalVerdicts
        return remove { _ in true }.map { ($0.clash, settled[$0.pair] ?? .race) }
    }

    /// Of the pairs that have been answered for, with the clashes of the whole interval.
    private var finalVerdicts: [NATPair: NATClashVerdict] {
        pairs.compactMapValues { pair in pair.judgement?.verdict(clashes: pair.clashes) }
    }

    private mutating func remove(where isGiven: (Line) -> Bool) -> [Line] {
        let given = lines.filter(isGiven)
        lines.removeAll(where: isGiven)
        return given
    }

    /// Holders that are remembered, of all pairs.
    private var heldPorts: Int {
        pairs.values.reduce(0) { $0 + ($1.holders?.count ?? 0) + ($1.earlier?.count ?? 0) }
    }
}
