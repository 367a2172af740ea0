import ReplayedNode
import Testing

@testable import PortTraceCore

@Suite struct TopNodeTests {
    private func rows(_ options: String) throws -> [String] {
        let source = ReplayedNode(filter: try Filter(options), isHostile: true)
        return source.picture(tick: 0).rows.map { row in
            "\(row.occupancy.resource.kind.rawValue) \(row.occupancy.used)"
        }
    }

    /// One holder is enough; what nobody is known to hold may be anybody's, and does not pass.
    @Test(
        arguments: [
            (
                "",
                [
                    "snat 58", "bind_ports 190", "conntrack 205000", "ports 150", "ports 9000", "time_wait 20113",
                    "conntrack 310", "bind_ports 0",
                ]
            ),
            ("pod shop/worker-*", ["ports 150", "time_wait 20113"]),
            ("namespace evil", ["bind_ports 190"]),
            ("pod checkout-*", ["snat 58", "conntrack 205000", "ports 150", "time_wait 20113", "conntrack 310"]),
            // Of an open socket no process is known.
            ("comm nginx", ["time_wait 20113"]),
            ("pid 666", ["bind_ports 190"]),
            ("cgroup /system.slice", ["ports 9000"]),
            ("dest 203.0.113.0/24", ["snat 58"]),
            ("dest 203.0.113.10:443,[2001:db8::/32]:443", ["snat 58", "ports 9000"]),
            ("dest 2001:db8::1234:5678:9abc:def0", ["ports 9000"]),
            ("dest [2001:db8::1234:5678:9abc:def0]:80,198.51.100.0/24", []),
            ("kind snat_exhausted,bind_exhausted", ["snat 58", "bind_ports 190", "bind_ports 0"]),
            // Both must be true of the same holder.
            ("comm nginx pod worker-*", []),
        ] as [(String, [String])])
    func filters(_ options: String, _ left: [String]) throws {
        #expect(try rows(options) == left)
    }

