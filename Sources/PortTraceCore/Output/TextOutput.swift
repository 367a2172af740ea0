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
    private var lost: [(place: LossPlace, count: UInt64, time: Int64)] = []

    init(each: Bool, colour: Bool) {
        self.each = each
        layout = TextLayout(colour: colour)
    }

    /// Whether a sample may still have a line in this interval; if not, its row counts it.
    mutating func takesSample(_ sample: Sample) -> Bool {
        // Room is kept for a line for each type's rest and for each sort of loss.
        let most = each ? TextInterval.mostLines - EventType.failures.count - 2 : TextOutput.mostSamples
        if linesShown < most { return true }
        printed.insertTime(of: sample)
        return false
    }

    /// Writes a sample that passed.
    mutating func append(_ sample: Sample, at time: Int64, cgroup: TerminalText, to output: inout OutputBuffer) {
        layout.append(sample.failure, count: 1, at: time, cgroup: cgroup, to: &output)
        linesShown += 1
        printed.insert(sample)
        interval.insertShown(sample.failure)
        table.insert(sample.failure, count: 1)
    }

    /// How many of a row's failures have not been shown.
    mutating func remaining(of row: CountRow, generation: UInt32) -> UInt64 {
        row.count - printed.take(of: row, generation: generation)
    }

    /// Takes a row that passed.
    mutating func collect(_ row: CountRow, remaining: UInt64, generation: UInt32) {
        // Of the sample, where it is among those that remain, else of the first of the others.
        let time = printed.time(of: row.key, generation: generation) ?? row.restFirst
        interval.insert(TextInterval.Candidate(failure: row.failure, count: remaining, time: time))
        table.insert(row.failure, count: remaining)
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
        generation: UInt32, clock: Clock, cgroups: inout CgroupCache, to output: inout OutputBuffer
    ) {
        func utc(_ time: UInt64) -> Int64? { time == 0 ? nil : clock.utc(monotonic: time) }

        let ended = interval.finish(lines: TextInterval.mostLines - linesShown - lost.count)
        for line in ended.lines {
            let cgroup = cgroups.entry(for: line.failure.cgroupID).text
            layout.append(line.failure, count: line.count, at: utc(line.time), cgroup: cgroup, to: &output)
        }
        for (type, rest) in ended.rest {
            layout.append(
                rest: rest.failures, of: type, destinations: rest.destinations, folded: rest.folded,
                at: utc(rest.time), to: &output)
        }
        appendLost(to: &output)
        printed.forget(generation: generation)
        linesShown = 0
    }

    /// Writes the closing table.
    mutating func finish(
        _ accounts: RunAccounts, _ facts: SessionFacts, cgroups: inout CgroupCache, to output: inout OutputBuffer
    ) {
        appendLost(to: &output)
        table.append(accounts, facts, cgroups: &cgroups, to: &output)
    }

    private mutating func appendLost(to output: inout OutputBuffer) {
        for (place, count, time) in lost {
            layout.append(lost: place, count: count, at: time, to: &output)
        }
        lost.removeAll()
    }
}
