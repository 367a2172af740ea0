import PortTraceCore

/// What lines and summary must add up to.
struct Accounts {
    var passed: [String: UInt64] = [:]
    var undecided: [String: UInt64] = [:]
    var undecodable: UInt64 = 0
    var lost: UInt64 = 0
    var missed: UInt64 = 0
}

/// Records whose fate is known: each NDJSON line must say what its record said, and the summary must add them up.
func knownRecordsRound(_ random: inout SplitMix, records: Int) throws(Finding) {
    let stage = try Stage(.ndjson, &random)
    var accounts = Accounts()
    for index in 0..<records {
        var failure = KnownFailure(&random)
        let isSpoilt = random.oneIn(6)
        if isSpoilt { failure.spoil(&random) }
        let fed = feed(failure, to: stage, &random)
        if !isSpoilt, fed.count > 0 { try answer(&failure, stage, &random) }
        let lines = try stage.takeLines()
        if isSpoilt {
            accounts.undecodable += 1
            try expect(lines.isEmpty, "a spoilt record has a line: \(failure.key)")
        } else if fed.count > 0 {
            let path = stage.paths.path(ofCgroup: failure.cgroupID)
            switch stage.filter.verdict(failure, cgroup: path) {
            case .reject: try expect(lines.isEmpty, "a rejected failure has a line: \(failure) \(stage.filter)")
            case .undecided:
                accounts.undecided[failure.typeName, default: 0] += fed.count
                try expect(lines.isEmpty, "an undecided failure has a line: \(failure) \(stage.filter)")
            case .pass:
                accounts.passed[failure.typeName, default: 0] += fed.count
                try expect(
                    lines.count == 1, "\(lines.count) lines of a failure that passes: \(failure) \(stage.filter)")
                try LineCheck(lines[0], stage).check(failure, fed)
            }
        } else {
            try expect(lines.isEmpty, "a row with nothing left has a line: \(failure.key)")
        }
        try expect(stage.stream.undecodable == accounts.undecodable, "undecodable record \(index): \(failure)")
        if random.oneIn(300) {
            stage.stream.endFlush(generation: random.number())
            stage.verdicts = [:]
        }
    }
    try finish(stage, &accounts, &random)
}

/// What was given of one failure.
struct Fed {
    var count: UInt64 = 1
    /// UTC.
    var first: Int64
    var last: Int64?
}

private func feed(_ failure: KnownFailure, to stage: Stage, _ random: inout SplitMix) -> Fed {
    func time() -> UInt64 { UInt64.random(in: 0...(1 << 60), using: &random) }
    func utc(_ time: UInt64) -> Int64 { Int64(time) + stage.stream.clock.utcOffsetNanoseconds }
    let offset = Int.random(in: 0..<4, using: &random)
    if Bool.random(using: &random) {
        let at = time()
        unaligned(failure.sampleBytes(time: at, generation: random.number()), offset) { stage.stream.sample($0) }
        return Fed(first: utc(at))
    }
    let (count, first, last) = (random.number(UInt64.self) & ((1 << 40) - 1), time(), time())
    let sampled = random.oneIn(2) ? min(1, count) : UInt64.random(in: 0...count, using: &random)
    let value = failure.countBytes(count, sampled: sampled, first: first, last: last)
    unaligned(failure.keyBytes, offset) { key in
        unaligned(value, 3 - offset) { stage.stream.row(key: key, value: $0, generation: random.number()) }
    }
    return Fed(count: count - sampled, first: utc(first), last: count - sampled > 1 ? max(utc(first), utc(last)) : nil)
}

/// Answers what was asked about a clash, and tells it what it was.
private func answer(_ failure: inout KnownFailure, _ stage: Stage, _ random: inout SplitMix) throws(Finding) {
    let asked = stage.questions.asked
    stage.questions.asked = []
    guard let clash = failure.natClash else { return try expect(asked.isEmpty, "a question about \(failure)") }
    if let question = asked.first {
        try expect(asked == [clash], "not the question \(clash): \(asked)")
        let low = min(clash.natPort, .max - 15)
        let row = low...low + 15
        let isUnread = random.oneIn(4)
        let isAll = !isUnread && stage.widenSpan(of: clash.pair, by: row) == row
        // Without a gap a row that is not all would wait for the interval's end.
        let gap = isAll ? nil : row.dropFirst().first { $0 != clash.natPort }
        let evidence = NATClashEvidence(
            hasOriginal: random.oneIn(4),
            holders: row.filter { $0 != gap }.map { port in
                NATClashEvidence.Holder(port: port, id: random.number(), status: 0, timeout: nil, tcpState: nil)
            })
        stage.stream.answer(question, isUnread ? nil : evidence, at: 0)
        stage.verdicts[clash.pair] = isAll && !evidence.hasOriginal && clash.natPort != clash.sourcePort
    }
    failure.isExhausted = stage.verdicts[clash.pair] ?? false
}

func unaligned(_ bytes: [UInt8], _ offset: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    (Array(repeating: 0xaa, count: offset) + bytes).withUnsafeBytes {
        body(UnsafeRawBufferPointer(rebasing: $0[offset...]))
    }
}

private func finish(_ stage: Stage, _ accounts: inout Accounts, _ random: inout SplitMix) throws(Finding) {
    for (place, count) in [
        (LossPlace.ring, UInt64.random(in: 0...9, using: &random)), (.missedRuns, random.pick([0, 0, 5])),
    ] {
        stage.stream.lost(place, count: count, at: Int64.random(in: 0...Int64.max, using: &random))
        let lines = try stage.takeLines()
        try expect(lines.count == (count > 0 ? 1 : 0), "\(lines.count) lost lines of \(count)")
        if place == .ring { accounts.lost = count } else { accounts.missed = count }
        for line in lines {
            let json = try JSON(parsing: line)
            try expect(json["type"]?.string == "lost" && json["count"]?.unsigned == count, "a lost line: \(json)")
        }
    }
    let tier = String(decoding: random.hostileBytes(atMost: 30), as: UTF8.self)
    stage.stream.finish(
        SessionFacts(
            hooks: [("connect", "fentry"), ("bind", tier)], attachedTypes: [.connectExhausted],
            kernel: [KernelMovement(netnsID: 5, drop: 7)]),
        at: Int64.random(in: Int64.min...Int64.max, using: &random))
    let lines = try stage.takeLines()
    try expect(lines.count == 1, "\(lines.count) lines at the end")
    try LineCheck(lines[0], stage).checkSummary(accounts, bindTier: tier)
    try expect(
        stage.messages.allSatisfy { $0.unicodeScalars.allSatisfy { !$0.isHazardous } }, "messages: \(stage.messages)")
}
