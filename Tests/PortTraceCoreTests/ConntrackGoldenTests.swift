import CPortTraceWire
import Testing

@testable import PortTraceCore

/// Lines of conntrack's events, byte for byte.
@Suite struct ConntrackGoldenTests {
    private static let ipv6Source: [UInt8] = [0xfd] + Array(repeating: 0, count: 14) + [5]
    private static let ipv6Destination: [UInt8] = [0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [9]

    private func sample(_ key: pt_key, _ change: (inout pt_key) -> Void) -> pt_sample {
        var key = key
        change(&key)
        return .conntrack(key)
    }

    /// A local process's datagram, which got EPERM.
    private var local: pt_sample {
        var sample = sample(.tableFull) {
            $0.attribution = UInt8(PT_ATTRIBUTION_SOCKET.rawValue)
            $0.owner_netns_id = 0
            $0.tgid = 4711
            $0.error = 1
        }
        sample.detail = .example
        sample.detail.src_port_be16 = UInt16(5555).bigEndian
        sample.detail.limit = 262_144
        return sample
    }

    /// A ping to a pod of which only the namespace is known.
    private var ping: pt_sample {
        sample(.tableFull) {
            $0.setSource(Self.ipv6Source)
            $0.setDestination(Self.ipv6Destination, port: 0)
            $0.becomeEchoRequest()
            $0.cgroup_id = 0
            $0.attribution = UInt8(PT_ATTRIBUTION_NETNS.rawValue)
            $0.flags ^= UInt8(PT_FLAG_OUTBOUND.rawValue | PT_FLAG_INBOUND.rawValue)
        }
    }

    private var evicted: pt_sample {
        sample(.tableFull) {
            $0.kind = UInt8(PT_KIND_CONNTRACK_EVICTED.rawValue)
            $0.tier = UInt8(PT_TIER_FENTRY.rawValue)
            $0.proto = 6
            $0.zone = 9
            $0.setBackend([10, 1, 7, 7], port: 5353)
        }
    }

    /// Nobody's packet of a protocol without ports.
    private var chain: pt_sample {
        var sample = sample(.tableFull) {
            $0.kind = UInt8(PT_KIND_CONNTRACK_INSERT_FAILED.rawValue)
            $0.cause = UInt8(PT_CAUSE_CHAIN_TOO_LONG.rawValue)
            $0.proto = 47
            $0.cgroup_id = 0
            $0.owner_netns_id = 0
            $0.attribution = 0
            $0.setDestination([10, 0, 0, 9], port: 0)
            $0.setNAT([192, 0, 2, 1])
            $0.flags &= ~UInt8(PT_FLAG_OUTBOUND.rawValue)
        }
        sample.detail.src_port_be16 = 0
        return sample
    }

    private let start = #"{"schema":1,"timestamp":"2026-11-21T14:03:07.512345678Z","node":"node-1","type":"#
    private let cgroup = #""netns_id":4026531840,"cgroup":{"id":1234,"path":"/checkout/worker"},"#
    private let ends = #""src":{"addr":"10.1.0.5","port":5555},"dst":{"addr":"10.0.0.9","port":53},"#

    @Test func ndjsonSamples() {
        let test = TestStream(.ndjson)
        for sample in [.conntrack(.tableFull), local, ping, evicted, chain] { test.sample(sample) }
        #expect(
            test.takeLines() == [
                start + #""conntrack_table_full","cause":"table_full","count":1,"proto":"udp","family":"ipv4","#
                    + cgroup + ends + #""attribution":"tuple","probe":"tracepoint","#
                    + #""detail":{"direction":"outbound","limit":262144}}"#,
                start + #""conntrack_table_full","cause":"table_full","count":1,"error":"EPERM","error_raw":1,"#
                    + #""proto":"udp","family":"ipv4","# + cgroup
                    + #""proc":{"pid":4711,"tid":4712,"comm":"nginx","uid":1000},"# + ends
                    + #""attribution":"socket","probe":"tracepoint","#
                    + #""detail":{"direction":"outbound","limit":262144}}"#,
                start + #""conntrack_table_full","cause":"table_full","count":1,"proto":"icmpv6","family":"ipv6","#
                    + #""netns_id":4026531840,"src":{"addr":"fd00::5"},"dst":{"addr":"2001:db8::9"},"#
                    + #""attribution":"netns","probe":"tracepoint","#
                    + #""detail":{"icmp":{"type":128,"code":0,"id":5555},"direction":"inbound","limit":262144}}"#,
                start + #""conntrack_evicted","cause":"table_full","count":1,"proto":"tcp","family":"ipv4","# + cgroup
                    + ends + #""attribution":"tuple","probe":"fentry","#
                    + #""detail":{"direction":"outbound","zone":9,"limit":262144,"#
                    + #""backend":{"addr":"10.1.7.7","port":5353}}}"#,
                // NAT is told where it is the matter.
                start + #""conntrack_insert_failed","cause":"chain_too_long","count":1,"proto":"gre","family":"ipv4","#
                    + #""netns_id":4026531840,"src":{"addr":"10.1.0.5"},"dst":{"addr":"10.0.0.9"},"#
                    + #""probe":"tracepoint"}"#,
            ])
    }

