import CPortTraceWire
import Testing

@testable import PortTraceCore

/// What is printed adds up to what happened, whatever the maps and the ring could hold.
@Suite struct AccountingTests {
    struct Case: CustomTestStringConvertible {
        var format: OutputFormat
        var each: Bool
        var mostKeys: Int
        var mostFolded: Int
        var ringSize: Int
        var filtered = false

        var testDescription: String {
            "\(format) each=\(each) keys=\(mostKeys) folded=\(mostFolded) ring=\(ringSize) filtered=\(filtered)"
        }

        static var all: [Case] {
            var all: [Case] = []
            for format in [OutputFormat.text, .ndjson] {
                for each in [false, true] {
                    for (keys, folded) in [(10_000, 100), (20, 100), (20, 3), (0, 0)] {
                        for ring in [0, 5, 10_000] {
                            all.append(
                                Case(format: format, each: each, mostKeys: keys, mostFolded: folded, ringSize: ring))
                        }
                    }
                }
                for ring in [0, 5, 10_000] {
                    all.append(
                        Case(
                            format: format, each: false, mostKeys: 10_000, mostFolded: 100, ringSize: ring,
                            filtered: true))
                }
            }
            return all
        }
    }

    @Test(arguments: Case.all) func sumsAreExact(_ run: Case) throws {
        for seed in UInt64(0)..<3 { try check(run, seed: seed) }
    }

