/// Events as text: which become lines, when, and the closing table.
///
/// First failures are shown as they come, a few an interval; at its end the largest of the rest, then one line for
/// each type of what had no room. What the lines of a run show adds up to its totals.
struct TextOutput {
    /// First failures shown at once in an interval.
    static let mostSamples = 10

    private let each: Bool
    private var layout: TextLayout
    private var table = ClosingTable()
    private var printed = PrintedSamples()
    private var interval = TextInterval()
    private var linesShown = 0
    /// Crossings of this interval that had no room.
    private var crossingsLeft = 0
    private var lost: [(place: LossPlace, count: UInt64, time: Int64)] = []

    init(each: Bool, colour: Bool) {
        self.each = each
        layout = TextLayout(colour: colour)
    }

    /// Whether a sample may still have a line in this interval.
    var hasRoom: Bool {
        // Room is kept for a line for each type's rest, for each sort of loss and for crossings.
        linesShown < (each ? TextInterval.mostLines - EventType.counted.count - 3 : TextOutput.mostSamples)
    }

    /// Whether anything waits for the interval's end.
    var hasLines: Bool { linesShown > 0 || !interval.isEmpty }

    /// Whether a sample may still have a line in this interval; if not, its row counts it.
    mutating func takesSample(_ sample: Sample) -> Bool {
        if hasRoom { return true }
        insertTime(of: sample)
        return false
    }

    /// Remembers when a sample happened that is shown with its row.
    mutating func insertTime(of sample: Sample) {
        printed.insertTime(of: sample)
    }

    /// Writes a sample that passed.
    mutating func append(
        _ sample: Sample, at time: Int64, names: inout NameCaches, to output: inout OutputBuffer
    ) {
        let destination = names.destination(of: sample.failure, at: sample.time).text
        layout.append(
            sample.failure, count: 1, at: time, owner: names.owner(of: sample.failure), destination: destination,
            holders: names.holders(of: sample.failure, at: sample.time).text, to: &output)
        linesShown += 1
        // No row counts a change of state that was sampled.
        if sample.failure.type != .tcpState { printed.insert(sample) }
        interval.insertShown(sample.failure)
        table.insert(sample.failure, count: 1, destination: destination)
    }

    /// Writes a crossing that passed, or counts it where the interval has no room for it.
    ///
    /// - Parameter age: its holders', see ``Occupancy/age(at:)``.
    mutating func append(
        _ crossing: PressureCrossing, at time: Int64, age: String, names: inout NameCaches,
        to output: inout OutputBuffer
    ) {
        guard linesShown < TextOutput.mostSamples else {
            crossingsLeft += 1
            return
        }
        let endpoint = crossing.occupancy.resource.destination
        layout.append(
            crossing, at: time, owner: crossing.occupancy.holders.first.map { names.owner(of: $0.owner) }, age: age,
            destination: names.destinations.entry(for: endpoint?.address, endpoint?.port ?? 0, at: nil).text,
            to: &output)
        linesShown += 1
    }

    /// How many of a row's failures have not been shown.
    mutating func remaining(of row: CountRow, generation: UInt32) -> UInt64 {
        row.count - printed.take(of: row, generation: generation)
    }

    /// When the first of them happened, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    func time(of row: CountRow, generation: UInt32) -> UInt64 {
        // Of the sample, where it is among those that remain, else of the first of the others.
        printed.time(of: row.key, generation: generation) ?? row.restFirst
    }

    /// Takes failures that passed; the interval's end shows them.
    ///
    /// - Parameters:
    ///   - time: of the first of them, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    ///   - destination: the names of their destination; nil where they are not known.
    mutating func collect(_ failure: Failure, count: UInt64, time: UInt64, destination: TerminalText?) {
        interval.insert(
            TextInterval.Candidate(failure: failure, count: count, time: time, destination: destination))
        table.insert(failure, count: count, destination: destination)
    }

    /// Takes what was lost; the interval's end shows it.
    mutating func collect(lost place: LossPlace, count: UInt64, at time: Int64) {
        if let index = lost.firstIndex(where: { $0.place == place }) {
            lost[index].count &+= count
            lost[index].time = time
        } else {
            lost.append((place, count, time))
        }
    }

    /// Writes what an interval has left, and begins the next.
    mutating func endInterval(
        generation: UInt32, clock: Clock, names: inout NameCaches, to output: inout OutputBuffer
    ) {
        appendInterval(clock: clock, names: &names, to: &output)
        printed.forget(generation: generation)
    }

    private mutating func appendInterval(
        clock: Clock, names: inout NameCaches, to output: inout OutputBuffer
    ) {
        func utc(_ time: UInt64) -> Int64? { time == 0 ? nil : clock.utc(monotonic: time) }

        let others = lost.count + (crossingsLeft > 0 ? 1 : 0)
        let ended = interval.finish(lines: TextInterval.mostLines - linesShown - others)
        for line in ended.lines {
            layout.append(
                line.failure, count: line.count, at: utc(line.time), owner: names.owner(of: line.failure),
                destination: line.destination, holders: names.holders(of: line.failure, at: line.time).text,
                to: &output)
        }
        for (type, rest) in ended.rest {
            layout.append(
                rest: rest.failures, of: type, destinations: rest.destinations, folded: rest.folded,
                at: utc(rest.time), to: &output)
        }
        for (place, count, time) in lost {
            layout.append(lost: place, count: count, at: time, to: &output)
        }
        lost.removeAll()
        if crossingsLeft > 0 { layout.append(crossingsLeft: crossingsLeft, to: &output) }
        crossingsLeft = 0
        linesShown = 0
    }

    /// Writes what has come since the last interval's end, and the closing table.
    mutating func finish(
        _ accounts: RunAccounts, _ facts: SessionFacts, clock: Clock, names: inout NameCaches,
        to output: inout OutputBuffer
    ) {
        appendInterval(clock: clock, names: &names, to: &output)
        table.append(accounts, facts, names: &names, to: &output)
    }
}
