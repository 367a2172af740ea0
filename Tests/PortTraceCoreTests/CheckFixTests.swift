import Testing

@testable import PortTraceCore

/// What is offered: for each problem something, at the right place, and nothing that root should not paste.
@Suite struct CheckFixTests {
    typealias Node = StagedNode

    private func fixes(_ node: StagedNode) -> [Fix] { node.diagnosis.findings.first?.fixes ?? [] }

    private func first(_ node: StagedNode) -> String? { fixes(node).first { $0.when == .now }?.command }

    /// All that a command may be: no word of it is a pod's.
    private func isSafe(_ command: String) -> Bool {
        let number = #"[0-9]+"#
        let address = #"[0-9a-f.:]+"#
        let ports = #"[0-9]+-[0-9]+"#
        let setting = #"net\.[a-z0-9_.]+=([0-9]+|"[0-9]+ [0-9]+"|"# + ports + ")"
        let hash = "echo \(number) > /sys/module/nf_conntrack/parameters/hashsize"
        let rule =
            #"nft 'add table ip6? porttrace; add chain ip6? porttrace wider \{ type nat hook postrouting priority 90 ; \}; "#
            + #"add rule ip6? porttrace wider ip6? daddr "# + address + " (tcp|udp) dport \(number) "
            + #"snat to \[?"# + address + #"\]?:"# + ports + " fully-random'"
        let mappings = "--reply-src \(address) --reply-port-src [0-9]+ --reply-dst \(address)"
        let deletion = "conntrack -D (-f ipv6 )?(-s \(address)|-p tcp \(mappings) --state TIME_WAIT|-p udp \(mappings))"
        let end = #"\[?"# + address + #"\]?:[0-9]+"#
        let sockets = "ss (-K -tan src \(end) dst \(end)|-H[tu]anp( dst \(end))?)"
        let words = "(sysctl -w \(setting)( \(setting))*( && \(hash))?|\(hash)|\(rule)|\(deletion)|\(sockets))"
        let whole = "(nsenter -t \(number) -n )?\(words)( # on the node, outside of this container)?"
        guard let pattern = try? Regex(whole) else { return false }
        return (try? pattern.wholeMatch(in: command)) != nil && !command.isEmpty
    }

    @Test func patternCanFail() {
        #expect(isSafe("sysctl -w net.ipv4.tcp_tw_reuse=1"))
        for command in [
            "", "sysctl -w net.ipv4.tcp_tw_reuse=$(reboot)", "sysctl -w net.ipv4.tcp_tw_reuse=1; reboot",
            "ss -K -tan", "ss -K -tan src 10.0.0.1:1 dst $(reboot)", "conntrack -D -p udp",
            "nsenter -t nginx -n sysctl -w net.ipv4.tcp_tw_reuse=1", "conntrack -D -s 10.0.0.1\nreboot",
        ] {
            #expect(!isSafe(command), "\(command)")
        }
    }

    /// Each with hostile names, in a container and out of it.
    @Test func everyProblemHasFixesAndEveryCommandIsSafe() {
        for (name, node) in Node.inTrouble {
            for isInContainer in [false, true] {
                let staged = node.with { $0.sample.facts.isInContainer = isInContainer }
                let diagnosis = NodeDiagnosis(staged.sample) { _ in "$(reboot)'; reboot \"`reboot`\n# {}" }
                for finding in diagnosis.findings {
                    #expect(!finding.fixes.isEmpty, "\(name)")
                    #expect(finding.fixes.contains { $0.when == .later }, "\(name)")
                    #expect(finding.fixes.first?.when == .now, "\(name)")
                    for fix in finding.fixes {
                        #expect(!fix.risk.isEmpty && !fix.why.isEmpty, "\(name)")
                        #expect(fix.persist?.contains("reboot") != true, "\(name)")
                        #expect(!(fix.why + (fix.command ?? "")).contains("tcp_tw_recycle"), "\(name)")
                        #expect(!(fix.why + (fix.command ?? "")).contains("tcp_fin_timeout"), "\(name)")
                        guard let command = fix.command else { continue }
                        #expect(isSafe(command), "\(name): \(command)")
                        #expect(command.hasSuffix("# on the node, outside of this container") == isInContainer)
                    }
                }
            }
        }
    }

    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var node: StagedNode
        var command: String?