    @Test func failuresComeFirstAndAreCountedByTheSecond() throws {
        let source = ReplayedNode()
        for tick in 0...10 { #expect(source.picture(tick: UInt64(tick)).rows.allSatisfy { !$0.isFailing }) }
        let picture = source.picture(tick: 11)
        let failing = try #require(picture.rows.first)
        #expect(failing.isFailing && failing.failures == 120 && failing.failuresPerSecond == 120)
        #expect(failing.occupancy.used == 234)
        // Nothing fails any more: it stays first for 10 s.
        for second in 1...9 {
            let time = ReplayedNode.start + UInt64(11 + second) * 1_000_000_000
            source.node.failures(picture.tallies(of: failing.occupancy.resource), at: time)
            let row = try #require(source.node.picture(at: time).rows.first { $0.failures > 0 })
            #expect(row.isFailing && row.failuresPerSecond == 0)
        }
        let later = source.node.picture(at: ReplayedNode.start + 21_000_000_000)
        #expect(later.rows.allSatisfy { !$0.isFailing })
        #expect(later.failures == 120)
    }

    /// What is near or fails is looked at more often.
    @Test func urgencyIsOfTheNearestAndOfWhatFails() {
        let node = ReplayedNode().node
        let start = ReplayedNode.start
        #expect(node.urgency { _ in true } == 0)
        let translations = Resource(.snat, in: NamespaceIdentity(inode: 77, mix: 5), proto: 17)
        node.look([Occupancy(translations, used: 48, limit: 60, holders: [])], at: start) { $0.kind == .snat }
        #expect(node.urgency { $0.kind == .snat } == 800)
        #expect(node.urgency { $0.kind != .snat } == 0)
        var wanted = translations
        wanted.namespace.mix = 0
        let tally = FailureTally(type: .snatExhausted, cause: .natPorts, resource: wanted, count: 3)
        node.failures([tally], at: start + 1_000_000_000)
        #expect(node.urgency { $0.kind == .snat } == 1_000)
        node.failures([tally], at: start + 12_000_000_000)
        #expect(node.urgency { $0.kind == .snat } == 800)
    }

    @Test func failuresThatNoCensusHasMet() throws {
        let node = ReplayedNode().node
        var tally = FailureTally(
            type: .bindExhausted, cause: .portRange,
            resource: Resource(.bindPorts, in: NamespaceIdentity(inode: 77, mix: 0), proto: 17), count: 9)
        tally.portRange = PortRange(low: 32_768, high: 33_001)
        node.failures([tally], at: ReplayedNode.start + 3_000_000_000)
        let row = try #require(node.picture(at: ReplayedNode.start + 3_000_000_000).rows.first)
        #expect(!row.isMeasured && row.failuresPerSecond == 3 && row.occupancy.limit == 234)
    }

    @Test func snapshots() throws {
        let source = ReplayedNode(forTerminal: false)
        for tick in 0..<12 { _ = source.picture(tick: UInt64(tick)) }
        var line = ""
        source.node.withSnapshot(of: source.picture(tick: 12), at: 1_795_269_786_000_000_000) {
            line = String(decoding: $0, as: UTF8.self)
        }
        #expect(
            line.hasPrefix(
                #"{"schema":1,"timestamp":"2026-11-21T14:03:06.000000000Z","node":"worker-17","type":"snapshot","#))
        #expect(line.hasSuffix("]}\n") && line.count { $0 == "\n" } == 1)
        let rows = try #require(LineSums.object(line)["rows"] as? [[String: Any]])
        #expect(rows.count == 8)
        let first = rows[0]
        #expect(Set(first.keys) == ["resource", "rate_per_s", "failures_per_s", "eta_s", "holders"])
        #expect(first["failures_per_s"] as? Int == 120)
        #expect(
            line.contains(
                #"{"resource":{"kind":"ports","netns_id":4026532345,"proto":"tcp","src":{"addr":"10.20.1.2"},"#
                    + #""dst":{"addr":"10.20.0.10","port":8080,"k8s":{"namespace":"shop","pod":"payments-0"}},"used":234,"limit":234}"#
            ))
        let table = try #require(rows.first { ($0["resource"] as? [String: Any])?["used"] as? Int == 223_000 })
        #expect(table["rate_per_s"] as? Int == 1_500)
        #expect(try #require(table["eta_s"] as? Double).rounded(.down) == 26)
        let holders = try #require(table["holders"] as? [[String: Any]])
        #expect(holders.reduce(0) { $0 + ($1["count"] as? Int ?? 0) } == 223_000)
    }

    /// What has a time until it is full has a rate.
    @Test(arguments: [(0.04, "0.04"), (-0.0123456, "-0.012346"), (0.1, "0.1"), (12.34, "12.3"), (0, "0"), (-1e-9, "0")])
    func rates(_ rate: Double, _ written: String) {
        var output = OutputBuffer()
        output.append(rate: rate)
        #expect(output.withBytes { String(decoding: $0, as: UTF8.self) } == written)
    }

    @Test func recentFailuresAreAFew() {
        var tallies = FailureTallies()
        var failure = Failure(type: .connectExhausted, cause: .portRange)
        failure.cgroupID = 5
        for time in 1...20 { tallies.add(failure, count: UInt64(time), at: UInt64(time)) }
        #expect(tallies.all.first?.recent.map(\.time) == Array(13...20))
        #expect(tallies.all.first?.recent.last?.victim.cgroupID == 5)
        #expect(tallies.all.first?.count == 210)
    }
}

@Suite struct TopWordsTests {
    @Test(
        arguments: [
            (0, 6, "0"), (999_999, 6, "999999"), (1_048_576, 6, "1048k"), (262_144, 6, "262144"),
            (12_345_678, 4, "12M"),
            (9_999, 4, "9999"), (10_000, 4, "10k"), (.max, 4, "18446744073G"),
        ] as [(UInt64, Int, String)])
    func counts(_ number: UInt64, _ columns: Int, _ text: String) {
        #expect(TopWords.count(number, columns: columns) == text)
    }

    @Test(
        arguments: [
            (nil, true, ""), (0, true, "0"), (0, false, ""), (0.04, true, "+0.04"), (0.004, true, "<0.01"),
            (-0.004, true, "0"), (0.04, false, ""), (0.05, true, "+0.1"), (-0.04, true, "-0.04"),
            (-3.25, true, "-3.3"),
            (9.94, false, "9.9"), (9.96, false, "10"), (12_345, true, "+12345"), (-123_456, true, "-123k"),
        ] as [(Double?, Bool, String)])
    func rates(_ rate: Double?, _ signed: Bool, _ text: String) {
        #expect(TopWords.rate(rate, signed: signed) == text)
    }

    @Test(
        arguments: [
            (0, 10, "[        0%]"), (5, 10, "[|||||  50%]"), (10, 10, "[||||||100%]"), (99, 100, "[|||||||99%]"),
            (999, 1_000, "[|||||||99%]"), (50, 10, "[||||||500%]"), (1, nil, "[  no limit]"),
        ] as [(UInt64, UInt64?, String)])
    func bars(_ used: UInt64, _ limit: UInt64?, _ text: String) {
        #expect(TopWords.bar(TopRow(Occupancy(.table, used: used, limit: limit, holders: [])), columns: 12) == text)
    }
}