    private func answered(_ format: OutputFormat) throws -> TestStream {
        let test = TestStream(format)
        let races: [pt_key] = [.clash]
        var ping = pt_key.clash
        ping.becomeEchoRequest()
        for key in races + [ping] {
            test.sample(.conntrack(key))
            var row = pt_count.conntrack
            (row.count, row.sampled) = (1, 1)
            test.row(key, row, generation: 7)
        }
        let asked = test.questions.take()
        try #require(asked.count == 2)
        let holders = (39990...40009).map { NATClashEvidence.Holder(port: $0, id: 7) }
        test.stream.answer(asked[1], NATClashEvidence(hasOriginal: false, holders: holders), at: 1_600_000_000)
        test.stream.answer(asked[0], nil, at: 1_600_000_000)
        return test
    }

    @Test func ndjsonClashes() throws {
        let test = try answered(.ndjson)
        #expect(
            test.takeLines() == [
                start + #""snat_exhausted","cause":"nat_ports","count":1,"proto":"icmp","family":"ipv4","# + cgroup
                    + #""src":{"addr":"10.1.0.5"},"dst":{"addr":"10.0.0.9"},"attribution":"tuple","#
                    + #""probe":"tracepoint","detail":{"icmp":{"type":8,"code":0,"id":5555},"direction":"outbound","#
                    + #""limit":20,"nat":{"addr":"192.0.2.1","port":40000},"backend":{"addr":"10.1.7.7"},"#
                    + #""evidence":"all_held"}}"#,
                start + #""conntrack_insert_failed","cause":"race","count":1,"proto":"udp","family":"ipv4","# + cgroup
                    + ends + #""attribution":"tuple","probe":"tracepoint","detail":{"direction":"outbound","#
                    + #""backend":{"addr":"10.1.7.7","port":5353}}}"#,
            ])
    }

    @Test func ndjsonOfFoldedRows() {
        let test = TestStream(.ndjson)
        var key = pt_key.clash
        key.kind = UInt8(PT_KIND_CONNTRACK_INSERT_FAILED.rawValue)
        test.row(key.folded, .conntrack, generation: 7)
        test.row(key.other, .conntrack, generation: 7)
        test.row(pt_key.tableFull.other, .conntrack, generation: 7)
        let start =
            #"{"schema":1,"timestamp":"2026-11-21T14:03:07.600000000Z","#
            + #""last_timestamp":"2026-11-21T14:03:08.000000001Z","node":"node-1","type":"#
        #expect(
            test.takeLines() == [
                start + #""conntrack_insert_failed","cause":"race","count":499,"proto":"udp","# + cgroup
                    + #""attribution":"tuple","probe":"tracepoint","detail":{"folded":true}}"#,
                start + #""conntrack_insert_failed","count":499,"detail":{"folded":true}}"#,
                start + #""conntrack_table_full","cause":"table_full","count":499,"detail":{"folded":true}}"#,
            ])
    }

    private func count(_ test: TestStream) {
        let time: Int64 = 1_795_269_787_000_000_001
        test.stream.counted(
            .conntrackTableFull, cause: .tableFull, netnsID: 4_026_531_840, count: 12, at: time, limit: 262_144)
        test.stream.counted(.conntrackInsertFailed, cause: .race, netnsID: 0, count: 3, at: time)
        test.stream.counted(.conntrackEvicted, cause: .tableFull, netnsID: 7, count: 0, at: time)
    }

    private let movements = SessionFacts(
        hooks: [], attachedTypes: [],
        kernel: [
            KernelMovement(netnsID: 4_026_531_840, drop: 1501, insertFailed: 0, earlyDrop: 0),
            KernelMovement(netnsID: 0, twOverflow: 2), KernelMovement(netnsID: 5), KernelMovement(netnsID: 0),
        ])

    @Test func ndjsonOfCounters() {
        let test = TestStream(.ndjson)
        count(test)
        test.stream.finish(movements, at: 1_795_269_788_000_000_000)
        let start = #"{"schema":1,"timestamp":"2026-11-21T14:03:07.000000001Z","node":"node-1","type":"#
        #expect(
            test.takeLines() == [
                start + #""conntrack_table_full","cause":"table_full","count":12,"netns_id":4026531840,"#
                    + #""probe":"counter","detail":{"limit":262144}}"#,
                start + #""conntrack_insert_failed","cause":"race","count":3,"probe":"counter"}"#,
                #"{"schema":1,"timestamp":"2026-11-21T14:03:08.000000000Z","node":"node-1","type":"summary","detail":{"#
                    + #""totals":{"conntrack_table_full":12,"conntrack_insert_failed":3},"exact":true,"#
                    + #""lost":{"ring":0,"missed_runs":0},"probes":{},"undecided":{},"kernel":["#
                    + #"{"netns_id":4026531840,"drop":1501,"insert_failed":0,"early_drop":0},"#
                    + #"{"tw_overflow":2},{"netns_id":5},{}]}}"#,
            ])
    }

    @Test func countersThatAFilterAsksAbout() throws {
        var byKind = Filter()
        try byKind.addTypes(parsing: "conntrack_table_full".utf8)
        var test = TestStream(.ndjson, filter: byKind)
        count(test)
        #expect(test.takeLines().count == 1 && test.stream.passed == 12)
        for option in ["/checkout", "/"] {
            var filter = byKind
            try filter.addCgroups(parsing: option.utf8)
            test = TestStream(.ndjson, filter: filter)
            count(test)
            test.stream.finish(movements, at: 0)
            #expect(test.take().contains(#""undecided":{"conntrack_table_full":12}"#))
        }
        var byDestination = Filter()
        try byDestination.addDestinations(parsing: "10.0.0.9".utf8)
        test = TestStream(.text, filter: byDestination)
        count(test)
        test.stream.endFlush(generation: 0)
        #expect(test.take() == "" && test.stream.passed == 0)
    }

    @Test func text() throws {
        let test = TestStream(.text)
        for sample in [.conntrack(.tableFull), local, ping, evicted, chain] { test.sample(sample) }
        count(test)
        test.stream.endFlush(generation: 7)
        #expect(
            test.takeLines() == [
                "14:03:07.512  conntrack full         1  /checkout/worker              10.1.0.5:5555   → 10.0.0.9:53"
                    + "          new udp flow dropped: conntrack table full (max 262144)",
                "14:03:07.512  conntrack full         1  nginx[4711] /checkout/worker  10.1.0.5:5555   → 10.0.0.9:53"
                    + "          new udp flow dropped: conntrack table full (max 262144) EPERM",
                "14:03:07.512  conntrack full         1  netns 4026532345              fd00::5         → 2001:db8::9"
                    + "          new icmpv6 echo request flow dropped: conntrack table full (max 262144) (inbound)",
                "14:03:07.512  conntrack evicted      1  /checkout/worker              10.1.0.5:5555   → 10.0.0.9:53"
                    + "          tcp entry evicted: conntrack table full (max 262144) (backend 10.1.7.7:5353) (zone 9)",
                "14:03:07.512  insert failed          1  -                             10.1.0.5        → 10.0.0.9"
                    + "             gre packet dropped: hash chain too long",
                "14:03:07.000  conntrack full        12  -                             -                              "
                    + "        new flow dropped: conntrack table full (max 262144) (kernel's counter, no owner)",
                "14:03:07.000  insert failed          3  -                             -                              "
                    + "        packet dropped: lost a race for its port or tuple (kernel's counter, no owner)",
            ])
        test.stream.finish(movements, at: 0)
        #expect(
            test.takeLines() == [
                "",
                "what               count  who                     to",
                "conntrack full        12  -                       -",
                "insert failed          3  -                       -",
                "conntrack full         1  /checkout/worker        10.0.0.9:53",
                "conntrack full         1  nginx /checkout/worker  10.0.0.9:53",
                "conntrack full         1  netns 4026532345        2001:db8::9",
                "conntrack evicted      1  /checkout/worker        10.0.0.9:53",
                "insert failed          1  -                       10.0.0.9",
                "",
                "total: conntrack full 15, conntrack evicted 1, insert failed 4",
                "kernel's counters: drop +1501, insert_failed +0, early_drop +0 in netns 4026531840",
                "kernel's counters: tw_overflow +2",
            ])
    }

    @Test func textOfClashes() throws {
        let test = try answered(.text)
        test.stream.endFlush(generation: 7)
        test.row(.clash.folded, .conntrack, generation: 8)
        test.row(.tableFull.other, .conntrack, generation: 8)
        test.stream.endFlush(generation: 8)
        #expect(
            test.takeLines() == [
                "14:03:07.512  SNAT exhausted         1  /checkout/worker              10.1.0.5        → 10.0.0.9"
                    + "             icmp echo request: no free id on 192.0.2.1 for this destination (20 ids)"
                    + " (backend 10.1.7.7)",
                "14:03:07.512  insert failed          1  /checkout/worker              10.1.0.5:5555   → 10.0.0.9:53"
                    + "          udp packet dropped: lost a race for its port or tuple (backend 10.1.7.7:5353)",
                "14:03:07.600  insert failed        500  /checkout/worker              -               → (map full)"
                    + "           udp packet dropped: lost a race for its port or tuple",
                "14:03:07.600  conntrack full       500  -                             -               → (map full)"
                    + "           new flow dropped: conntrack table full",
            ])
    }

    @Test(
        arguments: [
            (.snatExhausted, .natPorts, 17, nil, 9, "udp: no free port on 192.0.2.1 for this destination (9 ports)"),
            (.snatExhausted, .natPorts, 0, nil, 0, "no free port on 192.0.2.1 for this destination"),
            (.conntrackInsertFailed, .dying, 132, nil, 0, "sctp packet dropped: its entry was being deleted"),
            (.conntrackInsertFailed, .noMemory, 253, nil, 0, "proto 253 packet dropped: no memory for an entry"),
            (.conntrackInsertFailed, nil, 0, nil, 0, "packet dropped: no conntrack entry"),
            (.conntrackTableFull, .tableFull, 1, 13, 0, "new icmp type 13 code 3 flow dropped: conntrack table full"),
            (.conntrackEvicted, .tableFull, 1, 8, 9, "icmp echo request entry evicted: conntrack table full (max 9)"),
            (.conntrackEvicted, .tableFull, 58, 8, 0, "icmpv6 type 8 code 3 entry evicted: conntrack table full"),
        ] as [(EventType, Cause?, UInt8, UInt8?, UInt32, String)])
    func remarks(
        _ type: EventType, _ cause: Cause?, _ proto: UInt8, _ icmpType: UInt8?, _ limit: UInt32, _ remarks: String
    ) {
        var failure = Failure(type: type, cause: cause)
        failure.proto = proto
        failure.icmp = icmpType.map { ICMPMessage(type: $0, code: 3, id: 1) }
        failure.limit = limit
        failure.nat = Endpoint(address: IPAddress(ipv4: 0xc000_0201), port: 40000)
        #expect(failure.remarks.string == remarks)
    }

    @Test func manyNamespacesCounters() {
        let test = TestStream(.text)
        let kernel = (1...8).map { KernelMovement(netnsID: $0, drop: 1) }
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: [], kernel: kernel), at: 0)
        #expect(
            test.takeLines() == ["", "total: 0"] + (1...5).map { "kernel's counters: drop +1 in netns \($0)" }
                + ["and 3 more"])
    }
}
