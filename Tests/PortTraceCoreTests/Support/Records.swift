import CPortTraceWire

@testable import PortTraceCore

extension pt_key {
    /// connect() of nginx[4711] from 10.0.0.5 to 10.0.0.9:8080 that found no port.
    static var example: pt_key {
        var key = pt_key()
        key.cgroup_id = 1234
        key.start_ns = 99
        key.tgid = 4711
        key.netns_id = 4_026_531_840
        key.setSource([10, 0, 0, 5])
        key.setDestination([10, 0, 0, 9], port: 8080)
        key.error = 99
        key.kind = UInt8(PT_KIND_CONNECT_EXHAUSTED.rawValue)
        key.cause = UInt8(PT_CAUSE_PORT_RANGE.rawValue)
        key.proto = 6
        key.tier = UInt8(PT_TIER_FENTRY.rawValue)
        key.attribution = UInt8(PT_ATTRIBUTION_TASK.rawValue)
        return key
    }

    /// A socket of nginx[4711] from 10.0.0.5 to 10.0.0.9:8080 that found no room in TIME_WAIT.
    static var overflow: pt_key {
        var key = pt_key.example
        key.start_ns = 0
        key.error = 0
        key.kind = UInt8(PT_KIND_TIME_WAIT_OVERFLOW.rawValue)
        key.cause = UInt8(PT_CAUSE_TW_BUCKETS.rawValue)
        key.tier = UInt8(PT_TIER_TRACEPOINT.rawValue)
        key.attribution = UInt8(PT_ATTRIBUTION_SOCKET.rawValue)
        return key
    }

    /// A socket of nginx[4711] that closes first.
    static var closing: pt_key {
        var key = pt_key.overflow
        key.kind = UInt8(PT_KIND_TCP_STATE.rawValue)
        key.cause = 0
        key.states = 1 << 4 | 4
        return key
    }

    /// A packet of 10.1.0.5, in a pod's namespace, to 10.0.0.9:53 that found no room in the host's table.
    static var tableFull: pt_key {
        var key = pt_key()
        key.cgroup_id = 1234
        key.netns_id = 4_026_531_840
        key.owner_netns_id = 4_026_532_345
        key.setSource([10, 1, 0, 5])
        key.setDestination([10, 0, 0, 9], port: 53)
        key.kind = UInt8(PT_KIND_CONNTRACK_TABLE_FULL.rawValue)
        key.cause = UInt8(PT_CAUSE_TABLE_FULL.rawValue)
        key.proto = 17
        key.tier = UInt8(PT_TIER_TRACEPOINT.rawValue)
        key.attribution = UInt8(PT_ATTRIBUTION_TUPLE.rawValue)
        key.flags |= UInt8(PT_FLAG_OUTBOUND.rawValue)
        return key
    }

    /// A packet of 10.1.0.5 to the service 10.0.0.9:53, led to 10.1.7.7:5353, whose reply tuple at 192.0.2.1 was taken.
    static var clash: pt_key {
        var key = pt_key.tableFull
        key.kind = UInt8(PT_KIND_SNAT_CLASH.rawValue)
        key.cause = UInt8(PT_CAUSE_RACE.rawValue)
        key.setNAT([192, 0, 2, 1])
        key.setBackend([10, 1, 7, 7], port: 5353)
        return key
    }

    /// The same for ICMP: an echo request.
    mutating func becomeEchoRequest() {
        proto = family == 4 ? 1 : 58
        dst_port_be16 = (family == 4 ? UInt16(8) << 8 : UInt16(128) << 8).bigEndian
        backend_port_be16 = 0
    }

    mutating func setNAT(_ bytes: [UInt8]) {
        withUnsafeMutableBytes(of: &nat_addr) {
            $0.copyBytes(from: bytes + Array(repeating: 0, count: 16 - bytes.count))
        }
        flags |= UInt8(PT_FLAG_NAT.rawValue)
    }

    mutating func setBackend(_ bytes: [UInt8], port: UInt16) {
        withUnsafeMutableBytes(of: &backend_addr) {
            $0.copyBytes(from: bytes + Array(repeating: 0, count: 16 - bytes.count))
        }
        backend_port_be16 = port.bigEndian
        flags |= UInt8(PT_FLAG_BACKEND.rawValue)
    }

    mutating func setSource(_ bytes: [UInt8]) {
        withUnsafeMutableBytes(of: &src_addr) {
            $0.copyBytes(from: bytes + Array(repeating: 0, count: 16 - bytes.count))
        }
        family = bytes.count == 4 ? 4 : 6
        flags |= UInt8(PT_FLAG_SRC.rawValue)
    }

    mutating func setDestination(_ bytes: [UInt8], port: UInt16) {
        withUnsafeMutableBytes(of: &dst_addr) {
            $0.copyBytes(from: bytes + Array(repeating: 0, count: 16 - bytes.count))
        }
        family = bytes.count == 4 ? 4 : 6
        dst_port_be16 = port.bigEndian
        flags |= UInt8(PT_FLAG_DST.rawValue)
    }

    /// What the kernel counts this key in where its map is full.
    var folded: pt_key {
        var folded = pt_key()
        folded.cgroup_id = cgroup_id
        folded.netns_id = netns_id
        folded.kind = kind
        folded.cause = cause
        folded.proto = proto
        folded.tier = tier
        folded.attribution = attribution
        folded.flags = UInt8(PT_FLAG_FOLDED.rawValue)
        return folded
    }

    /// What the kernel counts this key in where that map is full too.
    var other: pt_key {
        var other = pt_key()
        other.kind = kind
        other.flags = UInt8(PT_FLAG_OTHER.rawValue)
        return other
    }

    var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
}

