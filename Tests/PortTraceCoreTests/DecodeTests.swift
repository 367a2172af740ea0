import CPortTraceWire
import Testing

@testable import PortTraceCore

@Suite struct DecodeTests {
    private func decode(_ sample: pt_sample) throws -> Sample {
        try sample.bytes.withUnsafeBytes { try Sample(decoding: $0) }
    }

    @Test func everyFieldOfASample() throws {
        let sample = try decode(.example)
        #expect(sample.time == 1_512_345_678)
        #expect(sample.generation == 7)
        let failure = sample.failure
        #expect(failure.type == .connectExhausted)
        #expect(failure.folding == .none)
        #expect(failure.probe == .fentry)
        #expect(failure.cause == .portRange)
        #expect(failure.attribution == .task)
        #expect(failure.cgroupID == 1234)
        #expect(failure.netnsID == 4_026_531_840)
        #expect(failure.error == 99)
        #expect(failure.proto == 6)
        #expect(failure.family == .ipv4)
        #expect(failure.source == IPAddress(ipv4: 0x0a00_0005))
        #expect(failure.sourcePort == 0)
        #expect(failure.destination == IPAddress(ipv4: 0x0a00_0009))
        #expect(failure.destinationPort == 8080)
        #expect(failure.process == FailingProcess(pid: 4711, tid: 4712, uid: 1000, comm: Comm("nginx".utf8)))
        #expect(failure.portRange == PortRange(low: 32768, high: 33001))
    }

    @Test func isIndifferentToAlignment() throws {
        let bytes = [0] + pt_sample.example.bytes
        let sample = try bytes.withUnsafeBytes { try Sample(decoding: UnsafeRawBufferPointer(rebasing: $0[1...])) }
        #expect(sample.failure.cgroupID == 1234)
    }

