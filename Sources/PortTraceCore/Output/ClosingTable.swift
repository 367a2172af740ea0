/// Totals by owner and destination, for the end of a run.
///
/// Bounded: beyond 4,096 pairs the smaller half is dropped into one row for the rest. What was dropped may come
/// again and is then counted from 1, so a pair that came after the first drop is shown as at least its number.
struct ClosingTable {
    private struct Pair: Hashable {
        var type: EventType
        var folding: Folding
        var isKernels: Bool
        var owner: OwnerKey
        var comm: Comm?
        var destination: IPAddress?
        var port: UInt16

        var order: [UInt64] {
            [
                UInt64(type.rawValue), UInt64(folding.rawValue), destination?.high ?? 0, destination?.low ?? 0,
                UInt64(port), owner.cgroupID, UInt64(owner.namespace?.inode ?? 0), owner.address?.low ?? 0,
                isKernels ? 1 : 0,
            ] + (comm?.words ?? [])
        }
    }

    private struct Total {
        var count: UInt64
        /// Some of the pair's failures may be in the rest.
        var isAtLeast: Bool
        /// The names of the destination when it failed, the last that were known.
        var destination: TerminalText?

        mutating func add(_ more: UInt64, _ names: TerminalText?) {
            count += more
            if let names { destination = names }
        }
    }

    private static let mostPairs = 4_096
    private static let mostRows = 20
    private var totals: [Pair: Total] = [:]
    private var dropped: UInt64 = 0

    /// Adds failures.
    mutating func insert(_ failure: Failure, count: UInt64, destination: TerminalText?) {
        let pair = Pair(
            type: failure.type, folding: failure.folding, isKernels: failure.isKernels,
            owner: failure.owner, comm: failure.process?.comm,
            destination: failure.destination, port: failure.destinationPort)
        totals[pair, default: Total(count: 0, isAtLeast: dropped > 0)].add(count, destination)
        if totals.count > ClosingTable.mostPairs { trim() }
    }

    private mutating func trim() {
        let kept = totals.sorted { $0.value.count > $1.value.count }.prefix(ClosingTable.mostPairs / 2)
        dropped += totals.values.reduce(0) { $0 + $1.count } - kept.reduce(0) { $0 + $1.value.count }
        totals = Dictionary(minimumCapacity: ClosingTable.mostPairs + 1)
        for (pair, total) in kept { totals[pair] = total }
    }

    /// Writes the table.
    func append(
        _ accounts: RunAccounts, _ facts: SessionFacts, names: inout NameCaches, to output: inout OutputBuffer
    ) {
        let sorted = totals.sorted { ClosingTable.stands($0, before: $1) }
        let shown = sorted.prefix(ClosingTable.mostRows)
        let rest = sorted.dropFirst(shown.count)

        var rows = TextTable(header: ["what", "count", "who", "to"], numbers: [1])
        for (pair, total) in shown {
            let owner = TextLayout.owner(
                names.owners.entry(for: pair.owner), comm: pair.comm, pid: nil, isKernels: pair.isKernels)
            let destination =
                pair.folding == .none
                ? TextLayout.endpoint(
                    pair.destination, pair.port, names: total.destination)
                : TerminalText("(map full)")
            let count = TerminalText((total.isAtLeast ? "≥" : "") + "\(total.count)")
            rows.append([TerminalText("\(pair.type.words)"), count, owner, destination])
        }
        let left = rest.reduce(dropped) { $0 + $1.value.count }
        if left > 0 {
            let name = dropped > 0 ? "the rest" : "the rest: \(rest.count) more"
            rows.append([TerminalText(""), TerminalText("\(left)"), TerminalText(name), TerminalText("")])
        }

        output.append(byte: UInt8(ascii: "\n"))
        if !shown.isEmpty {
            rows.write(to: &output)
            output.append(byte: UInt8(ascii: "\n"))
        }
        if dropped > 0 {
            output.append("≥: at least; more pairs than were followed, some of its failures may be in the rest\n")
        }
        ClosingTable.append(accounts, facts, to: &output)
    }

    /// The larger first; equals in the same order each time.
    private static func stands(_ left: (key: Pair, value: Total), before right: (key: Pair, value: Total)) -> Bool {
        if left.value.count != right.value.count { return left.value.count > right.value.count }
        return left.key.order.lexicographicallyPrecedes(right.key.order)
    }

    private static func append(
        _ accounts: RunAccounts, _ facts: SessionFacts, to output: inout OutputBuffer
    ) {
        let types = EventType.counted.filter {
            accounts.totals[$0] > 0 || facts.attachedTypes.contains($0)
        }
        output.append("total: ")
        for (index, type) in types.enumerated() {
            if index > 0 { output.append(", ") }
            output.append(type.words)
            output.append(byte: UInt8(ascii: " "))
            output.append(decimal: accounts.totals[type])
        }
        if types.isEmpty { output.append(byte: UInt8(ascii: "0")) }
        output.append(byte: UInt8(ascii: "\n"))
        if accounts.undecided.sum > 0 {
            output.append("left out, lacking a field that a filter asks for: ")
            output.append(decimal: accounts.undecided.sum)
            output.append(byte: UInt8(ascii: "\n"))
        }
        if accounts.missedRuns > 0 {
            output.append("not exact: the kernel skipped runs, failures unseen are at most ")
            output.append(decimal: accounts.missedRuns)
            output.append(byte: UInt8(ascii: "\n"))
        }
        if accounts.undecodable > 0 {
            output.append("not exact: records that could not be read: ")
            output.append(decimal: accounts.undecodable)
            output.append(byte: UInt8(ascii: "\n"))
        }
        append(facts.kernel, to: &output)
    }

    private static let mostMovements = 5

    /// What anybody can check the totals by.
    private static func append(_ movements: [KernelMovement], to output: inout OutputBuffer) {
        let read = movements.filter { !$0.counters.isEmpty }
        for movement in read.prefix(mostMovements) {
            let counters = movement.counters.map { "\($0.name) +\($0.moved)" }.joined(separator: ", ")
            let place = movement.netnsID == 0 ? "" : " in netns \(movement.netnsID)"
            output.append(Array("kernel's counters: \(counters)\(place)\n".utf8))
        }
        if read.count > mostMovements {
            output.append(Array("and \(read.count - mostMovements) more\n".utf8))
        }
    }
}

extension TerminalText {
    /// The tool's own words.
    init(_ words: String) {
        self.init()
        append(words)
    }
}

/// Rows of pieces under a header, each column as wide as its widest piece.
private struct TextTable {
    private var rows: [[TerminalText]]
    private let numbers: [Int]

    /// - Parameter numbers: the columns that stand to the right.
    init(header: [String], numbers: [Int]) {
        rows = [header.map { TerminalText($0) }]
        self.numbers = numbers
    }

    mutating func append(_ row: [TerminalText]) {
        rows.append(row)
    }

    func write(to output: inout OutputBuffer) {
        let widths = rows[0].indices.map { column in rows.reduce(0) { max($0, $1[column].width) } }
        for row in rows {
            var line = TerminalText()
            for (column, text) in row.enumerated() {
                if column > 0 { line.append("  " as String) }
                let width = widths[column]
                line.append(numbers.contains(column) ? text.paddedAtStart(to: width) : text.padded(to: width))
            }
            output.append(line.withoutTrailingSpaces)
            output.append(byte: UInt8(ascii: "\n"))
        }
    }
}
