import Testing

@testable import PortTraceCore

/// Busy nodes that are well: no warning.
@Suite struct CheckHealthyTests {
    typealias Node = StagedNode

    struct Variant: CustomTestStringConvertible {
        var testDescription: String
        var node: StagedNode

        init(_ name: String, _ change: (inout StagedNode) -> Void) {
            testDescription = name
            node = Node().with(change)
        }
    }

    private static func past(_ move: (inout NamespaceCounters.Values) -> Void) -> NamespaceCounters {
        var counters = NamespaceCounters(netnsID: Node.host.inode)
        move(&counters.total)
        return counters
    }

    static let variants: [Variant] = [
        Variant("nothing at all") { _ in },
        Variant("79 % of the ports, steadily") { $0.use(Node.ports, 22_300, of: 28_232) },
        Variant("79 % of the table, steadily") { $0.fillTable([3: 79_000], of: 100_000) },
        Variant("79 % of the ports for bind()") {
            $0.use(Node.bindPorts, 22_300, of: 28_232)
            $0.setPod { $0.boundPorts = 22_300 }
        },
        Variant("ports of many destinations, which bind() alone would lack") {
            $0.use(Node.bindPorts, 28_232, of: 28_232)
            $0.setPod { $0.boundPorts = 100 }
        },
        Variant("all in TIME_WAIT, with tcp_tw_reuse") {
            $0.use(Node.ports, 28_232, of: 28_232, timeWait: 28_000)
            $0.setPod {
                $0.timeWaitReuse = 1
                $0.timestamps = 1
            }
        },
        Variant("churn that has just begun") {
            $0.use(Node.ports, 1_000, of: 28_232, before: 0, timeWait: 1_000, timeWaitBefore: 0)
        },
        Variant("churn that has just begun, by the namespace's TIME_WAIT") {
            $0.use(Node.ports, 1_000, of: 28_232, before: 0)
            $0.sample.ports!.namespaces[1].timeWait = 1_000
        },
        Variant("churn in balance") {
            $0.use(Node.ports, 12_040, of: 28_232, before: 12_000, timeWait: 12_000, timeWaitBefore: 11_970)
        },
        Variant("a table's churn that has just begun") {
            $0.fillTable([3: 500, 7: 3_000], of: 100_000, before: [3: 500])
        },
        Variant("a table's churn that has just begun, its timeout short") {
            $0.fillTable([3: 500, 7: 9_000], of: 100_000, before: [3: 500])
            $0.sample.tables[0].timeouts[.timeWait] = 30
        },
        Variant("UDP that has just begun, each for 30 s") {
            $0.fillTable([3: 500], udp: 9_000, of: 100_000)
            $0.sample.tablesBefore[0].protocols[17] = 0
            $0.sample.tablesBefore[0].table.used = 500
        },
        Variant("a table's churn in balance") {
            $0.fillTable([3: 5_000, 7: 60_000], of: 100_000, before: [3: 5_010, 7: 59_800])
        },
        Variant("open connections that waver") { $0.use(Node.ports, 2_080, of: 28_232, before: 2_000, timeWait: 0) },
        Variant("a few more connections in a small range") {
            $0.use(Node.ports, 27, of: 100, before: 20, timeWait: 0)
        },
        Variant("a load that ends") { $0.use(Node.ports, 9_000, of: 28_232, before: 20_000, timeWait: 0) },
        Variant("a leak that takes an hour") {
            $0.use(Node.ports, 5_025, of: 28_232, before: 5_000, timeWait: 0)
        },
        Variant("many TIME_WAIT sockets below their limit") {
            $0.setPod { $0.timeWait = 100_000 }
        },
        Variant("no limit for TIME_WAIT known") { $0.setPod { ($0.timeWait, $0.timeWaitLimit) = (100_000, 0) } },
        Variant("an unlimited table") {
            $0.fillTable([3: 900_000], of: 1)
            $0.sample.tables[0].table.limit = nil
            $0.sample.facts.conntrackMax = 0
        },
        Variant("counters that stood still: drops long ago") {
            $0.sample.counters = [past { $0.drop = 1_000_000 }]
        },
        Variant("counters that stood still: evictions and insertions long ago") {
            $0.sample.counters = [
                past {
                    $0.earlyDrop = 500
                    $0.insertFailed = 77
                    $0.timeWaitOverflow = 3
                }
            ]
        },
        Variant("packets that conntrack finds invalid") {
            var counters = NamespaceCounters(netnsID: Node.host.inode)
            counters.moved.drop = 50
            counters.total.drop = 50
            $0.sample.counters = [counters]
        },
        Variant("mappings of an address whose range is not known") {
            $0.sample.tables[0].translations = [Occupancy(Node.snat, used: 30_000, limit: nil, holders: [])]
        },
        Variant("one look at the ports and at the table") {
            $0.use(Node.ports, 20_000, of: 28_232)
            $0.sample.portsBefore = nil
            $0.sample.tables = []
        },
        Variant("a table whose hash is small") {
            $0.fillTable([3: 10_000], of: 100_000)
            $0.sample.tables[0].buckets = 1_024
        },
        Variant("a hundred thousand UDP sockets") {
            $0.setPod { $0.udpSockets = 100_000 }
            $0.fillTable([3: 100], udp: 70_000, of: 100_000)
        },
        Variant("a small range that was of too little use to be told before") {
            $0.use(Node.ports, 12, of: 234)
            $0.sample.portsBefore!.occupancies = []
        },
        Variant("failures of types that were not met") { $0.fail(.connectExhausted, .portRange, Node.ports, 0) },
    ]

