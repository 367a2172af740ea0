import CPortTraceWire

/// Distinct records as the kernel would write them: names, addresses of both families, processes and cgroups vary;
/// one in four is a packet that conntrack refused.
struct Records {
    let count: Int
    private(set) var samples: [UInt8] = []
    private(set) var keys: [UInt8] = []
    private(set) var values: [UInt8] = []

    static let sampleSize = MemoryLayout<pt_sample>.size
    static let keySize = MemoryLayout<pt_key>.size
    static let valueSize = MemoryLayout<pt_count>.size

    private static let names = ["nginx", "java", "envoy", "python3", "node", "curl", "checkout-api", "worker \"7\""]

    init(count: Int) {
        self.count = count
        samples.reserveCapacity(count * Records.sampleSize)
        for number in 0..<count {
            let (key, detail) = (Records.key(number), Records.detail(number))
            let time = 5_000_000_000 + UInt64(number) * 1_234_567
            let sample = pt_sample(key: key, detail: detail, time_ns: time, generation: 0, unused: 0)
            let value = pt_count(
                count: 2, sampled: 1, rest_first_ns: time, rest_last_ns: time, detail: detail)
            withUnsafeBytes(of: sample) { samples.append(contentsOf: $0) }
            withUnsafeBytes(of: key) { keys.append(contentsOf: $0) }
            withUnsafeBytes(of: value) { values.append(contentsOf: $0) }
        }
    }

    /// Numbers spread over all their bits.
    private static func spread(_ number: Int) -> UInt64 {
        let mixed = UInt64(number) &* 0x9e37_79b9_7f4a_7c15
        return mixed ^ mixed >> 29
    }

    private static func key(_ number: Int) -> pt_key {
        let bits = spread(number)
        var key = pt_key()
        key.cgroup_id = 4_000 + bits % 400
        key.tgid = UInt32(truncatingIfNeeded: bits >> 40)
        key.start_ns = bits >> 8
        key.netns_id = 4_026_531_840 + UInt32(truncatingIfNeeded: bits % 300)
        key.dst_port_be16 = UInt16(truncatingIfNeeded: bits >> 16)
        key.error = 99
        let isConntrack = number % 4 == 1
        let isIPv6 = number % 4 == 0
        if isConntrack {
            key.kind = UInt8(PT_KIND_CONNTRACK_TABLE_FULL.rawValue)
            key.cause = UInt8(PT_CAUSE_TABLE_FULL.rawValue)
            key.proto = 17
            key.tier = UInt8(PT_TIER_TRACEPOINT.rawValue)
            key.attribution = UInt8(PT_ATTRIBUTION_TUPLE.rawValue)
            key.owner_netns_id = key.netns_id
            key.flags = UInt8(PT_FLAG_SRC.rawValue | PT_FLAG_DST.rawValue | PT_FLAG_OUTBOUND.rawValue)
        } else {
            key.kind = UInt8(PT_KIND_CONNECT_EXHAUSTED.rawValue)
            key.cause = UInt8(PT_CAUSE_PORT_RANGE.rawValue)
            key.proto = 6
            key.tier = UInt8(PT_TIER_FENTRY.rawValue)
            key.attribution = UInt8(PT_ATTRIBUTION_TASK.rawValue)
            key.flags = UInt8(PT_FLAG_SRC.rawValue | PT_FLAG_DST.rawValue)
        }
        key.family = UInt8(isIPv6 ? PT_FAMILY_IPV6.rawValue : PT_FAMILY_IPV4.rawValue)
        withUnsafeMutableBytes(of: &key.src_addr) { fill($0, bits, isIPv6) }
        withUnsafeMutableBytes(of: &key.dst_addr) { fill($0, bits &* 31, isIPv6) }
        return key
    }

    private static func fill(_ address: UnsafeMutableRawBufferPointer, _ bits: UInt64, _ isIPv6: Bool) {
        if isIPv6 {
            address.storeBytes(of: UInt64(0x2001_0db8_0000_0042).bigEndian, as: UInt64.self)
            address.storeBytes(of: bits, toByteOffset: 8, as: UInt64.self)
        } else {
            address.storeBytes(of: UInt32(truncatingIfNeeded: bits), as: UInt32.self)
        }
    }

    private static func detail(_ number: Int) -> pt_detail {
        var detail = pt_detail()
        detail.tid = UInt32(truncatingIfNeeded: spread(number) >> 40)
        detail.uid = UInt32(number % 2_000)
        detail.port_low = 32_768
        detail.port_high = 60_999
        detail.limit = 262_144
        withUnsafeMutableBytes(of: &detail.comm) { comm in
            for (index, byte) in "\(names[number % names.count])".utf8.prefix(15).enumerated() { comm[index] = byte }
        }
        return detail
    }
}
