import Testing

@testable import PortTraceCore

/// Samples of nodes, and what is to be said of them.
@Suite struct CheckVerdictTests {
    typealias Node = StagedNode

    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var node: StagedNode
        var status: CheckStatus
        var problems: [Finding.Problem]
        /// What the evidence, or the first line, must say.
        var says: String

        init(_ name: String, _ node: Node, _ status: CheckStatus, _ problems: [Finding.Problem], _ says: String) {
            testDescription = name
            self.node = node
            self.status = status
            self.problems = problems
            self.says = says
        }
    }

    private static let full = Node.tableFull

    static let cases: [Case] = [
        Case("nothing wrong", Node(), .healthy, [], "HEALTHY"),
        Case("ports", Node.portsExhausted, .failing, [.portExhaustion], "10.20.1.2 has no source port left"),
        Case("ports, and not conntrack", Node.portsExhausted, .failing, [.portExhaustion], "Not conntrack"),
        Case("bind", Node.bindExhausted, .failing, [.bindExhaustion], "no TCP port left for bind()"),
        Case(
            "tuple taken", Node.tupleTaken, .failing, [.tupleConflict],
            "the bound port 30001 of 10.20.1.2 is in use already towards 10.20.0.10:8080, not exhaustion"),
        Case(
            "tuple taken in a range nearly used up",
            Node().with {
                $0.use(Node.ports, 25_000, of: 28_232)
                $0.fail(.connectConflict, .tupleTaken, Node.ports, 4)
            }, .failing, [.tupleConflict, .portExhaustion], "running out of source ports"),
        Case("a table that fills", Node.tableFilling, .warning, [.conntrackFull], "is filling (85,000 of 100,000"),
        Case("a full table", full, .failing, [.conntrackFull], "500 packets were dropped: the table is full"),
        Case("a full table, and not ports", full, .failing, [.conntrackFull], "Not source ports"),
        Case("evictions", Node.evicting, .failing, [.conntrackFull], "lives by evicting flows"),
        Case("SNAT", Node.snatSpent, .failing, [.snatExhaustion], "no pod's own counters show it"),
        Case("TIME_WAIT", Node.timeWaitOverflow, .failing, [.timeWaitOverflow], "(50 of 50 used, 100%)"),
        Case("a DNS race", Node.dnsRace, .failing, [.conntrackInsertFailed], "DNS races: 38 were questions"),
        Case(
            "not one that choosing another socket ends", Node.natRace, .failing, [.conntrackInsertFailed],
            "40 were source-NATed, most to 192.0.2.1: two flows chose one NAT port"),
        Case("long chains", Node.chainTooLong, .failing, [.conntrackInsertFailed], "chain is too long"),
        Case(
            "insertions that fail otherwise",
            Node().with { $0.fail(.conntrackInsertFailed, .race, Node.table, 40, dns: 3) }, .failing,
            [.conntrackInsertFailed], "Races: two packets"),
        Case(
            "several, by severity and size", Node.several, .failing,
            [.portExhaustion, .conntrackFull, .bindExhaustion],
            "(and 2 more below)"),
        // What the kernel's counters alone show.
        Case(
            "evictions that only a counter saw",
            Node().with { $0.sample.counters = [movedCounters { $0.earlyDrop = 9 }] }, .failing, [.conntrackFull],
            "9 entries were evicted"),
        Case(
            "insertions that only a counter saw",
            Node().with {
                $0.sample.counters = [
                    movedCounters {
                        $0.insertFailed = 9
                        $0.drop = 9
                    }
                ]
            }, .failing, [.conntrackInsertFailed], "known by the kernel's counter alone"),
        Case(
            "drops of a full table that only a counter saw",
            Node().with {
                $0.fillTable([3: 1_000], of: 1_000)
                $0.sample.counters = [movedCounters { $0.drop = 9 }]
            }, .failing, [.conntrackFull], "9 packets were dropped"),
        Case(
            "overflows that only a counter saw",
            Node().with { $0.sample.counters = [movedCounters { $0.timeWaitOverflow = 9 }] }, .failing,
            [.timeWaitOverflow], "TCPTimeWaitOverflow of that namespace: 9"),
        // Rates.
        Case(
            "ports that leak",
            Node().with { $0.use(Node.ports, 5_000, of: 28_232, before: 4_500, timeWait: 0) }, .warning,
            [.portExhaustion], "It grows by 100 a second: full in 3 minutes."),
        Case(
            "a table that leaks",
            Node().with { $0.fillTable([3: 30_000], of: 100_000, before: [3: 29_000]) }, .warning, [.conntrackFull],
            "full in 5 minutes"),
        Case(
            "churn that will not fit",
            Node().with {
                $0.use(Node.ports, 5_000, of: 28_232, before: 1_000, timeWait: 4_950, timeWaitBefore: 980)
            }, .warning, [.portExhaustion], "full in 29 s"),
        Case(
            "TIME_WAIT sockets near their limit",
            Node().with {
                $0.setPod {
                    $0.timeWait = 81
                    $0.timeWaitLimit = 100
                }
            }, .warning, [.timeWaitOverflow], "running out of TIME_WAIT sockets"),
        // What fills a table.
        Case(
            "long-lived", full, .failing, [.conntrackFull],
            "Filled by connections that stay open: 90,000 entries (90%)"),
        Case(
            "churn",
            full.with { $0.fillTable([3: 30_000, 7: 70_000], of: 100_000) }, .failing, [.conntrackFull],
            "Filled by churn: 70,000 entries"),
        Case(
            "DNS",
            full.with {
                $0.fillTable([3: 20_000], udp: 80_000, of: 100_000)
                $0.sample.tables[0].destinations = [
                    .init(proto: 17, endpoint: Node.server, count: 40_000, unreplied: 0),
                    .init(proto: 17, endpoint: Node.nameServer, count: 39_000, unreplied: 0),
                ]
            }, .failing, [.conntrackFull], "Filled by DNS: 80,000"),
        Case(
            "UDP",
            full.with {
                $0.fillTable([3: 20_000], udp: 80_000, of: 100_000)
                $0.sample.tables[0].destinations = [
                    .init(proto: 17, endpoint: Node.server, count: 79_000, unreplied: 0)
                ]
            }, .failing, [.conntrackFull], "Filled by UDP, which only a timeout ends: 80,000"),
        Case(
            "stale entries",
            full.with {
                $0.sample.tables[0].stale = [.init(address: Node.source, count: 60_000, longestTimeout: 400_000)]
            }, .failing, [.conntrackFull], "over in 111 hours at the latest"),
        Case(
            "a retry storm",
            full.with {
                $0.fillTable([1: 90_000, 3: 10_000], of: 100_000)
                $0.sample.tables[0].destinations = [
                    .init(proto: 6, endpoint: Node.server, count: 90_000, unreplied: 90_000)
                ]
            }, .failing, [.conntrackFull], "wait for an answer of 10.20.0.10:8080"),
        Case(
            "a small hash",
            full.with { $0.sample.tables[0].buckets = 4_096 }, .failing, [.conntrackFull], "The hash is small: 4,096"),
        Case(
            "small against its memory",
            full.with { $0.sample.facts.memory = 256 << 30 }, .failing, [.conntrackFull], "it can be larger"),
        Case(
            "a cloud's limit beside it",
            full.with { $0.sample.facts.driverLimits = [("eth0", "conntrack_allowance_exceeded", 12)] }, .failing,
            [.conntrackFull], "eth0 counts conntrack_allowance_exceeded, 12 more"),
        Case(
            "a table too large for a second look, beside a pod's that had one",
            Node.tableFilling.with {
                $0.sample.tables[0].namespace = Node.pod
                $0.sample.tables[0].isHost = false
                $0.sample.tables[0].table = Occupancy(
                    Resource(.conntrack, in: Node.pod), used: 5, limit: 100_000, holders: [])
            }, .warning, [.conntrackFull], "the conntrack table is filling (85,000 of 100,000"),
        // Figures that are missing.
        Case(
            "a socket's own range", Node.ownRange, .failing, [.portExhaustion], "a range of their own, 40000-40009"),
        Case(
            "a range that was set meanwhile is nobody's own",
            Node.ownRange.with {
                $0.sample.portsBefore!.namespaces[1].portRange = PortRange(low: 40_000, high: 40_009)
            },
            .failing, [.portExhaustion], "(30 of 28,232 used, 0%)"),
        Case(
            "ports that were let go before the last look",
            Node().with {
                $0.use(Node.ports, 28_232, of: 28_232, timeWait: 0)
                $0.sample.ports!.occupancies[0].used = 400
                $0.fail(.connectExhausted, .portRange, Node.ports, 3)
            }, .failing, [.portExhaustion], "The 28,232 were in use at the fullest look; by the end 400 were."),
        Case(
            "ports that were held between the two looks alone", Node.burst, .failing, [.portExhaustion],
            "has no source port left towards 10.20.0.10:8080 (234 of 234 used, 100%)"),
        Case(
            "a census that came late",
            Node().with { $0.fail(.connectExhausted, .portRange, Node.ports, 3) }, .failing, [.portExhaustion],
            "The census has no figures for it"),
        Case(
            "a failure that knows the inode alone",
            Node().with {
                $0.use(Node.ports, 28_232, of: 28_232)
                var resource = Node.ports
                resource.namespace.mix = 0
                resource.source = nil
                $0.fail(.connectExhausted, .portRange, resource, 3)
            }, .failing, [.portExhaustion], "(28,232 of 28,232 used, 100%)"),
        Case(
            "another destination's ports are not it",
            Node().with {
                $0.use(Node.ports, 28_232, of: 28_232)
                var resource = Node.ports
                resource.destination?.port = 9
                $0.fail(.connectExhausted, .portRange, resource, 3)
            }, .failing, [.portExhaustion, .portExhaustion], "The census has no figures for it"),
        Case(
            "a table nearly full that cannot be listed", Node.unreadTable(95_000), .warning, [.conntrackFull],
            "the conntrack table is filling (95,000 of 100,000 used, 95%)"),
        Case(
            "a table with room that cannot be listed", Node.unreadTable(50_000), .unknown, [],
            "NOT CHECKED: the conntrack table of netns 4026531840 (no netlink)"),
        Case(
            "a table that was listed once, and not again",
            Node.unreadTable(95_000).with { $0.sample.tablesBefore = Node().sample.tablesBefore }, .unknown, [],
            "NOT CHECKED"),
        // What could not be read.
        Case(
            "namespaces that the census has missed",
            Node().with {
                $0.sample.ports!.notVisible = [NotVisible(.ports, "3 network namespaces", why: "there are too many")]
            }, .unknown, [], "NOT CHECKED: 3 network namespaces (there are too many)"),
        Case(
            "what is found counts, whatever the census has missed",
            Node.portsExhausted.with {
                $0.sample.ports!.notVisible = [NotVisible(.ports, "3 network namespaces", why: "there are too many")]
            }, .failing, [.portExhaustion], "no source port left"),
        Case(
            "few sockets that could not be told apart",
            Node().with { $0.sample.ports!.notVisible = [NotVisible(.other, "7 TCP sockets", why: "too many")] },
            .healthy, [], "HEALTHY"),
        Case("no ports", Node().with { $0.sample.ports = nil }, .unknown, [], "NOT CHECKED: ports ("),
        Case(
            "a namespace that cannot be entered",
            Node().with { $0.sample.notVisible = [NotVisible(.ports, "ports of netns 7", why: "no permission")] },
            .unknown, [], "NOT CHECKED: ports of netns 7 (no permission)"),
        Case(
            "no netlink",
            Node().with {
                $0.sample.tables = []
                $0.sample.tablesBefore = []
                $0.sample.notVisible = [NotVisible(.conntrack, "conntrack", why: "EPERM")]
            }, .unknown, [], "NOT CHECKED: conntrack (EPERM)"),
        Case(
            "what is read is found, whatever is not",
            Node.portsExhausted.with { $0.sample.notVisible = [NotVisible(.conntrack, "conntrack", why: "EPERM")] },
            .failing, [.portExhaustion], "no source port left"),
        Case(
            "something else that is not visible",
            Node().with { $0.sample.notVisible = [NotVisible(.other, "bind failures", why: "no kprobes")] }, .healthy,
            [], "HEALTHY"),
        Case(
            "conntrack is not used",
            Node().with {
                $0.sample.tables = []
                $0.sample.tablesBefore = []
                $0.sample.isConntrackIdle = true
            }, .healthy, [], "conntrack not in use here"),
        Case(
            "another data path",
            cilium.with {
                $0.sample.facts.conntrackMax = nil
                $0.sample.notVisible = [NotVisible(.conntrack, "conntrack", why: "no module")]
            }, .healthy, [], "cilium tracks connections itself"),
        Case("another data path, conntrack empty", cilium, .healthy, [], "conntrack not in use here"),
        Case(
            "another data path, conntrack not seen",
            cilium.with { $0.sample.notVisible = [NotVisible(.conntrack, "conntrack", why: "EPERM")] }, .unknown, [],
            "NOT CHECKED: conntrack (EPERM)"),
        Case(
            "another data path beside conntrack",
            Node().with { $0.sample.facts.otherDataPath = "cilium" }, .healthy, [],
            "(1,000 of 262,144); cilium tracks connections itself"),
        Case(
            "another data path, and no ports left",
            cilium.with {
                $0.use(Node.ports, 234, of: 234, timeWait: 10)
                $0.fail(.connectExhausted, .portRange, Node.ports, 27)
            }, .failing, [.portExhaustion],
            "Not nf_conntrack, which is not in use here: cilium tracks connections itself."),
        Case(
            "another data path, and ports nearly used up",
            cilium.with { $0.use(Node.ports, 230, of: 234, timeWait: 10) }, .warning, [.portExhaustion],
            "is running out of source ports"),
    ]

    /// Its entries are in BPF maps, and nf_conntrack has none.
    static let cilium = Node().with {
        $0.sample.tables = []
        $0.sample.tablesBefore = []
        $0.sample.facts.otherDataPath = "cilium"
    }

    private static func movedCounters(_ move: (inout NamespaceCounters.Values) -> Void) -> NamespaceCounters {
        var counters = NamespaceCounters(netnsID: Node.host.inode)
        move(&counters.moved)
        counters.total = counters.moved
        return counters
    }

    @Test(arguments: cases) func verdict(_ test: Case) {
        let diagnosis = test.node.diagnosis
        #expect(diagnosis.status == test.status)
        #expect(diagnosis.findings.map(\.problem) == test.problems)
        let said = diagnosis.headline + diagnosis.findings.flatMap { [$0.summary] + $0.evidence }
        #expect(said.contains { $0.contains(test.says) }, "\(said)")
    }

    @Test func exitStatus() {
        #expect(CheckStatus.healthy.exitStatus == 0)
        #expect(CheckStatus.warning.exitStatus == 10)
        #expect(CheckStatus.failing.exitStatus == 20)
        #expect(CheckStatus.unknown.exitStatus == 1)
    }

    @Test func unusedConntrackIsTheFirstLine() {
        let node = Node().with {
            $0.sample.tables = []
            $0.sample.tablesBefore = []
            $0.sample.isConntrackIdle = true
        }
        #expect(node.diagnosis.headline.first == "conntrack not in use here")
    }

    /// The neighbour that holds the ports, not the one that was refused.
    @Test func culpritIsNotTheVictim() throws {
        let finding = try #require(Node.portsExhausted.diagnosis.findings.first)
        #expect(finding.culprits.first?.owner == Node.hog)
        #expect(finding.victims.first?.owner == Node.victim)
    }

    /// A DNS race is made by whoever asks; a full table by whoever fills it.
    @Test func culpritOfARaceHasSentIt() throws {
        let race = try #require(Node.dnsRace.diagnosis.findings.first)
        #expect(race.culprits == [Holder(Node.victim, count: 40)])
        #expect(race.blame == .senders)
        let chains = try #require(Node.chainTooLong.diagnosis.findings.first)
        #expect(chains.culprits.first?.owner == Node.hog)
        #expect(chains.blame == .holders)
    }

    /// Who has the tuple, who deletes entries, or who takes the memory, nobody has seen: it is none of those who are seen.
    @Test func whatIsNotKnownIsNobodys() throws {
        let nodes = [
            Node.tupleTaken, Node().with { $0.fail(.conntrackInsertFailed, .dying, Node.table, 4) },
            Node().with { $0.fail(.conntrackInsertFailed, .noMemory, Node.table, 4) },
        ]
        for node in nodes {
            let finding = try #require(node.diagnosis.findings.first)
            #expect(finding.culprits.isEmpty && finding.blame == .nobody)
            #expect(finding.fixes.first?.when == .now)
        }
        #expect(Node.tupleTaken.sample.unnamed.isEmpty)
        #expect(
            Node.portsExhausted.with { $0.sample.ports!.occupancies[0].holders = [] }.sample.unnamed == [Node.ports])
    }

    /// A namespace whose census has failed is told in not_visible, finding or not.
    @Test func whatTheCensusHasMissedIsToldBesideAFinding() {
        let node = Node.portsExhausted.with {
            $0.sample.ports!.notVisible = [NotVisible(.ports, "3 network namespaces", why: "there are too many")]
        }
        #expect(node.diagnosis.notVisible == ["3 network namespaces (there are too many)"])
        #expect(
            Node.unreadTable(95_000).diagnosis.notVisible == ["the conntrack table of netns 4026531840 (no netlink)"])
        #expect(Node.unreadTable(95_000).diagnosis.findings.first?.culprits.isEmpty == true)
    }

    @Test func failuresOfOneResourceAreOneFinding() throws {
        let node = Node.tableFull.with { $0.fail(.conntrackEvicted, .tableFull, Node.table, 20) }
        let findings = node.diagnosis.findings
        #expect(findings.count == 1)
        #expect(findings.first?.failures == 520)
        #expect(findings.first?.victims == [Holder(Node.victim, count: 520)])
        #expect(
            findings.first?.evidence.first?.hasPrefix("520 failures: 500 packets dropped by a full table, 20") == true)
    }
}