    private func check(_ run: Case, seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var kernel = KernelModel(
            mostKeys: run.mostKeys, mostFolded: run.mostFolded, ringSize: run.ringSize, each: run.each,
            // Across the wrap of the generation.
            generation: .max - 2)
        var filter = Filter()
        if run.filtered { try filter.addCgroups(parsing: "/a".utf8) }
        let test = TestStream(
            run.format, each: run.each, filter: filter, paths: Paths([0: "/a", 1: "/a/1", 2: "/b", 3: "/a/3"]))
        var sums = LineSums()
        var passing: [String: UInt64] = [:]
        // Which of its two types a clash becomes is for the answers to tell.
        let either = "snat_exhausted or conntrack_insert_failed"
        let types: [EventType?] = [
            nil, .connectExhausted, .connectConflict, .bindExhausted, .conntrackTableFull, .conntrackEvicted, nil, nil,
            .timeWaitOverflow, .tcpState,
        ]
        func together(_ counts: [String: UInt64]) -> [String: UInt64] {
            var counts = counts
            let taken = ["snat_exhausted", "conntrack_insert_failed"].compactMap { counts.removeValue(forKey: $0) }
            if !taken.isEmpty { counts[either] = taken.reduce(0, +) }
            return counts
        }
        var undecided: UInt64 = 0
        var linesInInterval = 0

        func read() throws {
            let lines = test.takeLines()
            linesInInterval += lines.count
            switch run.format {
            case .ndjson: try sums.add(ndjson: lines)
            case .text: sums.add(text: lines)
            }
        }
        func answer() {
            for clash in test.questions.take() where Int.random(in: 0...3, using: &random) > 0 {
                let port = Bool.random(using: &random) ? clash.natPort : 1
                let holders = (0...1).map { NATClashEvidence.Holder(port: port + $0, id: 7) }
                let evidence = NATClashEvidence(hasOriginal: false, holders: holders)
                test.stream.answer(clash, Bool.random(using: &random) ? evidence : nil, at: 6_000_000_000)
            }
        }
        func flush(isLast: Bool = false) throws {
            let retired = kernel.switchGeneration()
            // Failures of the new generation come meanwhile.
            fail(times: isLast ? 0 : Int.random(in: 0...30, using: &random))
            kernel.consumeRing(into: test)
            kernel.drain(retired, into: test.stream)
            if Bool.random(using: &random) { test.stream.lost(.ring, count: 1, at: 5) }
            if Bool.random(using: &random) { test.stream.lost(.missedRuns, count: 1, at: 5) }
            test.stream.endFlush(generation: retired)
            try read()
            if run.format == .text { #expect(linesInInterval <= 40) }
            linesInInterval = 0
        }
        func fail(times: Int) {
            for _ in 0..<times {
                let key = randomKey(&random)
                kernel.record(key, .example, at: UInt64.random(in: 1...5_000_000_000, using: &random))
                let name = types[Int(key.kind)].map { "\($0.name)" } ?? either
                switch key.cgroup_id {
                case 1, 3: passing[name, default: 0] += 1
                case 2: if !run.filtered { passing[name, default: 0] += 1 }
                default: if run.filtered { undecided += 1 } else { passing[name, default: 0] += 1 }
                }
            }
        }
        for _ in 0..<6 {
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                fail(times: Int.random(in: 0...150, using: &random))
                if Bool.random(using: &random) { kernel.consumeRing(into: test) }
                if Bool.random(using: &random) { answer() }
                try read()
            }
            try flush()
        }
        try flush(isLast: true)
        try flush(isLast: true)
        #expect(!test.stream.awaitsAnswers)

        #expect(together(sums.counts) == passing)
        #expect(test.stream.passed == passing.values.reduce(0, +))
        #expect(test.stream.undecodable == 0)
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: EventType.counted), at: 0)
        let end = test.takeLines()
        switch run.format {
        case .ndjson:
            let summary = try LineSums.object(end.last ?? "")
            let detail = try #require(summary["detail"] as? [String: Any])
            let totals = try #require(detail["totals"] as? [String: UInt64])
            #expect(together(totals).filter { $0.value > 0 } == passing)
            #expect(totals.count == EventType.counted.count)
            let left = try #require(detail["undecided"] as? [String: UInt64])
            #expect(left.values.reduce(0, +) == undecided)
        case .text:
            let words = EventType.counted.map { "\($0.words) \(sums.counts["\($0.name)", default: 0])" }
            #expect(end.contains("total: " + words.joined(separator: ", ")))
            // The table's rows add up as well.
            let counts = LineSums.counts(ofTable: end)
            #expect(counts.reduce(0, +) == passing.values.reduce(0, +))
            #expect(counts.count <= 21)
            #expect(undecided == 0 || end.contains("left out, lacking a field that a filter asks for: \(undecided)"))
        }
    }

    private func randomKey(_ random: inout SplitMix) -> pt_key {
        let kind = UInt8.random(in: 1..<UInt8(PT_KIND_END.rawValue), using: &random)
        var key = (4...7).contains(kind) ? pt_key.clash : .example
        key.kind = kind
        let insertion = UInt8.random(in: 4...7, using: &random)
        key.cause = [0, 1, 2, 1, 3, 3, insertion, 4, UInt8.random(in: 7...8, using: &random), 0][Int(kind)]
        if kind == UInt8(PT_KIND_TCP_STATE.rawValue) { key.states = UInt8.random(in: 1...2, using: &random) << 4 | 7 }
        key.cgroup_id = UInt64.random(in: 0...4, using: &random)
        key.netns_id = UInt32.random(in: 1...2, using: &random)
        key.tgid = UInt32.random(in: 0...2, using: &random)
        // A few destinations fail often.
        let last = min(UInt8.random(in: 0...255, using: &random), UInt8.random(in: 0...255, using: &random))
        key.setDestination([10, 1, 0, last], port: 53)
        if Int.random(in: 0...9, using: &random) == 0 {
            key.tgid = 0
            key.attribution = UInt8(PT_ATTRIBUTION_SOCKET.rawValue)
        }
        return key
    }

    /// Every key's failures, in NDJSON: its lines, at most two an interval.
    @Test func perKey() throws {
        var kernel = KernelModel(mostKeys: 10_000, mostFolded: 10, ringSize: 40, each: false)
        let test = TestStream(.ndjson)
        var random = SplitMix(seed: 9)
        var truth: [String: UInt64] = [:]
        var printed: [String: UInt64] = [:]
        for _ in 0..<5 {
            for _ in 0..<2_000 {
                let last = UInt8.random(in: 0...99, using: &random)
                var key = pt_key.example
                key.setDestination([10, 1, 0, last], port: 53)
                kernel.record(key, .example, at: 1)
                truth["10.1.0.\(last)", default: 0] += 1
                if Int.random(in: 0...50, using: &random) == 0 { kernel.consumeRing(into: test) }
            }
            let retired = kernel.switchGeneration()
            kernel.consumeRing(into: test)
            kernel.drain(retired, into: test.stream)
            test.stream.endFlush(generation: retired)
            var linesOf: [String: Int] = [:]
            for line in test.takeLines() {
                let object = try LineSums.object(line)
                let address = try #require((object["dst"] as? [String: Any])?["addr"] as? String)
                let count = try #require(object["count"] as? UInt64)
                #expect((count > 1) == (object["last_timestamp"] != nil))
                printed[address, default: 0] += count
                linesOf[address, default: 0] += 1
            }
            #expect(linesOf.values.allSatisfy { $0 <= 2 })
        }
        #expect(printed == truth)
    }

    /// More pairs than the closing table follows: its rows add up, and say that they are lower bounds.
    @Test func closingTableOfManyDestinations() throws {
        let test = TestStream(.text)
        var total: UInt64 = 0
        for round in UInt32(0)..<3 {
            for index in 0..<6_000 {
                var key = pt_key.example
                key.setDestination([10, 1, UInt8(index >> 8), UInt8(index & 255)], port: 53)
                var count = pt_count.example
                count.count = UInt64(index % 97 + 1) * (index % 1000 == 0 ? 50 : 1)
                total += count.count
                test.row(key, count, generation: round)
            }
            test.stream.endFlush(generation: round)
        }
        let interval = test.takeLines()
        #expect(interval.count == 120)
        var sums = LineSums()
        sums.add(text: interval)
        #expect(sums.counts == ["connect_exhausted": total])
        #expect(interval[39].hasSuffix(" failures, 5961 more destinations"))
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: 0)
        let table = test.takeLines()
        let counts = LineSums.counts(ofTable: table)
        #expect(counts.count == 21)
        #expect(counts.reduce(0, +) == total)
        #expect(table.contains { $0.hasPrefix("≥: at least;") })
    }

    /// What --each has shown of a failure whose key was folded is taken off the row of its cause.
    @Test func foldedRowsOfSeveralCauses() {
        let test = TestStream(.text, each: true)
        var keys: [pt_key] = []
        for cause in [PT_CAUSE_CHAIN_TOO_LONG, PT_CAUSE_DYING] {
            var key = pt_key.tableFull
            key.kind = UInt8(PT_KIND_CONNTRACK_INSERT_FAILED.rawValue)
            key.cause = UInt8(cause.rawValue)
            keys.append(key)
        }
        test.sample(.conntrack(keys[1]))
        _ = test.take()
        var row = pt_count.conntrack
        row.count = 5
        for key in keys { test.row(key.folded, row, generation: 7) }
        test.stream.endFlush(generation: 7)
        let lines = test.takeLines()
        #expect(lines.count == 2)
        #expect(lines[0].contains("failed          5 ") && lines[0].hasSuffix("hash chain too long"))
        #expect(lines[1].contains("failed          4 ") && lines[1].hasSuffix("its entry was being deleted"))
    }

    /// A row's time in text is that of its sample, where that was not shown itself.
    @Test func timeOfASampleWithoutRoom() {
        let test = TestStream(.text)
        for index in UInt8(1)...12 {
            var sample = pt_sample.example
            sample.key.setDestination([10, 1, 0, index], port: 53)
            sample.time_ns = UInt64(index) * 1_000_000_000
            test.sample(sample)
        }
        #expect(test.takeLines().count == 10)
        for index in UInt8(1)...12 {
            var key = pt_key.example
            key.setDestination([10, 1, 0, index], port: 53)
            var count = pt_count()
            count.count = 1
            count.sampled = 1
            count.detail = .example
            test.row(key, count, generation: 7)
        }
        test.stream.endFlush(generation: 7)
        #expect(test.takeLines().map { $0.prefix(12) } == ["14:03:17.000", "14:03:18.000"])
    }
}
