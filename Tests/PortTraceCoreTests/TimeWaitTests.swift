import CPortTraceWire
import Testing

@testable import PortTraceCore

/// TIME_WAIT's overflows and TCP's changes of state.
@Suite struct TimeWaitTests {
    private var overflow: pt_sample {
        var sample = pt_sample.example
        sample.key = .overflow
        sample.detail.tid = 0
        sample.detail.src_port_be16 = UInt16(40_000).bigEndian
        (sample.detail.port_low, sample.detail.port_high) = (0, 0)
        sample.detail.limit = 50
        return sample
    }

    private var closing: pt_sample {
        var sample = overflow
        sample.key = .closing
        sample.detail.tid = 4712
        sample.detail.limit = 0
        return sample
    }

    /// The same, by a packet.
    private var waiting: pt_sample {
        var sample = closing
        sample.key.states = 5 << 4 | 6
        sample.key.tgid = 0
        return sample
    }

    private func decode(_ sample: pt_sample) throws -> Failure {
        try withUnsafeBytes(of: sample) { try Sample(decoding: $0) }.failure
    }

    @Test func ndjson() {
        let test = TestStream(.ndjson, paths: Paths([1234: "/checkout/worker"]))
        test.sample(overflow)
        test.sample(closing)
        test.sample(waiting)
        let start = #"{"schema":1,"timestamp":"2026-11-21T14:03:07.512345678Z","node":"node-1","type":"#
        let socket =
            #""count":1,"proto":"tcp","family":"ipv4","netns_id":4026531840,"#
            + #""cgroup":{"id":1234,"path":"/checkout/worker"},"#
        let ends =
            #""src":{"addr":"10.0.0.5","port":40000},"dst":{"addr":"10.0.0.9","port":8080},"#
            + #""attribution":"socket","#
        #expect(
            test.takeLines() == [
                start + #""time_wait_overflow","cause":"tw_buckets","# + socket
                    + #""proc":{"pid":4711,"comm":"nginx","uid":1000},"# + ends + #""probe":"tracepoint"}"#,
                start + #""tcp_state","# + socket + #""proc":{"pid":4711,"tid":4712,"comm":"nginx","uid":1000},"#
                    + ends + #""probe":"tracepoint","detail":{"old":"ESTABLISHED","new":"FIN_WAIT1"}}"#,
                start + #""tcp_state","# + socket + ends
                    + #""probe":"tracepoint","detail":{"old":"FIN_WAIT2","new":"TIME_WAIT"}}"#,
            ])
    }

    @Test func text() {
        let test = TestStream(.text, paths: Paths([1234: "/checkout/worker"]))
        test.sample(overflow)
        test.sample(closing)
        test.sample(waiting)
        #expect(
            test.takeLines() == [
                "14:03:07.512  TIME_WAIT full         1  nginx[4711] /checkout/worker  10.0.0.5:40000  → 10.0.0.9:8080"
                    + "        tcp closed without TIME_WAIT: tcp_max_tw_buckets reached (max 50)",
                "14:03:07.512  TCP state              1  nginx[4711] /checkout/worker  10.0.0.5:40000  → 10.0.0.9:8080"
                    + "        tcp ESTABLISHED → FIN_WAIT1",
                "14:03:07.512  TCP state              1  /checkout/worker              10.0.0.5:40000  → 10.0.0.9:8080"
                    + "        tcp FIN_WAIT2 → TIME_WAIT",
            ])
    }

    @Test func counterHasNoOwner() {
        let test = TestStream(.ndjson)
        test.stream.counted(.timeWaitOverflow, cause: .timeWaitBuckets, netnsID: 7, count: 3, at: 0)
        #expect(
            test.takeLines() == [
                #"{"schema":1,"timestamp":"1970-01-01T00:00:00.000000000Z","node":"node-1","type":"time_wait_overflow","#
                    + #""cause":"tw_buckets","count":3,"netns_id":7,"probe":"counter"}"#
            ])
    }

    @Test(arguments: [PT_CAUSE_PORT_RANGE, PT_CAUSE_RACE, PT_CAUSE_DYING]) func foreignCauses(_ cause: pt_cause) {
        var sample = overflow
        sample.key.cause = UInt8(cause.rawValue)
        #expect(throws: DecodeError.cause(sample.key.cause)) { try decode(sample) }
        sample = closing
        sample.key.cause = UInt8(cause.rawValue)
        #expect(throws: DecodeError.cause(sample.key.cause)) { try decode(sample) }
    }

    @Test func noMemory() throws {
        var sample = overflow
        sample.key.cause = UInt8(PT_CAUSE_NO_MEMORY.rawValue)
        #expect(try decode(sample).cause == .noMemory)
    }

    @Test func everyStateHasItsName() throws {
        let names = [
            "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
            "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
        ]
        for (index, name) in names.enumerated() {
            var sample = closing
            sample.key.states = UInt8(index + 1) << 4 | 7
            let change = try #require(try decode(sample).change)
            #expect("\(change.old.name)" == name && change.new == .close)
        }
    }

    @Test(arguments: [0x00, 0x10, 0x01, 0xd1, 0x1f] as [UInt8]) func unknownStates(_ states: UInt8) {
        var sample = closing
        sample.key.states = states
        #expect(throws: DecodeError.states(states)) { try decode(sample) }
    }

    @Test func foldedOnesHaveNone() throws {
        var sample = closing
        sample.key = sample.key.folded
        #expect(try decode(sample).change == nil)
        #expect(try decode(sample).cause == nil)
    }

    /// Nobody's kernel thread: an interrupt has no process.
    @Test func anInterruptIsNoKernelThread() throws {
        #expect(try !decode(waiting).isKernels)
    }

    /// The cgroups that the filter rejects are told, so that the kernel may leave them out; others are not.
    @Test func rejectedCgroupsAreTold() throws {
        var filter = Filter()
        try filter.addCgroups(parsing: "/a".utf8)
        let test = TestStream(.ndjson, filter: filter, paths: Paths([1: "/a/1", 2: "/b"]))
        var told: [UInt64] = []
        test.stream.rejected = { told.append($0) }
        for id in [1, 2, 3] as [UInt64] {
            var sample = closing
            sample.key.cgroup_id = id
            test.sample(sample)
            sample.key = .overflow
            sample.key.cgroup_id = 2
            test.sample(sample)
        }
        #expect(told == [2])
        #expect(test.takeLines().count == 1)
    }
}
