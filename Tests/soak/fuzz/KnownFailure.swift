import CPortTraceWire

/// A failure made up here, so that what becomes of its record is known: by the header's words, not by Core's code.
struct KnownFailure {
    enum Folding { case none, partly, wholly }

    var kind: UInt8
    var folding: Folding
    var isCreators: Bool
    var hasSource: Bool
    var hasDestination: Bool
    var key = pt_key()
    var detail = pt_detail()

    init(_ random: inout SplitMix) {
        kind = UInt8.random(in: 1..<UInt8(PT_KIND_END.rawValue), using: &random)
        folding = random.oneIn(8) ? random.pick([.partly, .wholly]) : .none
        isCreators = random.oneIn(6)
        key.family = random.pick([0, 4, 4, 4, 6, 6])
        hasSource = key.family != 0 && Bool.random(using: &random)
        hasDestination = key.family != 0 && !random.oneIn(4)
        fillKey(&random)
        fillDetail(&random)
    }

    private mutating func fillKey(_ random: inout SplitMix) {
        key.kind = kind
        key.cause = UInt8(
            kind == UInt8(PT_KIND_CONNECT_CONFLICT.rawValue)
                ? PT_CAUSE_TUPLE_TAKEN.rawValue : PT_CAUSE_PORT_RANGE.rawValue)
        key.tier = UInt8.random(in: 1..<UInt8(PT_TIER_END.rawValue), using: &random)
        key.cgroup_id = random.oneIn(4) ? random.number() : UInt64.random(in: 0..<40, using: &random)
        key.start_ns = random.number()
        key.tgid = random.oneIn(4) ? random.number() : UInt32.random(in: 0..<8, using: &random)
        key.netns_id = random.number()
        key.proto = random.pick([0, 6, 6, 17, 136, random.number()])
        key.error = random.pick([0, 98, 99, 11, random.number()])
        key.dst_port_be16 = random.pick([80, 443, 8080, random.number(UInt16.self)]).bigEndian
        let source = KnownFailure.address(key.family, &random)
        let destination = KnownFailure.address(key.family, &random)
        withUnsafeMutableBytes(of: &key.src_addr) { $0.copyBytes(from: source) }
        withUnsafeMutableBytes(of: &key.dst_addr) { $0.copyBytes(from: destination) }
        var flags: UInt32 = 0
        if hasSource { flags |= PT_FLAG_SRC.rawValue }
        if hasDestination { flags |= PT_FLAG_DST.rawValue }
        if isCreators { flags |= PT_FLAG_SOCKET.rawValue }
        switch folding {
        case .none: break
        case .partly: flags |= PT_FLAG_FOLDED.rawValue
        case .wholly:
            flags |= PT_FLAG_OTHER.rawValue
            if Bool.random(using: &random) { (key.cause, key.tier) = (0, 0) }
        }
        key.flags = UInt8(flags)
    }

    private mutating func fillDetail(_ random: inout SplitMix) {
        detail.tid = random.number()
        detail.uid = random.number()
        detail.src_port_be16 = random.number()
        detail.port_low = random.number()
        detail.port_high = random.number()
        let comm = random.oneIn(3) ? Array("nginx".utf8) : random.hostileBytes(atMost: 16)
        withUnsafeMutableBytes(of: &detail.comm) { $0.copyBytes(from: comm) }
    }

    /// Sixteen bytes; few enough addresses that patterns meet some, all edges of their text.
    static func address(_ family: UInt8, _ random: inout SplitMix) -> [UInt8] {
        if family == 4 {
            let address: [UInt8] = random.pick([[10, 1, 2, 3], [10, 1, 2, 200], [0, 0, 0, 0], random.bytes(4)])
            return address + Array(repeating: 0, count: 12)
        }
        var address = random.oneIn(3) ? Array(repeating: 0, count: 16) : random.bytes(16)
        if random.oneIn(3) { address.replaceSubrange(0..<4, with: [0x20, 0x01, 0x0d, 0xb8]) }
        if random.oneIn(6) { address.replaceSubrange(0..<12, with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) }
        for group in 0..<8 where random.oneIn(2) {
            (address[2 * group], address[2 * group + 1]) = (0, random.oneIn(2) ? 0 : address[2 * group + 1])
        }
        return address
    }
}

extension KnownFailure {
    var typeName: String { ["", "connect_exhausted", "connect_conflict", "bind_exhausted"][Int(kind)] }

    var cgroupID: UInt64 { folding == .wholly ? 0 : key.cgroup_id }
    var netnsID: UInt32 { folding == .wholly ? 0 : key.netns_id }

    var hasProcess: Bool { folding == .none && !isCreators && key.tgid != 0 }

    /// What the contract says of the errno: connect()'s is always EADDRNOTAVAIL.
    var error: UInt16 {
        let known = folding == .none ? key.error : 0
        return known == 0 && kind != UInt8(PT_KIND_BIND_EXHAUSTED.rawValue) ? 99 : known
    }

    var comm: [UInt8] { withUnsafeBytes(of: detail.comm) { Array($0.prefix { $0 != 0 }) } }

    /// 4 or 16 bytes; nil where it is not known.
    var source: [UInt8]? { hasSource && folding == .none ? bytes(of: key.src_addr) : nil }
    var destination: [UInt8]? { hasDestination && folding == .none ? bytes(of: key.dst_addr) : nil }

    var sourcePort: UInt16 { folding == .none ? UInt16(bigEndian: detail.src_port_be16) : 0 }
    var destinationPort: UInt16 { destination == nil ? 0 : UInt16(bigEndian: key.dst_port_be16) }

    var portRange: [UInt64]? {
        let (low, high) = (detail.port_low, detail.port_high)
        guard folding == .none, kind != UInt8(PT_KIND_CONNECT_CONFLICT.rawValue), high != 0, low <= high else {
            return nil
        }
        return [UInt64(low), UInt64(high)]
    }

    private func bytes<Sixteen>(of address: Sixteen) -> [UInt8] {
        withUnsafeBytes(of: address) { Array($0.prefix(key.family == 4 ? 4 : 16)) }
    }
}

extension KnownFailure {
    var keyBytes: [UInt8] { withUnsafeBytes(of: key) { Array($0) } }

    func sampleBytes(time: UInt64, generation: UInt32) -> [UInt8] {
        let sample = pt_sample(key: key, detail: detail, time_ns: time, generation: generation, unused: 0)
        return withUnsafeBytes(of: sample) { Array($0) }
    }

    func countBytes(_ count: UInt64, sampled: UInt64, first: UInt64, last: UInt64) -> [UInt8] {
        let value = pt_count(count: count, sampled: sampled, rest_first_ns: first, rest_last_ns: last, detail: detail)
        return withUnsafeBytes(of: value) { Array($0) }
    }

    /// Breaks one thing, so that the record must be refused.
    mutating func spoil(_ random: inout SplitMix) {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: key.kind = random.pick([0, UInt8(PT_KIND_END.rawValue), 255])
        case 1: key.cause = key.cause == 0 ? 255 : 3 - key.cause + (random.oneIn(2) ? 2 : 0)
        case 2: key.tier = random.pick([UInt8(PT_TIER_END.rawValue), 255])
        case 3: key.family = random.pick([1, 2, 5, 10, 255])
        default: key.flags |= random.pick([0x20, 0x40, 0x80])
        }
    }
}
