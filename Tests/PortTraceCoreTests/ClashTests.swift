import CPortTraceWire
import Testing

@testable import PortTraceCore

/// Clashes of source NAT wait for their verdict, and no longer than they may.
@Suite struct ClashTests {
    /// A clash of the pair towards a server, from a port.
    private func key(_ server: UInt8 = 9, from port: UInt16 = 5555) -> pt_key {
        var key = pt_key.clash
        key.flags &= ~UInt8(PT_FLAG_BACKEND.rawValue)
        key.setDestination([10, 0, 0, server], port: 53)
        key.start_ns = UInt64(port)
        return key
    }

    private func sample(_ key: pt_key, generation: UInt32 = 0) -> pt_sample {
        var sample = pt_sample.conntrack(key)
        sample.generation = generation
        return sample
    }

    private func row(_ count: UInt64, sampled: UInt64 = 1) -> pt_count {
        var row = pt_count.conntrack
        (row.count, row.sampled) = (count, sampled)
        return row
    }

    private let spent = NATClashEvidence(
        hasOriginal: false, holders: (40000...40015).map { NATClashEvidence.Holder(port: $0, id: 7) })
    private let now: UInt64 = 1_600_000_000

    /// Type, count and evidence of the waiting lines.
    private func lines(_ test: TestStream) throws -> [String] {
        try test.takeLines().map { line in
            let object = try LineSums.object(line)
            let type = object["type"] as? String ?? ""
            let evidence = (object["detail"] as? [String: Any])?["evidence"] as? String
            return "\(type) \(object["count"] as? UInt64 ?? 0)" + (evidence.map { " \($0)" } ?? "")
        }
    }

    @Test func waitsForTheAnswer() throws {
        let test = TestStream(.ndjson)
        test.sample(sample(key()))
        #expect(test.take() == "" && test.stream.awaitsAnswers && test.stream.passed == 0)
        let asked = test.questions.take()
        #expect(asked.count == 1)
        test.stream.answer(asked[0], spent, at: now)
        #expect(try lines(test) == ["snat_exhausted 1 all_held"])
        #expect(!test.stream.awaitsAnswers && test.stream.passed == 1)

        // The answer serves the pair's others until the interval ends; nobody asks again.
        test.row(key(), row(5), generation: 0)
        test.sample(sample(key(from: 6666)))
        #expect(try lines(test) == ["snat_exhausted 4 all_held", "snat_exhausted 1 all_held"])
        test.stream.endFlush(generation: 0)
        #expect(test.questions.take().isEmpty)
        test.sample(sample(key(), generation: 1))
        #expect(try lines(test).isEmpty)
        #expect(test.questions.take().count == 1)
    }

    @Test func asksOnceForAPairAndInterval() {
        let test = TestStream(.ndjson)
        for port in UInt16(1)...20 { test.sample(sample(key(from: port))) }
        test.row(key(from: 21), row(3, sampled: 0), generation: 0)
        test.stream.endFlush(generation: 0)
        // Without an answer it is still under way.
        test.sample(sample(key(), generation: 1))
        #expect(test.questions.take().count == 1)
        test.sample(sample(key(8), generation: 1))
        var elsewhere = key()
        elsewhere.zone = 1
        test.sample(sample(elsewhere, generation: 1))
        #expect(test.questions.take().count == 2)
    }