    @Test(arguments: Array(0..<168) + [169, 176])
    func sampleOfAnyOtherSize(_ size: Int) {
        let bytes = Array((pt_sample.example.bytes + Array(repeating: 0, count: 8)).prefix(size))
        #expect(throws: DecodeError.size(size, expected: 168)) {
            try bytes.withUnsafeBytes { try Sample(decoding: $0) }
        }
    }

    @Test(arguments: 0..<112)
    func keyCutShort(_ size: Int) {
        let (key, value) = (Array(pt_key.example.bytes.prefix(size)), pt_count.example.bytes)
        #expect(throws: DecodeError.size(size, expected: 112)) { try row(key, value) }
    }

    @Test(arguments: 0..<72)
    func countCutShort(_ size: Int) {
        let (key, value) = (pt_key.example.bytes, Array(pt_count.example.bytes.prefix(size)))
        #expect(throws: DecodeError.size(size, expected: 72)) { try row(key, value) }
    }

    private func row(_ key: [UInt8], _ value: [UInt8]) throws -> CountRow {
        try key.withUnsafeBytes { key in try value.withUnsafeBytes { try CountRow(key: key, value: $0) } }
    }

    @Test func everyFieldOfACount() throws {
        let row = try row(pt_key.example.bytes, pt_count.example.bytes)
        #expect((row.count, row.sampled, row.rest) == (500, 1, 499))
        #expect((row.restFirst, row.restLast) == (1_600_000_000, 2_000_000_001))
        #expect(row.failure.process?.tid == 4712)
    }

    @Test func countsThatCannotBe() {
        var value = pt_count.example
        value.sampled = 501
        #expect(throws: DecodeError.count(500, sampled: 501)) { try row(pt_key.example.bytes, value.bytes) }
        value.count = .max
        #expect(throws: DecodeError.count(.max, sampled: 501)) { try row(pt_key.example.bytes, value.bytes) }
    }

    @Test(arguments: [0, 10, 11, 128, 255] as [UInt8])
    func unknownKind(_ kind: UInt8) {
        var sample = pt_sample.example
        sample.key.kind = kind
        #expect(throws: DecodeError.kind(kind)) { try decode(sample) }
    }

    @Test(arguments: [0, 2, 3, 7, 8, 255] as [UInt8])
    func causeOfAnotherKind(_ cause: UInt8) {
        var sample = pt_sample.example
        sample.key.cause = cause
        #expect(throws: DecodeError.cause(cause)) { try decode(sample) }
    }

    @Test(arguments: [0, 4, 255] as [UInt8])
    func unknownTier(_ tier: UInt8) {
        var sample = pt_sample.example
        sample.key.tier = tier
        #expect(throws: DecodeError.tier(tier)) { try decode(sample) }
    }

    @Test(arguments: [1, 2, 5, 10, 255] as [UInt8])
    func unknownFamily(_ family: UInt8) {
        var sample = pt_sample.example
        sample.key.family = family
        #expect(throws: DecodeError.family(family)) { try decode(sample) }
    }

    @Test func flagsThatCannotBe() {
        var sample = pt_sample.example
        // Conntrack's alone.
        for flag in [PT_FLAG_NAT, PT_FLAG_BACKEND, PT_FLAG_OUTBOUND, PT_FLAG_INBOUND] {
            sample.key.flags = UInt8(flag.rawValue)
            #expect(throws: DecodeError.flags(UInt8(flag.rawValue))) { try decode(sample) }
        }
        sample.key.flags = UInt8(PT_FLAG_DST.rawValue)
        sample.key.family = 0
        #expect(throws: DecodeError.flags(2)) { try decode(sample) }
    }

    @Test(arguments: [
        (PT_KIND_CONNECT_EXHAUSTED, PT_CAUSE_PORT_RANGE, EventType.connectExhausted),
        (PT_KIND_CONNECT_CONFLICT, PT_CAUSE_TUPLE_TAKEN, .connectConflict),
        (PT_KIND_BIND_EXHAUSTED, PT_CAUSE_PORT_RANGE, .bindExhausted),
    ])
    func kinds(_ kind: pt_kind, _ cause: pt_cause, _ type: EventType) throws {
        var sample = pt_sample.example
        sample.key.kind = UInt8(kind.rawValue)
        sample.key.cause = UInt8(cause.rawValue)
        #expect(try decode(sample).failure.type == type)
    }

    @Test(arguments: [(1, Probe.fentry), (2, .kprobe), (3, .tracepoint)] as [(UInt8, Probe)])
    func tiers(_ tier: UInt8, _ probe: Probe) throws {
        var sample = pt_sample.example
        sample.key.tier = tier
        #expect(try decode(sample).failure.probe == probe)
    }

    @Test func edgesOfNumbers() throws {
        var sample = pt_sample.example
        sample.key.cgroup_id = .max
        sample.key.tgid = .max
        sample.key.netns_id = .max
        sample.key.error = .max
        sample.key.proto = .max
        sample.key.dst_port_be16 = .max
        sample.detail.src_port_be16 = UInt16(1).bigEndian
        sample.detail.tid = .max
        sample.detail.uid = .max
        sample.detail.port_low = 1
        sample.detail.port_high = .max
        sample.time_ns = .max
        sample.generation = .max
        let decoded = try decode(sample)
        let failure = decoded.failure
        #expect(failure.cgroupID == .max && failure.netnsID == .max && failure.error == .max && failure.proto == .max)
        #expect(failure.sourcePort == 1 && failure.destinationPort == .max)
        #expect(failure.process == FailingProcess(pid: .max, tid: .max, uid: .max, comm: Comm("nginx".utf8)))
        #expect(failure.portRange == PortRange(low: 1, high: .max))
        #expect(decoded.time == .max && decoded.generation == .max)
    }

    @Test(arguments: [(0, 0), (5, 4), (32768, 0)] as [(UInt16, UInt16)])
    func rangesThatAreNone(_ low: UInt16, _ high: UInt16) throws {
        var sample = pt_sample.example
        sample.detail.port_low = low
        sample.detail.port_high = high
        #expect(try decode(sample).failure.portRange == nil)
    }

    @Test func addressesOnlyWithTheirFlags() throws {
        var sample = pt_sample.example
        sample.key.flags = 0
        let failure = try decode(sample).failure
        #expect(failure.source == nil && failure.destination == nil && failure.destinationPort == 0)
        #expect(failure.family == .ipv4)
    }

    @Test func ipv6() throws {
        var sample = pt_sample.example
        sample.key.setSource(Array(1...16))
        sample.key.setDestination(Array(17...32), port: 53)
        let failure = try decode(sample).failure
        #expect(failure.family == .ipv6)
        #expect(failure.source == IPAddress(ipv6High: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10))
        #expect(failure.destination == IPAddress(ipv6High: 0x1112_1314_1516_1718, low: 0x191a_1b1c_1d1e_1f20))
    }

    @Test func kernelThreadHasNoProcess() throws {
        var sample = pt_sample.example
        sample.key.attribution = UInt8(PT_ATTRIBUTION_SOCKET.rawValue)
        sample.key.tgid = 0
        let failure = try decode(sample).failure
        #expect(failure.isKernels && failure.process == nil && failure.cgroupID == 1234)
        sample.key.attribution = UInt8(PT_ATTRIBUTION_TASK.rawValue)
        #expect(try !decode(sample).failure.isKernels)
    }

    @Test func foldedKeysGiveUpWhatTheyDoNotKnow() throws {
        let folded = try row(pt_key.example.folded.bytes, pt_count.example.bytes).failure
        #expect(folded.folding == .partly && folded.cgroupID == 1234 && folded.netnsID == 4_026_531_840)
        #expect(folded.proto == 6 && folded.process == nil && folded.portRange == nil && folded.destination == nil)
        let other = try row(pt_key.example.other.bytes, pt_count.example.bytes).failure
        #expect(other.folding == .wholly && other.cgroupID == 0 && other.netnsID == 0 && other.proto == 0)
        #expect(other.type == .connectExhausted && other.error == 99 && other.probe == nil)
    }

    @Test func connectHasItsErrorAlways() throws {
        var sample = pt_sample.example
        sample.key.error = 0
        #expect(try decode(sample).failure.error == 99)
        sample.key.kind = UInt8(PT_KIND_BIND_EXHAUSTED.rawValue)
        #expect(try decode(sample).failure.error == 0)
    }

    @Test(
        arguments: [
            ([], 0), ([0x61], 1), (Array("sixteen bytes ok".utf8), 16), (Array("15 bytes exactly".utf8.prefix(15)), 15),
            ([0x61, 0, 0x62], 1), (Array("12345678".utf8) + [0, 0x61], 8), ([0xff, 0x80, 1], 3),
        ] as [([UInt8], Int)])
    func comms(_ bytes: [UInt8], _ count: Int) throws {
        var sample = pt_sample.example
        sample.detail.setComm(bytes)
        let comm = try #require(try decode(sample).failure.process).comm
        #expect(comm.count == count)
        comm.withBytes { #expect(Array($0) == Array(bytes.prefix(count))) }
        #expect(comm == Comm(bytes))
        #expect(comm == Comm(bytes.prefix(count)))
    }

    /// Byte 0x80 next to a zero must not be taken for one.
    @Test func commEndsAtItsFirstZeroOnly() {
        #expect(Comm([0x01, 0x80, 0x01, 0x00, 0x01]).count == 3)
        #expect(Comm([0x80, 0x81, 0xff, 0x01, 0x01, 0x01, 0x01, 0x80, 0x80]).count == 9)
    }
}