    @Test(arguments: variants) func isHealthy(_ variant: Variant) {
        let diagnosis = variant.node.diagnosis
        #expect(diagnosis.status == .healthy, "\(diagnosis.headline)")
        #expect(diagnosis.findings.isEmpty)
        #expect(diagnosis.headline.first?.hasPrefix("HEALTHY: the fullest port range is used by ") == true)
    }

    @Test func pastFailuresAreRemarks() {
        let node = Node().with { $0.sample.counters = [CheckHealthyTests.past { $0.drop = 1_000_000 }] }
        #expect(node.diagnosis.remarks == ["netns 4026531840: since it was made drop 1,000,000; not now."])
        let now = node.with { $0.sample.counters[0].moved.drop = 50 }
        #expect(
            now.diagnosis.remarks == [
                "netns 4026531840: since it was made drop 1,000,000; now 50 more drops, of packets that their protocol's "
                    + "rules forbid."
            ])
        let narrowed = node.with { $0.sample.isNarrowed = true }
        #expect(narrowed.diagnosis.remarks == ["netns 4026531840: since it was made drop 1,000,000."])
    }

    /// The same changes, a little more of them, do warn: the variants are near the edge.
    @Test func edges() {
        func status(_ change: (inout StagedNode) -> Void) -> CheckStatus { Node().with(change).diagnosis.status }
        #expect(status { $0.use(Node.ports, 22_586, of: 28_232) } == .warning)
        #expect(status { $0.fillTable([3: 80_000], of: 100_000) } == .warning)
        #expect(status { $0.use(Node.ports, 9_000, of: 28_232, before: 8_700, timeWait: 0) } == .warning)
        #expect(
            status {
                $0.use(Node.ports, 28_232, of: 28_232, timeWait: 28_000)
                $0.setPod { ($0.timeWaitReuse, $0.timestamps) = (1, 1) }
                $0.sample.ports!.occupancies[0].halfClosed = 25_000
            } == .warning)
        #expect(
            status {
                $0.fillTable([3: 500], udp: 17_000, of: 100_000)
                $0.sample.tablesBefore[0].protocols[17] = 0
                $0.sample.tablesBefore[0].table.used = 500
            } == .warning)
        #expect(
            status { $0.fillTable([3: 500, 7: 7_000], of: 100_000, before: [3: 500]) } == .warning)
    }
}