    @Test(arguments: [NATClashEvidence?.none, NATClashEvidence(hasOriginal: false, holders: [])])
    func whatCannotBeToldIsARace(
        _ evidence: NATClashEvidence?
    ) throws {
        let test = TestStream(.ndjson)
        test.row(key(), row(5, sampled: 0), generation: 0)
        test.stream.endFlush(generation: 0)
        #expect(test.take() == "")
        test.stream.answer(try #require(test.questions.take().first), evidence, at: now)
        #expect(try lines(test) == ["conntrack_insert_failed 5"])
    }

    @Test func anAnswerIsForItsPairAlone() throws {
        let test = TestStream(.ndjson)
        test.sample(sample(key(8)))
        test.sample(sample(key(9)))
        let asked = test.questions.take()
        test.stream.answer(asked[1], spent, at: now)
        #expect(try lines(test) == ["snat_exhausted 1 all_held"])
        // One that nobody waits for, and the same once more.
        var other = asked[0]
        other.natPort = 1
        test.stream.answer(other, spent, at: now)
        test.stream.answer(asked[1], nil, at: now)
        #expect(test.take() == "" && test.stream.awaitsAnswers)
    }

    @Test func waitsUntilTheNextFlushEnds() throws {
        let test = TestStream(.ndjson)
        test.sample(sample(key(), generation: .max))
        test.row(key(), row(5), generation: .max)
        test.stream.endFlush(generation: .max)
        test.sample(sample(key(8), generation: 0))
        #expect(try lines(test).isEmpty)
        test.stream.endFlush(generation: 0)
        #expect(try lines(test) == ["conntrack_insert_failed 1", "conntrack_insert_failed 4"])
        #expect(test.stream.awaitsAnswers)
        test.stream.endFlush(generation: 1)
        #expect(try lines(test) == ["conntrack_insert_failed 1"])
        #expect(!test.stream.awaitsAnswers)
        // A late answer is one all the same, for what comes next.
        test.stream.answer(try #require(test.questions.take().first), spent, at: now)
        test.sample(sample(key(), generation: 2))
        #expect(try lines(test) == ["snat_exhausted 1 all_held"])
    }

    @Test func waitsNoLongerThanTheRun() throws {
        for format in [OutputFormat.ndjson, .text] {
            let test = TestStream(format)
            test.row(key(), row(5), generation: 0)
            test.stream.endFlush(generation: 0)
            _ = test.take()
            test.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: 0)
            #expect(!test.stream.awaitsAnswers)
            let end = test.takeLines()
            try #require(end.count >= 2)
            switch format {
            case .ndjson:
                #expect(
                    end.count == 2 && end[0].contains(#""type":"conntrack_insert_failed","cause":"race","count":4"#))
                #expect(end[1].contains(#""totals":{"conntrack_insert_failed":4}"#))
            case .text:
                #expect(end[0].contains("insert failed          5  /checkout/worker"))
                #expect(end.last == "total: insert failed 5")
            }
        }
    }

    /// What held the port an interval before, and still does, held it when the flow searched.
    @Test func rememberedHoldersShowExhaustion() throws {
        let test = TestStream(.ndjson)
        var young = NATClashEvidence(hasOriginal: false, holders: [NATClashEvidence.Holder(port: 40000, id: 7)])
        func round(_ generation: UInt32) throws -> [String] {
            test.sample(sample(key(), generation: generation))
            for clash in test.questions.take() { test.stream.answer(clash, young, at: now) }
            test.stream.endFlush(generation: generation)
            return try lines(test)
        }
        #expect(try round(0) == ["conntrack_insert_failed 1"])
        #expect(try round(1) == ["snat_exhausted 1 held_before"])
        young.holders[0].id = 8
        #expect(try round(2) == ["conntrack_insert_failed 1"])
        #expect(try round(3) == ["snat_exhausted 1 held_before"])
        // A minute without a clash: forgotten.
        for generation in UInt32(4)...62 { test.stream.endFlush(generation: generation) }
        #expect(try round(63) == ["snat_exhausted 1 held_before"])
        for generation in UInt32(64)...124 { test.stream.endFlush(generation: generation) }
        #expect(try round(125) == ["conntrack_insert_failed 1"])
    }

    /// An answer without evidence takes away none.
    @Test func holdersAreRememberedOverAnUnreadAnswer() throws {
        let test = TestStream(.ndjson)
        let young = NATClashEvidence(hasOriginal: false, holders: [NATClashEvidence.Holder(port: 40000, id: 7)])
        for (generation, evidence) in [young, nil, young].enumerated() {
            test.sample(sample(key(), generation: UInt32(generation)))
            test.stream.answer(try #require(test.questions.take().first), evidence, at: now)
            test.stream.endFlush(generation: UInt32(generation))
        }
        let expected = ["conntrack_insert_failed 1", "conntrack_insert_failed 1", "snat_exhausted 1 held_before"]
        #expect(try lines(test) == expected)
    }

    /// An answer that comes long after the clash shows less.
    @Test func theAnswersTimeCounts() throws {
        let idle = NATClashEvidence(
            hasOriginal: false,
            holders: [
                NATClashEvidence.Holder(port: 40000, id: 7, status: 0, timeout: 27, tcpState: nil),
                NATClashEvidence.Holder(port: 50000, id: 8, status: 0, timeout: 30, tcpState: nil),
            ])
        for (time, expected) in [
            (UInt64(1_612_345_678), "snat_exhausted 1 held_before"), (4_512_345_678, "conntrack_insert_failed 1"),
            (0, "conntrack_insert_failed 1"),
        ] {
            let test = TestStream(.ndjson)
            test.sample(sample(key()))
            test.stream.answer(try #require(test.questions.take().first), idle, at: time)
            #expect(try lines(test) == [expected])
        }
    }

    /// A few ports in a row show nothing by themselves: how often the pair clashes by the interval's end does.
    @Test(arguments: [(UInt64(3), true), (2, false)]) func aSmallRowIsDecidedByTheIntervalsEnd(
        _ clashes: UInt64, _ isExhausted: Bool
    ) throws {
        let few = NATClashEvidence(
            hasOriginal: false, holders: (40000...40004).map { NATClashEvidence.Holder(port: $0, id: 7) })
        func line(_ count: UInt64) -> String {
            isExhausted ? "snat_exhausted \(count) all_held" : "conntrack_insert_failed \(count)"
        }
        let test = TestStream(.ndjson)
        test.sample(sample(key()))
        test.stream.answer(try #require(test.questions.take().first), few, at: now)
        #expect(try lines(test).isEmpty)
        #expect(!test.stream.awaitsAnswers && test.stream.awaitsFlush)
        test.row(key(), row(clashes), generation: 0)
        #expect(test.questions.take().isEmpty && test.take() == "")
        test.stream.endFlush(generation: 0)
        #expect(try lines(test) == [line(1), line(clashes - 1)])
        // The next interval counts for itself; the run's end decides what is left.
        test.row(key(from: 21), row(clashes, sampled: 0), generation: 1)
        var other = few
        other.holders = few.holders.map { NATClashEvidence.Holder(port: $0.port, id: 8) }
        test.stream.answer(try #require(test.questions.take().first), other, at: now)
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: 0)
        #expect(try lines(test).first == line(clashes))
        #expect(!test.stream.awaitsFlush)
    }

    /// Ports that the NAT address gave other flows, towards another destination, are of its range too.
    @Test func portsOfOtherPairsCount() throws {
        let test = TestStream(.ndjson)
        let others = NATClashEvidence(
            hasOriginal: false, holders: [40000, 40040].map { NATClashEvidence.Holder(port: $0, id: 7) })
        for (server, evidence, expected) in [
            (UInt8(8), spent, ["snat_exhausted 1 all_held"]), (9, others, ["conntrack_insert_failed 1"]),
            (10, spent, []),
        ] {
            test.sample(sample(key(server)))
            test.stream.answer(try #require(test.questions.take().first), evidence, at: now)
            #expect(try lines(test) == expected)
        }
        // A row that shows nothing by itself.
        test.stream.endFlush(generation: 0)
        #expect(try lines(test) == ["conntrack_insert_failed 1"])
    }

    /// The clash says what an entry has left that is just made.
    @Test func theClashsOwnTimeoutTellsAge() throws {
        let idle = NATClashEvidence(
            hasOriginal: false,
            holders: [NATClashEvidence.Holder(port: 40000, id: 7, status: 0, timeout: 27, tcpState: nil)])
        for (fresh, expected) in [
            (UInt32(30), "snat_exhausted 1 held_before"), (28, "conntrack_insert_failed 1"),
            (0, "conntrack_insert_failed 1"),
        ] {
            let test = TestStream(.ndjson)
            var clash = sample(key())
            clash.detail.fresh_timeout = fresh
            test.sample(clash)
            test.stream.answer(try #require(test.questions.take().first), idle, at: 1_612_345_678)
            #expect(try lines(test) == [expected])
        }
    }

    @Test func foldedClashesAreRacesAtOnce() throws {
        let test = TestStream(.ndjson)
        test.row(key().folded, row(5), generation: 0)
        test.row(key().other, row(7), generation: 0)
        #expect(try lines(test) == ["conntrack_insert_failed 4", "conntrack_insert_failed 6"])
        #expect(test.questions.take().isEmpty)
    }

    @Test func eachIsShownByItself() throws {
        let test = TestStream(.ndjson, each: true)
        for _ in 0..<3 { test.sample(sample(key())) }
        test.stream.answer(try #require(test.questions.take().first), spent, at: now)
        #expect(try lines(test) == Array(repeating: "snat_exhausted 1 all_held", count: 3))
    }

    /// What is held is bounded: more of a held key are counted with it, others are races at once.
    @Test func boundOfLines() throws {
        let test = TestStream(.ndjson)
        for port in UInt16(1)...1_024 { test.sample(sample(key(from: port))) }
        #expect(test.take() == "")
        var more = sample(key(from: 1_000))
        more.time_ns = 1_700_000_000
        test.sample(more)
        test.row(key(from: 1_000), row(7), generation: 0)
        #expect(test.take() == "")
        test.sample(sample(key(from: 1_025)))
        #expect(try lines(test) == ["conntrack_insert_failed 1"])
        test.stream.answer(try #require(test.questions.take().first), spent, at: now)
        let released = test.takeLines()
        #expect(released.count == 1_024)
        #expect(
            released[999].hasPrefix(
                #"{"schema":1,"timestamp":"2026-11-21T14:03:07.512345678Z","#
                    + #""last_timestamp":"2026-11-21T14:03:08.000000001Z","node":"node-1","type":"snat_exhausted","#
                    + #""cause":"nat_ports","count":8,"#))
        #expect(test.stream.passed == 1_024 + 1 + 6 + 1)
    }

    @Test func boundOfPairs() throws {
        let test = TestStream(.ndjson)
        for port in UInt16(1)...1_030 {
            var key = key()
            key.setDestination([10, 0, 0, 9], port: port)
            test.sample(sample(key))
        }
        #expect(test.questions.take().count == 1_024)
        #expect(try lines(test).count == 6)
    }

    @Test func theOtherFiltersDecideBeforeTheyAsk() throws {
        var filter = Filter()
        try filter.addTypes(parsing: "conntrack_table_full".utf8)
        let (test, elsewhere) = (TestStream(.ndjson, filter: filter), Questions())
        test.sample(sample(key()))
        filter = Filter()
        try filter.addDestinations(parsing: "10.0.0.8".utf8)
        let other = TestStream(.text, filter: filter)
        other.sample(sample(key()))
        other.row(key(), row(5), generation: 0)
        #expect(test.questions.take() + other.questions.take() + elsewhere.take() == [])
        #expect(!test.stream.awaitsAnswers && !other.stream.awaitsAnswers)
    }

    @Test(arguments: [("snat_exhausted", true), ("conntrack_insert_failed", false)]) func theKindIsDecidedByTheVerdict(
        _ kind: String, _ isExhausted: Bool
    ) throws {
        for exhausted in [true, false] {
            var filter = Filter()
            try filter.addTypes(parsing: kind.utf8)
            let test = TestStream(.ndjson, filter: filter)
            test.sample(sample(key()))
            test.stream.answer(try #require(test.questions.take().first), exhausted ? spent : nil, at: now)
            #expect(try lines(test).count == (exhausted == isExhausted ? 1 : 0))
        }
    }

    @Test func undecidedIsCountedAsWhatItWas() throws {
        var filter = Filter()
        try filter.addPIDs(parsing: "1".utf8)
        let test = TestStream(.ndjson, filter: filter)
        test.sample(sample(key(8)))
        test.sample(sample(key(9)))
        test.stream.answer(try #require(test.questions.take().last), spent, at: now)
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: 0)
        #expect(test.take().contains(#""undecided":{"snat_exhausted":1,"conntrack_insert_failed":1}"#))
    }

    /// In text a sample asks, and its row is shown.
    @Test func text() throws {
        let test = TestStream(.text)
        test.sample(sample(key()))
        #expect(test.take() == "" && !test.stream.awaitsAnswers)
        let asked = test.questions.take()
        test.row(key(), row(5), generation: 0)
        #expect(test.questions.take().isEmpty && test.stream.awaitsAnswers)
        test.stream.endFlush(generation: 0)
        #expect(test.take() == "")
        test.stream.answer(try #require(asked.first), spent, at: now)
        #expect(test.take() == "" && test.stream.passed == 5)
        test.stream.endFlush(generation: 1)
        let lines = test.takeLines()
        #expect(lines.count == 1)
        // Of the sample's time.
        #expect(lines.first?.hasPrefix("14:03:07.512  SNAT exhausted         5  /checkout/worker") == true)
    }
}
