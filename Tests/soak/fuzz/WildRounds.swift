import CPortTraceWire
import PortTraceCore

/// Records with bytes changed, of any length, in any order, and hostile times: what passes adds up to what the lines
/// show, and every line is what its format promises.
func wildRecordsRound(_ format: OutputFormat, _ random: inout SplitMix, records: Int) throws(Finding) {
    let stage = try Stage(format, &random)
    var (shown, generation): (UInt64, UInt32) = (0, random.number())
    for _ in 0..<records {
        let before = stage.stream.undecodable
        feedWild(to: stage, generation: generation, &random)
        if random.oneIn(10) { stage.answerWildly(&random) }
        try expect(stage.stream.undecodable - before <= 1, "one record counted twice as undecodable")
        if random.oneIn(200) {
            stage.stream.clock.utcOffsetNanoseconds = Int64(bitPattern: random.number())
            stage.stream.lost(.ring, count: random.number(), at: Int64(bitPattern: random.number()))
        }
        if random.oneIn(100) {
            stage.stream.endFlush(generation: generation)
            generation &+= 1
            shown += try shownCount(of: stage)
            try expect(shown == stage.stream.passed, "\(shown) failures in lines, \(stage.stream.passed) passed")
        }
    }
    stage.stream.endFlush(generation: generation)
    shown += try shownCount(of: stage)
    try expect(shown == stage.stream.passed, "\(shown) failures in lines, \(stage.stream.passed) passed")
    stage.answerWildly(&random)
    stage.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: Int64(bitPattern: random.number()))
    try expect(!stage.stream.awaitsAnswers && !stage.stream.awaitsFlush, "clashes are held after the end")
    for line in try stage.takeLines() {
        if line.isEmpty { break }  // the closing table
        shown += try count(line, format)
    }
    try expect(shown == stage.stream.passed, "\(shown) failures in lines in the end, \(stage.stream.passed) passed")
}

extension Stage {
    /// Answers some of what was asked, and what was not, with anything.
    fileprivate func answerWildly(_ random: inout SplitMix) {
        for var clash in questions.asked where !random.oneIn(4) {
            if random.oneIn(8) { clash.natPort = random.number() }
            let ports: [UInt16] = random.pick([
                [], [clash.natPort], [clash.natPort, clash.natPort ^ 1, random.number()],
            ])
            let holders = ports.map { port in
                NATClashEvidence.Holder(
                    port: port, id: random.number() & 3, status: random.number(),
                    timeout: random.oneIn(3) ? nil : random.number(), tcpState: random.pick([nil, 0, 1, 3]))
            }
            let evidence = NATClashEvidence(
                hasOriginal: random.oneIn(4), holders: holders)
            stream.answer(clash, random.oneIn(4) ? nil : evidence, at: random.number())
        }
        questions.asked = []
    }
}

private func feedWild(to stage: Stage, generation: UInt32, _ random: inout SplitMix) {
    let failure = KnownFailure(&random)
    let offset = Int.random(in: 0..<8, using: &random)
    let some = random.oneIn(8) ? random.number() : generation
    if random.oneIn(2) {
        let bytes = mutated(failure.sampleBytes(time: random.number(), generation: some), &random)
        unaligned(bytes, offset) { stage.stream.sample($0) }
        return
    }
    let count: UInt64 = random.number()
    let value = failure.countBytes(
        count, sampled: random.number() % (count | 1), first: random.number(), last: random.number())
    let (keyBytes, valueBytes) = (mutated(failure.keyBytes, &random), mutated(value, &random))
    unaligned(keyBytes, offset) { key in
        unaligned(valueBytes, 7 - offset) { stage.stream.row(key: key, value: $0, generation: some) }
    }
}

private func mutated(_ original: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    if random.oneIn(30) { return random.bytes(Int.random(in: 0...200, using: &random)) }
    var bytes = original
    if random.oneIn(3) { return bytes }
    for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
        let index = Int.random(in: bytes.indices, using: &random)
        switch Int.random(in: 0..<20, using: &random) {
        case 0: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
        case 1: bytes += random.bytes(Int.random(in: 1...9, using: &random))
        case 2...8: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        default:
            bytes[index] = random.pick([0, 1, 2, 3, 4, 6, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &random)])
        }
    }
    return bytes
}

/// The failures that the waiting lines stand for.
private func shownCount(of stage: Stage) throws(Finding) -> UInt64 {
    var sum: UInt64 = 0
    for line in try stage.takeLines() {
        sum += try count(line, stage.format)
    }
    return sum
}

private func count(_ line: [UInt8], _ format: OutputFormat) throws(Finding) -> UInt64 {
    format == .ndjson ? try countInJSON(line) : try countInText(line)
}

private func countInJSON(_ line: [UInt8]) throws(Finding) -> UInt64 {
    let json = try JSON(parsing: line)
    if json["type"]?.string == "lost" || json["type"]?.string == "summary" { return 0 }
    guard let count = json["count"]?.unsigned, count > 0,
        json["timestamp"]?.string.flatMap(utcNanoseconds) != nil
    else { throw Finding("no count or no timestamp", line) }
    return count
}

private func countInText(_ line: [UInt8]) throws(Finding) -> UInt64 {
    // `08:20:45.123  ports exhausted       17  nginx[4711] …`; the time is blank where it is not known.
    let afterTime = line.dropFirst(14)
    if afterTime.starts(with: "lost".utf8) { return 0 }
    let kinds = [
        "ports exhausted", "tuple taken", "bind exhausted", "conntrack full", "conntrack evicted", "SNAT exhausted",
        "insert failed", "TIME_WAIT full", "TCP state",
    ]
    guard let kind = kinds.first(where: { afterTime.starts(with: $0.utf8) }) else { throw Finding("no type", line) }
    let afterKind = afterTime.dropFirst(kind.utf8.count).drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "+") }
    let digits = afterKind.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let count = UInt64(String(decoding: digits, as: UTF8.self)) else { throw Finding("no count", line) }
    return count
}
