import CPortTraceWire

/// A failure made up here, so that what becomes of its record is known: by the header's words, not by Core's code.
struct KnownFailure {
    enum Folding { case none, partly, wholly }

    var kind: UInt8
    var folding: Folding
    var hasSource: Bool
    var hasDestination: Bool
    /// What the answer made of a clash.
    var isExhausted = false
    var key = pt_key()
    var detail = pt_detail()

    init(_ random: inout SplitMix) {
        kind = UInt8.random(in: 1..<UInt8(PT_KIND_END.rawValue), using: &random)
        folding = random.oneIn(8) ? random.pick([.partly, .wholly]) : .none
        let isClash = kind == UInt8(PT_KIND_SNAT_CLASH.rawValue)
        key.family = random.pick([0, 4, 4, 4, 6, 6])
        if isClash, key.family == 0 { key.family = 4 }
        hasSource = key.family != 0 && (isClash || Bool.random(using: &random))
        hasDestination = key.family != 0 && (isClash || !random.oneIn(4))
        fillKey(&random)
        fillOwner(&random)
        fillConntrack(&random)
        fillFlags(&random)
        fillDetail(&random)
    }

    private mutating func fillKey(_ random: inout SplitMix) {
        key.kind = kind
        key.cause = random.pick(causes)
        key.tier = UInt8.random(in: 1..<UInt8(PT_TIER_END.rawValue), using: &random)
        key.states = isState ? UInt8.random(in: 1...12, using: &random) << 4 | 7 : random.number()
        key.start_ns = random.number()
        key.netns_id = random.number()
        key.proto = random.pick([0, 6, 6, 17, 136, 1, 58, random.number()])
        key.error = random.pick([0, 98, 99, 11, 1, random.number()])
        key.dst_port_be16 = random.pick([80, 443, 8080, random.number(UInt16.self)]).bigEndian
        let source = KnownFailure.address(key.family, &random)
        let destination = KnownFailure.address(key.family, &random)
        withUnsafeMutableBytes(of: &key.src_addr) { $0.copyBytes(from: source) }
        withUnsafeMutableBytes(of: &key.dst_addr) { $0.copyBytes(from: destination) }
    }

    private mutating func fillOwner(_ random: inout SplitMix) {
        key.attribution = UInt8.random(in: 0..<UInt8(PT_ATTRIBUTION_END.rawValue), using: &random)
        key.owner_netns_id = random.pick([0, 1, random.number(UInt32.self)])
        if key.attribution == 0 { return }
        key.cgroup_id = random.oneIn(4) ? random.number() : UInt64.random(in: 0..<40, using: &random)
        if key.attribution == UInt8(PT_ATTRIBUTION_NETNS.rawValue) { return }
        key.tgid = random.oneIn(4) ? random.number() : UInt32.random(in: 0..<8, using: &random)
    }

    private mutating func fillConntrack(_ random: inout SplitMix) {
        key.zone = random.oneIn(3) ? random.number() : 0
        key.backend_port_be16 = random.number()
        let nat = KnownFailure.address(key.family, &random)
        let backend = KnownFailure.address(key.family, &random)
        withUnsafeMutableBytes(of: &key.nat_addr) { $0.copyBytes(from: nat) }
        withUnsafeMutableBytes(of: &key.backend_addr) { $0.copyBytes(from: backend) }
    }

    private mutating func fillFlags(_ random: inout SplitMix) {
        var flags: UInt32 = 0
        switch folding {
        case .none:
            if hasSource { flags |= PT_FLAG_SRC.rawValue }
            if hasDestination { flags |= PT_FLAG_DST.rawValue }
            guard isConntrack else { break }
            flags |= random.pick([0, PT_FLAG_OUTBOUND.rawValue, PT_FLAG_INBOUND.rawValue])
            if key.family == 0 { break }
            if random.oneIn(2) || isClash { flags |= PT_FLAG_NAT.rawValue }
            if random.oneIn(2) { flags |= PT_FLAG_BACKEND.rawValue }
        case .partly: flags = PT_FLAG_FOLDED.rawValue
        case .wholly:
            flags = PT_FLAG_OTHER.rawValue | (random.oneIn(2) ? PT_FLAG_FOLDED.rawValue : 0)
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
        detail.nat_port_be16 = random.number()
        detail.limit = random.number()
        detail.fresh_timeout = random.number()
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
        switch Int.random(in: 0..<6, using: &random) {
        case 0: key.kind = random.pick([0, UInt8(PT_KIND_END.rawValue), 255])
        case 1:
            let allowed = folding == .wholly ? causes + [0] : causes
            key.cause = random.pick((0...9).filter { !allowed.contains($0) } + [255])
        case 2: key.tier = random.pick([UInt8(PT_TIER_END.rawValue), 255])
        case 3: key.family = random.pick([1, 2, 5, 10, 255])
        case 4: key.attribution = random.pick([UInt8(PT_ATTRIBUTION_END.rawValue), 255])
        default:
            // Folded keys have no others; sockets' kinds none of conntrack's; a flow has one direction.
            let inbound = UInt8(PT_FLAG_INBOUND.rawValue)
            key.flags |= isConntrack && folding == .none ? inbound | UInt8(PT_FLAG_OUTBOUND.rawValue) : inbound
        }
    }
}