        init(_ name: String, _ node: StagedNode, _ command: String?) {
            testDescription = name
            self.node = node
            self.command = command
        }
    }

    private static let defaultRange = Node().with {
        $0.use(Node.ports, 28_232, of: 28_232, timeWait: 0)
        $0.fail(.connectExhausted, .portRange, Node.ports, 27)
    }
    /// All of 1024-65535 is in the range, and nearly all ports are in TIME_WAIT.
    static let wholeRange = Node.portsExhausted.with {
        $0.setPod { $0.portRange = PortRange(low: 1_024, high: 65_535) }
        $0.sample.ports!.occupancies[0].timeWait = 200
    }
    static let onHost = Node().with {
        $0.sample.ports!.namespaces[0].portRange = PortRange(low: 32_768, high: 60_999)
        let ports = Resource(.ports, in: Node.host, proto: 6, source: Node.source, destination: Node.server)
        $0.use(ports, 28_232, of: 28_232, timeWait: 0)
        $0.fail(.connectExhausted, .portRange, ports, 3)
    }

    /// What ends it, first.
    static let firsts: [Case] = [
        Case(
            "a small range", Node.portsExhausted,
            #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="32768 65535""#),
        Case(
            "the default range, all of it wanted: a little more above it is not enough", defaultRange,
            #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="10000 65535""#),
        Case(
            "the default range, some of it wanted",
            defaultRange.with {
                $0.sample.ports!.occupancies[0] = Occupancy(Node.ports, used: 25_000, limit: 28_232, holders: [])
                $0.sample.failures = []
            }, #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="32768 65535""#),
        Case(
            "more is wanted than the next floor leaves",
            defaultRange.with { $0.sample.failures[0].count = 1_500 },
            #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="1024 65535""#),
        Case(
            "a listener above", Node.portsExhausted.with { $0.setPod { $0.listenerAbove = 65_000 } },
            #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="32768 64999""#),
        Case(
            "room below only, in a pod: Services' ports are the node's",
            Node.portsExhausted.with { $0.setPod { $0.portRange = PortRange(low: 32_768, high: 65_535) } },
            #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="10000 65535""#),
        Case(
            "and a listener below",
            Node.portsExhausted.with {
                $0.setPod {
                    $0.portRange = PortRange(low: 32_768, high: 65_535)
                    $0.listenerBelow = 15_020
                }
            }, #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="15022 65535""#),
        Case(
            "the host's: what is above is not enough, so Services' ports are reserved", onHost,
            "sysctl -w net.ipv4.ip_local_reserved_ports=30000-32767 "
                + #"net.ipv4.ip_local_port_range="10000 65535""#),
        Case(
            "the host's, whose list of reserved ports is not to be overwritten",
            onHost.with { $0.sample.facts.hostReservesPorts = true },
            #"sysctl -w net.ipv4.ip_local_port_range="32768 65535""#),
        Case(
            "the host's, room below only: Services' ports are reserved",
            onHost.with { $0.sample.ports!.namespaces[0].portRange = PortRange(low: 32_768, high: 65_535) },
            "sysctl -w net.ipv4.ip_local_reserved_ports=30000-32767 "
                + #"net.ipv4.ip_local_port_range="10000 65535""#),
        Case(
            "TIME_WAIT holds the whole range", wholeRange, "nsenter -t 4711 -n sysctl -w net.ipv4.tcp_tw_reuse=1"),
        Case(
            "but there are no timestamps", wholeRange.with { $0.setPod { $0.timestamps = 0 } }, nil),
        Case("but it is on", wholeRange.with { $0.setPod { $0.timeWaitReuse = 1 } }, nil),
        Case(
            "open sockets hold the whole range",
            wholeRange.with { $0.sample.ports!.occupancies[0].timeWait = 100 }, nil),
        Case(
            "connections are made faster than any range can take",
            Node.portsExhausted.with {
                $0.sample.ports!.occupancies[0].timeWait = 230
                $0.sample.failures[0].count = 5_000
            }, #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="1024 65535" net.ipv4.tcp_tw_reuse=1"#),
        Case(
            "but they wait for the peer to close, which tcp_tw_reuse leaves alone",
            wholeRange.with { $0.sample.ports!.occupancies[0].halfClosed = 100 }, nil),
        Case(
            "it was not measured what holds the whole range",
            wholeRange.with {
                $0.sample.ports!.occupancies = []
                $0.sample.portsBefore!.occupancies = []
                $0.sample.ports!.namespaces[1].timeWait = 60_000
            }, "nsenter -t 4711 -n ss -Htanp dst 10.20.0.10:8080"),
        Case(
            "a socket's own range",
            Node.portsExhausted.with {
                $0.sample.failures[0].portRange = PortRange(low: 32_800, high: 32_809)
            }, nil),
        Case(
            "nobody lives in the namespace", Node.portsExhausted.with { $0.sample.facts.processes = [:] }, nil),
        Case(
            "bind", Node.bindExhausted, #"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="32768 65535""#),
        Case(
            "a taken tuple", Node.tupleTaken,
            "nsenter -t 4711 -n ss -K -tan src 10.20.1.2:30001 dst 10.20.0.10:8080"),
        Case(
            "a taken tuple of an unknown port", Node.tupleTaken.with { $0.sample.failures[0].sourcePort = 0 }, nil),
        Case("a socket's own range that is spent", Node.ownRange, nil),
        Case("a full table", Node.tableFull, "sysctl -w net.netfilter.nf_conntrack_max=262144"),
        Case(
            "with its hash", Node.tableFull.with { $0.sample.facts.conntrackBuckets = 65_536 },
            "sysctl -w net.netfilter.nf_conntrack_max=262144 "
                + "&& echo 262144 > /sys/module/nf_conntrack/parameters/hashsize"),
        Case(
            "a pod's table: the limit is the initial namespace's",
            Node.tableFull.with {
                $0.sample.tables[0].isHost = false
                $0.sample.tables[0].namespace = Node.pod
                $0.sample.tables[0].table.resource.namespace = Node.pod
                $0.sample.failures[0].resource.namespace = Node.pod
            }, "sysctl -w net.netfilter.nf_conntrack_max=262144"),
        Case(
            "no memory for a larger table, but stale entries",
            Node.tableFull.with {
                $0.sample.facts.memory = 256 << 20
                $0.sample.tables[0].stale = [.init(address: Node.source, count: 60_000, longestTimeout: 400_000)]
            }, "conntrack -D -s 10.20.1.2"),
        Case(
            "SNAT", Node.snatSpent,
            "nft 'add table ip porttrace; add chain ip porttrace wider { type nat hook postrouting priority 90 ; }; "
                + "add rule ip porttrace wider ip daddr 10.20.0.10 tcp dport 8080 "
                + "snat to 192.0.2.1:1024-65535 fully-random'"),
        Case(
            "SNAT with all ports",
            Node.snatSpent.with {
                $0.sample.tables[0].translations[0].used = 64_512
                $0.sample.tables[0].translations[0].limit = 64_512
            },
            "conntrack -D -p tcp --reply-src 10.20.0.10 --reply-port-src 8080 --reply-dst 192.0.2.1 "
                + "--state TIME_WAIT"),
        Case(
            "TIME_WAIT", Node.timeWaitOverflow, "nsenter -t 4711 -n sysctl -w net.ipv4.tcp_max_tw_buckets=65536"),
        Case(
            "SNAT whose range is not known, UDP",
            Node.snatSpent.with {
                $0.sample.tables[0].translations[0].limit = nil
                $0.sample.tables[0].translations[0].resource.proto = 17
                $0.sample.failures[0].resource.proto = 17
            },
            "nft 'add table ip porttrace; add chain ip porttrace wider { type nat hook postrouting priority 90 ; }; "
                + "add rule ip porttrace wider ip daddr 10.20.0.10 udp dport 8080 "
                + "snat to 192.0.2.1:1024-65535 fully-random'"),
        Case(
            "SNAT with all ports, UDP",
            Node.snatSpent.with {
                $0.sample.tables[0].translations[0].used = 64_512
                $0.sample.tables[0].translations[0].limit = 64_512
                $0.sample.tables[0].translations[0].resource.proto = 17
                $0.sample.failures[0].resource.proto = 17
            }, "conntrack -D -p udp --reply-src 10.20.0.10 --reply-port-src 8080 --reply-dst 192.0.2.1"),
        Case("a DNS race", Node.dnsRace, nil),
        Case(
            "a race for a NAT port", Node.natRace,
            "nft 'add table ip porttrace; add chain ip porttrace wider { type nat hook postrouting priority 90 ; }; "
                + "add rule ip porttrace wider ip daddr 10.96.0.10 udp dport 53 "
                + "snat to 192.0.2.1:1024-65535 fully-random'"),
        Case(
            "TIME_WAIT sockets that a tenth of the memory does not hold",
            Node.timeWaitOverflow.with {
                $0.setPod { ($0.timeWait, $0.timeWaitLimit) = (8_000, 8_000) }
                $0.sample.facts.memory = 16 << 20
            }, nil),
        Case(
            "long chains", Node.chainTooLong, "echo 262144 > /sys/module/nf_conntrack/parameters/hashsize"),
    ]

    @Test(arguments: firsts) func firstCommand(_ test: Case) {
        #expect(first(test.node) == test.command)
    }

    /// The kernel wants one end even and one odd, and never fewer ports than there are.
    @Test func widerRanges() {
        for low in stride(from: UInt16(1_024), through: 60_000, by: 977) {
            for high in stride(from: low + 50, through: 65_000, by: 3_001) {
                for below in [0, low / 2, low - 1] {
                    var namespace = NamespaceCensus(
                        id: Node.host, isHost: true, portRange: PortRange(low: low, high: high))
                    namespace.listenerBelow = below
                    guard
                        let wider = PortRangeWidening(
                            of: namespace, demand: UInt64(low), nodePorts: NodeFacts().nodePorts,
                            hostReservesPorts: false)
                    else { continue }
                    #expect(wider.range.low <= low && wider.range.high >= high && wider.gain >= 16)
                    let reserved = wider.reserved == nil || low <= 30_000 ? 0 : UInt32(2_768)
                    let room = UInt32(wider.range.high) - UInt32(wider.range.low) + 1 - reserved
                    #expect(wider.covers == (UInt32(low) * 5 <= room * 4))
                    #expect((wider.range.low ^ wider.range.high) & 1 == 1)
                    #expect(below == 0 || wider.range.low > below)
                    let isNew = low > 32_767 && wider.range.low <= 32_767
                    #expect(!isNew || wider.reserved == NodeFacts().nodePorts)
                }
            }
        }
    }

    /// What a restart would not free, and what the other side can do about it.
    @Test func timeWaitIsNotFreedByARestart() {
        let all = fixes(CheckFixTests.wholeRange.with { $0.setPod { $0.timestamps = 0 } })
        #expect(all[0].when == .now && all[0].why.contains("A restart frees none"))
        #expect(all.contains { $0.when == .later && $0.why.contains("let the other side close first") })
        let open = fixes(CheckFixTests.wholeRange.with { $0.sample.ports!.occupancies[0].timeWait = 100 })
        #expect(open[0].why.hasPrefix("Restart shop/checkout/web nginx[4711]"))
        #expect(!open.contains { $0.why.contains("let the other side close first") })
    }

    @Test func reuseSaysWhatItDoesNotFree() {
        let fix = fixes(CheckFixTests.wholeRange)[0]
        #expect(fix.why.contains("free 1 s after"))
        #expect(fix.why.contains("FIN_WAIT2"))
    }

    /// A Service's address needs conntrack.
    /// From what is in force to what is proposed; nothing where it is as short already, or not known.
    @Test func timeoutsAreShortenedOnly() {
        func shortening(_ tcp: [UInt8: UInt64], udp: UInt64 = 0, _ change: (inout TableCensus) -> Void = { _ in })
            -> Fix?
        {
            let node = Node().with {
                $0.fillTable(tcp, udp: udp, of: 100_000)
                change(&$0.sample.tables[0])
            }
            return fixes(node).first { $0.why.hasPrefix("Shorten") }
        }
        let open = shortening([3: 85_000])
        #expect(
            open?.why.hasPrefix(
                "Shorten nf_conntrack_tcp_timeout_established from 432,000 s to 7,200 s in the node's own")
                == true)
        #expect(open?.command == "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=7200")
        #expect(shortening([3: 85_000]) { $0.timeouts[.established] = 86_400 }?.why.contains("from 86,400 s") == true)
        for timeout: UInt64? in [7_200, 600, nil] {
            #expect(shortening([3: 85_000]) { $0.timeouts[.established] = timeout } == nil)
        }
        let cases: [(tcp: [UInt8: UInt64], udp: UInt64, assured: UInt64, ConntrackTimeout, words: String)] = [
            ([7: 85_000], 0, 0, .timeWait, "time_wait from 120 s to 30 s"),
            ([:], 85_000, 0, .udp, "udp_timeout from 30 s to 10 s"),
            ([:], 85_000, 80_000, .udpStream, "udp_timeout_stream from 120 s to 60 s"),
        ]
        for (tcp, udp, assured, timeout, words) in cases {
            let fix = shortening(tcp, udp: udp) { $0.assured = assured }
            #expect(fix?.why.contains(words) == true, "\(words): \(fix?.why ?? "none")")
            let short = shortening(tcp, udp: udp) {
                $0.assured = assured
                $0.timeouts[timeout] = 5
            }
            #expect(short == nil, "\(words)")
        }
    }

    @Test func notrackOnlyWhereNothingIsTranslated() {
        let dns = Node.tableFull.with {
            $0.fillTable([3: 1_000], udp: 99_000, of: 100_000)
            $0.sample.tables[0].destinations = [
                .init(proto: 17, endpoint: Node.nameServer, count: 90_000, unreplied: 0)
            ]
        }
        func offers(_ node: StagedNode) -> Bool { fixes(node).contains { $0.why.contains("NOTRACK") } }
        #expect(offers(dns))
        #expect(!offers(dns.with { $0.sample.tables[0].translated = 1 }))
        #expect(fixes(dns).contains { $0.why.contains("NodeLocal DNSCache") })
        #expect(!offers(Node.dnsRace))
        #expect(offers(Node.dnsRace.with { $0.sample.tables[0].translated = 0 }))
    }

    @Test func dnsRacesAreForTheResolver() {
        let all = fixes(Node.dnsRace)
        #expect(all.contains { $0.when == .now && $0.why.contains("single-request-reopen") })
        #expect(all.contains { $0.why.contains("NodeLocal DNSCache") })
        #expect(!all.contains { $0.why.contains("random-fully") })
    }

    /// Flows of several sockets that chose one NAT port: no option of a resolver ends that.
    @Test func racesForANATPortWantRandomOnes() {
        let all = fixes(Node.natRace)
        #expect(all[0].when == .now && all[0].why.contains("at random"))
        #expect(all[0].risk.contains("pod to pod"))
        #expect(all.first { $0.when == .later }?.why.contains("--random-fully") == true)
        #expect(!all.contains { $0.why.contains("single-request-reopen") || $0.why.contains("NOTRACK") })
        // Without a mapping to name, the same by hand.
        let unnamed = fixes(Node.natRace.with { $0.sample.failures[0].mapping = nil })
        #expect(unnamed[0].when == .now && unnamed[0].why.contains("--random-fully") && unnamed[0].command == nil)
    }

    @Test func whatASourceNATNeeds() {
        let all = fixes(Node.snatSpent)
        #expect(all.contains { $0.why.contains("more addresses") })
        #expect(all.contains { $0.why.contains("ip_local_port_range does not widen a masquerade") })
        #expect(!all.contains { $0.command?.contains("ip_local_port_range") == true })
    }

    @Test func tuplesAndBindsHaveTheirSocketOption() {
        #expect(
            fixes(Node.tupleTaken).first { $0.command == nil }?.why.contains("leave port 30001 to the kernel") == true)
        #expect(fixes(Node.tupleTaken).contains { $0.why.contains("IP_BIND_ADDRESS_NO_PORT") })
        #expect(fixes(Node.bindExhausted).contains { $0.why.contains("IP_BIND_ADDRESS_NO_PORT") })
    }

    /// A larger table is paid for from the memory that there is, never with more than a tenth of it.
    @Test func aLargerTableFitsTheMemory() {
        for shift in UInt64(20)...40 {
            let node = Node.tableFull.with { $0.sample.facts.memory = 1 << shift }
            guard let fix = fixes(node).first(where: { $0.why.hasPrefix("Raise nf_conntrack_max") }) else {
                #expect(shift < 30)
                continue
            }
            #expect(shift >= 28)
            #expect(fix.why.contains("A full table takes"))
        }
    }
}
