import CPortTraceWire
import Testing

@testable import PortTraceCore

/// Lines, byte for byte.
@Suite struct GoldenTests {
    private let paths = Paths([
        1234: "/checkout/worker",
        7: "/kubepods.slice/cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
        8: "/evil\u{1b}]0;\"\\",
    ])

    private var conflict: pt_sample {
        var sample = pt_sample.example
        sample.key.setSource([0xfd] + Array(repeating: 0, count: 14) + [1])
        sample.key.setDestination([0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [9], port: 443)
        sample.key.kind = UInt8(PT_KIND_CONNECT_CONFLICT.rawValue)
        sample.key.cause = UInt8(PT_CAUSE_TUPLE_TAKEN.rawValue)
        sample.key.cgroup_id = 7
        sample.key.tier = UInt8(PT_TIER_TRACEPOINT.rawValue)
        sample.detail.src_port_be16 = UInt16(40000).bigEndian
        sample.detail.setComm(Array("a\"\n\u{1b}[31m".utf8) + [0xff])
        return sample
    }

    /// A kernel thread's UDP autobind in a cgroup whose path is not known.
    private var bind: pt_sample {
        var sample = pt_sample.example
        sample.key.kind = UInt8(PT_KIND_BIND_EXHAUSTED.rawValue)
        sample.key.flags = 0
        sample.key.attribution = UInt8(PT_ATTRIBUTION_SOCKET.rawValue)
        sample.key.proto = 17
        sample.key.error = 11
        sample.key.tgid = 0
        sample.key.tier = UInt8(PT_TIER_KPROBE.rawValue)
        sample.key.cgroup_id = 99
        return sample
    }

    private let facts = SessionFacts(
        hooks: [("connect", "fentry"), ("bind", "none (\"why\")")],
        attachedTypes: [.connectExhausted, .connectConflict])

    @Test func ndjsonSamples() {
        let test = TestStream(.ndjson, paths: paths)
        test.sample(.example)
        test.sample(conflict)
        test.sample(bind)
        #expect(
            test.takeLines() == [
                #"{"schema":1,"timestamp":"2026-11-21T14:03:07.512345678Z","node":"node-1","type":"connect_exhausted","#
                    + #""cause":"port_range","count":1,"error":"EADDRNOTAVAIL","error_raw":99,"proto":"tcp","family":"ipv4","#
                    + #""netns_id":4026531840,"cgroup":{"id":1234,"path":"/checkout/worker"},"#
                    + #""proc":{"pid":4711,"tid":4712,"comm":"nginx","uid":1000},"src":{"addr":"10.0.0.5"},"#
                    + #""dst":{"addr":"10.0.0.9","port":8080},"attribution":"task","probe":"fentry","#
                    + #""detail":{"port_range":[32768,33001]}}"#,
                #"{"schema":1,"timestamp":"2026-11-21T14:03:07.512345678Z","node":"node-1","type":"connect_conflict","#
                    + #""cause":"tuple_taken","count":1,"error":"EADDRNOTAVAIL","error_raw":99,"proto":"tcp","family":"ipv6","#
                    + #""netns_id":4026531840,"cgroup":{"id":7,"path":"/kubepods.slice/cri-containerd-"#
                    + #"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope"},"#
                    + #""runtime":{"name":"containerd","container_id":"#
                    + #""0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"#
                    + #""proc":{"pid":4711,"tid":4712,"comm":"a\"\n\u001b[31m�","uid":1000},"#
                    + #""src":{"addr":"fd00::1","port":40000},"dst":{"addr":"2001:db8::9","port":443},"#
                    + #""attribution":"task","probe":"tracepoint"}"#,
                #"{"schema":1,"timestamp":"2026-11-21T14:03:07.512345678Z","node":"node-1","type":"bind_exhausted","#
                    + #""cause":"port_range","count":1,"error":"EAGAIN","error_raw":11,"proto":"udp","family":"ipv4","#
                    + #""netns_id":4026531840,"cgroup":{"id":99},"attribution":"socket","probe":"kprobe","#
                    + #""detail":{"port_range":[32768,33001]}}"#,
            ])
    }