extension pt_detail {
    static var example: pt_detail {
        var detail = pt_detail()
        detail.tid = 4712
        detail.uid = 1000
        detail.setComm(Array("nginx".utf8))
        detail.port_low = 32768
        detail.port_high = 33001
        return detail
    }

    /// Of a conntrack event from port 5555, that source NAT has left with 40000.
    static var conntrack: pt_detail {
        var detail = pt_detail()
        detail.src_port_be16 = UInt16(5555).bigEndian
        detail.nat_port_be16 = UInt16(40000).bigEndian
        detail.limit = 262_144
        return detail
    }

    mutating func setComm(_ bytes: [UInt8]) {
        withUnsafeMutableBytes(of: &comm) { $0.copyBytes(from: bytes + Array(repeating: 0, count: 16 - bytes.count)) }
    }
}

extension pt_sample {
    /// 2026-11-21T14:03:07.512345678Z with ``Clock/example``.
    static var example: pt_sample {
        var sample = pt_sample()
        sample.key = .example
        sample.detail = .example
        sample.time_ns = 1_512_345_678
        sample.generation = 7
        return sample
    }

    /// One of a conntrack event, at the same time.
    static func conntrack(_ key: pt_key) -> pt_sample {
        var sample = pt_sample.example
        sample.key = key
        sample.detail = .conntrack
        return sample
    }

    var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
}

extension pt_count {
    /// 500 failures, one of them sampled.
    static var example: pt_count {
        var count = pt_count()
        count.count = 500
        count.sampled = 1
        count.rest_first_ns = 1_600_000_000
        count.rest_last_ns = 2_000_000_001
        count.detail = .example
        return count
    }

    /// As many of a conntrack event.
    static var conntrack: pt_count {
        var count = pt_count.example
        count.detail = .conntrack
        return count
    }

    var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
}

extension Clock {
    /// Monotonic 0 is 2026-11-21T14:03:06Z.
    static let example = Clock(utcOffsetNanoseconds: 1_795_269_786_000_000_000)
}

/// Paths by cgroup id, counting who asks.
final class Paths: CgroupPathSource {
    var paths: [UInt64: [UInt8]]
    var asked = 0

    init(_ paths: [UInt64: String] = [1234: "/checkout/worker"]) {
        self.paths = paths.mapValues { Array($0.utf8) }
    }

    var hierarchyName: String { "memory" }

    func path(ofCgroup id: UInt64) -> [UInt8]? {
        asked += 1
        return paths[id]
    }
}

/// Names by container, by namespace; and who has which address.
final class Owners: OwnerSource {
    var version: UInt64 = 0
    var containers: [[UInt8]: OwnerNames] = [:]
    var namespaces: [NamespaceIdentity: OwnerNames] = [:]
    var addresses: [IPAddress: NamespaceIdentity] = [:]
    /// CLOCK_MONOTONIC, nanoseconds.
    var now = pt_sample.example.time_ns
    var asked = 0

    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? {
        asked += 1
        return containers[id]
    }

    func names(of namespace: NamespaceIdentity) -> OwnerNames? { namespaces[namespace] }
    func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)? {
        addresses[address].map { ($0, now) }
    }
    func place(of address: IPAddress) -> AddressPlace { addresses[address].map { .namespace($0) } ?? .unknown }
}

/// What was asked about clashes.
final class Questions: NATClashReader {
    private(set) var asked: [NATClash] = []

    func ask(_ clash: NATClash) { asked.append(clash) }

    /// The questions since the last call.
    func take() -> [NATClash] {
        defer { asked = [] }
        return asked
    }
}

/// What is held, by resource, and how often that was asked.
final class Census: CensusSource {
    var occupancies: [Occupancy] = []
    private(set) var asked = 0

    func occupancy(of resource: Resource) -> Occupancy? {
        asked += 1
        return occupancies.first { $0.resource == resource }
    }
}

/// A stream and what it said.
final class TestStream {
    let stream: EventStream
    let questions = Questions()
    private final class Said { var messages: [String] = [] }
    private let said = Said()

    init(
        _ format: OutputFormat?, each: Bool = false, colour: Bool = false, filter: Filter = Filter(),
        paths: Paths = Paths(), owners: Owners = Owners(), addresses: NamedAddresses = NamedAddresses(),
        census: Census = Census()
    ) {
        let said = said
        stream = EventStream(
            .init(format: format, colour: colour, node: Array("node-1".utf8), each: each, filter: filter),
            clock: .example, sources: .init(cgroupPaths: paths, owners: owners, clashes: questions, census: census),
            addresses: addresses
        ) { said.messages.append($0.message) }
    }

    var messages: [String] { said.messages }

    func sample(_ sample: pt_sample) {
        sample.bytes.withUnsafeBytes { stream.sample($0) }
    }

    func row(_ key: pt_key, _ value: pt_count, generation: UInt32) {
        key.bytes.withUnsafeBytes { key in
            value.bytes.withUnsafeBytes { value in stream.row(key: key, value: value, generation: generation) }
        }
    }

    /// What waits, and takes it away.
    func take() -> String {
        let text = stream.withPendingBytes { String(decoding: $0, as: UTF8.self) }
        stream.consume(stream.pendingByteCount)
        return text
    }

    func takeLines() -> [String] {
        take().split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }
}

/// What a body writes.
func written(_ body: (inout OutputBuffer) -> Void) -> String {
    var buffer = OutputBuffer()
    body(&buffer)
    return buffer.withBytes { String(decoding: $0, as: UTF8.self) }
}

extension NATClashEvidence.Holder {
    /// An entry just made, without a reply.
    init(port: UInt16, id: UInt32) {
        self.init(port: port, id: id, status: 0, timeout: 30, tcpState: nil)
    }
}