    @Test func ndjsonRows() {
        let test = TestStream(.ndjson, paths: paths)
        test.row(.example.folded, .example, generation: 7)
        test.row(.example.other, .example, generation: 7)
        var one = pt_count.example
        one.count = 2
        test.row(.example.other, one, generation: 7)
        one.sampled = 2
        test.row(.example, one, generation: 7)
        test.stream.endFlush(generation: 7)
        let start = #"{"schema":1,"timestamp":"2026-11-21T14:03:07.600000000Z","#
        #expect(
            test.takeLines() == [
                start
                    + #""last_timestamp":"2026-11-21T14:03:08.000000001Z","node":"node-1","type":"connect_exhausted","#
                    + #""cause":"port_range","count":499,"error":"EADDRNOTAVAIL","error_raw":99,"proto":"tcp","#
                    + #""netns_id":4026531840,"cgroup":{"id":1234,"path":"/checkout/worker"},"attribution":"task","#
                    + #""probe":"fentry","detail":{"folded":true}}"#,
                start
                    + #""last_timestamp":"2026-11-21T14:03:08.000000001Z","node":"node-1","type":"connect_exhausted","#
                    + #""cause":"port_range","count":499,"error":"EADDRNOTAVAIL","error_raw":99,"detail":{"folded":true}}"#,
                start + #""node":"node-1","type":"connect_exhausted","#
                    + #""cause":"port_range","count":1,"error":"EADDRNOTAVAIL","error_raw":99,"detail":{"folded":true}}"#,
            ])
    }

    @Test func ndjsonOfLittleKnown() {
        let test = TestStream(.ndjson)
        var sample = pt_sample()
        sample.key.kind = UInt8(PT_KIND_BIND_EXHAUSTED.rawValue)
        sample.key.cause = UInt8(PT_CAUSE_PORT_RANGE.rawValue)
        sample.key.tier = UInt8(PT_TIER_TRACEPOINT.rawValue)
        test.sample(sample)
        sample.key.error = 200
        sample.key.proto = 253
        sample.key.tgid = 1
        sample.key.attribution = UInt8(PT_ATTRIBUTION_TASK.rawValue)
        sample.key.setSource(Array(repeating: 0, count: 16))
        test.sample(sample)
        let start =
            #"{"schema":1,"timestamp":"2026-11-21T14:03:06.000000000Z","node":"node-1","type":"bind_exhausted","#
            + #""cause":"port_range","count":1,"#
        #expect(
            test.takeLines() == [
                start + #""probe":"tracepoint"}"#,
                start + #""error_raw":200,"proto":"253","family":"ipv6","proc":{"pid":1,"comm":"","uid":0},"#
                    + #""src":{"addr":"::"},"attribution":"task","probe":"tracepoint"}"#,
            ])
    }

    @Test func ndjsonSession() {
        let test = TestStream(.ndjson, paths: paths)
        test.sample(bind)
        _ = test.take()
        test.stream.lost(.ring, count: 12, at: 1_795_269_787_000_000_001)
        test.stream.lost(.missedRuns, count: 0, at: 1_795_269_787_000_000_001)
        test.stream.lost(.missedRuns, count: 3, at: 1_795_269_787_000_000_002)
        test.stream.lost(.ring, count: 1, at: 1_795_269_787_000_000_003)
        test.stream.finish(facts, at: 1_795_269_788_000_000_000)
        let start = #"{"schema":1,"timestamp":"2026-11-21T14:03:07.00000000"#
        #expect(
            test.takeLines() == [
                start + #"1Z","node":"node-1","type":"lost","count":12,"detail":{"where":"ring"}}"#,
                start + #"2Z","node":"node-1","type":"lost","count":3,"detail":{"where":"missed_runs"}}"#,
                start + #"3Z","node":"node-1","type":"lost","count":1,"detail":{"where":"ring"}}"#,
                #"{"schema":1,"timestamp":"2026-11-21T14:03:08.000000000Z","node":"node-1","type":"summary","detail":{"#
                    + #""totals":{"connect_exhausted":0,"connect_conflict":0,"bind_exhausted":1},"exact":false,"#
                    + #""lost":{"ring":13,"missed_runs":3},"probes":{"connect":"fentry","bind":"none (\"why\")"},"#
                    + #""undecided":{},"kernel":[]}}"#,
            ])
    }

    @Test func summaryOfAFilteredRun() throws {
        var filter = Filter()
        try filter.addCgroups(parsing: "/checkout".utf8)
        let test = TestStream(.ndjson, filter: filter, paths: paths)
        test.sample(.example)
        test.sample(conflict)
        test.sample(bind)
        test.sample(bind)
        test.row(.example, .example, generation: 7)
        test.row(.example.other, .example, generation: 7)
        #expect(test.takeLines().count == 2)
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: EventType.counted), at: 0)
        #expect(
            test.takeLines() == [
                #"{"schema":1,"timestamp":"1970-01-01T00:00:00.000000000Z","node":"node-1","type":"summary","detail":{"#
                    + #""totals":{"connect_exhausted":500,"connect_conflict":0,"bind_exhausted":0,"time_wait_overflow":0,"#
                    + #""conntrack_table_full":0,"conntrack_evicted":0,"snat_exhausted":0,"#
                    + #""conntrack_insert_failed":0,"tcp_state":0},"exact":true,"#
                    + #""lost":{"ring":0,"missed_runs":0},"probes":{},"#
                    + #""undecided":{"connect_exhausted":499,"bind_exhausted":2},"kernel":[]}}"#
            ])
        #expect(
            test.messages == [
                "a bind_exhausted event lacks a field that a filter asks for and is left out; "
                    + "summary.detail.undecided counts such events"
            ])
    }

    @Test func text() {
        let test = TestStream(.text, paths: paths)
        test.sample(.example)
        test.sample(conflict)
        test.sample(bind)
        #expect(
            test.takeLines() == [
                "14:03:07.512  ports exhausted        1  nginx[4711] /checkout/worker  10.0.0.5        → 10.0.0.9:8080"
                    + "        tcp range 32768-33001 EADDRNOTAVAIL",
                #"14:03:07.512  tuple taken            1  containerd 0123456789ab a"\n\x1b[31m\xff[4711]"#
                    + "  [fd00::1]:40000 → [2001:db8::9]:443    tcp EADDRNOTAVAIL",
                "14:03:07.512  bind exhausted         1  (kernel) cgroup 99                              "
                    + "-                                      udp range 32768-33001 EAGAIN",
            ])
        var early = pt_count.example
        early.rest_first_ns = 0
        early.count = 3
        test.row(.example, .example, generation: 7)
        test.row(.example.folded, early, generation: 7)
        test.stream.lost(.ring, count: 12, at: 1_795_269_788_000_000_000)
        test.stream.endFlush(generation: 7)
        #expect(
            test.takeLines() == [
                "14:03:07.600  ports exhausted      499  nginx[4711] /checkout/worker                    "
                    + "10.0.0.5        → 10.0.0.9:8080        tcp range 32768-33001 EADDRNOTAVAIL",
                "              ports exhausted        3  /checkout/worker                                "
                    + "-               → (map full)           tcp EADDRNOTAVAIL",
                "14:03:08.000  lost                  12  samples not delivered; their failures are in the counts",
            ])
        test.stream.finish(facts, at: 0)
        #expect(
            test.takeLines() == [
                "",
                "what             count  who                                       to",
                "ports exhausted    500  nginx /checkout/worker                    10.0.0.9:8080",
                "ports exhausted      3  /checkout/worker                          (map full)",
                #"tuple taken          1  containerd 0123456789ab a"\n\x1b[31m\xff  [2001:db8::9]:443"#,
                "bind exhausted       1  (kernel) cgroup 99                        -",
                "",
                "total: ports exhausted 503, tuple taken 1, bind exhausted 1",
            ])
    }

    @Test func textOfAStorm() {
        let test = TestStream(.text)
        for index in UInt8(1)...60 {
            var key = pt_key.example
            key.setDestination([10, 1, 0, index], port: 53)
            var count = pt_count.example
            count.count = UInt64(index)
            test.row(key, count, generation: 7)
        }
        test.stream.endFlush(generation: 7)
        let lines = test.takeLines()
        #expect(lines.count == 40)
        #expect(lines[0].contains("       60  nginx[4711] /checkout/worker  10.0.0.5        → 10.1.0.60:53"))
        #expect(lines[38].contains("       22  nginx[4711] /checkout/worker  10.0.0.5        → 10.1.0.22:53"))
        #expect(lines[39] == "14:03:07.600  ports exhausted     +231 failures, 21 more destinations")
    }

    @Test func brightOnlyWhereAllowed() {
        let test = TestStream(.text, colour: true)
        test.sample(.example)
        #expect(test.take().hasPrefix("14:03:07.512  \u{1b}[1mports exhausted\u{1b}[0m        1  nginx[4711]"))
    }

    @Test func hostileText() {
        let test = TestStream(.text, paths: paths)
        var sample = conflict
        sample.key.cgroup_id = 8
        test.sample(sample)
        test.stream.finish(facts, at: 0)
        let text = test.take()
        #expect(text.contains(#"a"\n\x1b[31m\xff[4711] /evil\x1b]0;"\ "#))
        #expect(!text.unicodeScalars.contains { isHazardous($0.value) && $0 != "\n" })
    }

    @Test func emptyRun() {
        let test = TestStream(.text)
        test.stream.finish(facts, at: 0)
        #expect(test.takeLines() == ["", "total: ports exhausted 0, tuple taken 0"])
    }

    @Test func unreadableRecordsAreCountedAndSaid() {
        for format in [OutputFormat.text, .ndjson] {
            let test = TestStream(format)
            var sample = pt_sample.example
            sample.key.kind = 10
            test.sample(sample)
            test.row(sample.key, .example, generation: 7)
            [1, 2].withUnsafeBytes { test.stream.sample($0) }
            #expect(test.stream.undecodable == 3)
            #expect(test.take() == "")
            test.stream.finish(facts, at: 0)
            #expect(test.messages.count == 2)
            #expect(test.messages[0].hasPrefix("a sample record of the kernel's could not be read (unknown kind 10)"))
            #expect(test.messages[1] == "3 records of the kernel's could not be read in all")
            let end = test.take()
            #expect(end.contains(format == .text ? "not exact: records that could not be read: 3" : #""exact":false"#))
        }
    }
}
