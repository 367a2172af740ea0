import CPortTraceWire
import PortTraceCore

/// What the contract says of such a failure.
extension KnownFailure {
    static let typeNames = [
        "connect_exhausted", "connect_conflict", "bind_exhausted", "conntrack_table_full", "conntrack_evicted",
        "snat_exhausted", "conntrack_insert_failed", "time_wait_overflow", "tcp_state",
    ]

    var isConntrack: Bool { (4...7).contains(kind) }
    var isState: Bool { kind == UInt8(PT_KIND_TCP_STATE.rawValue) }
    var isClash: Bool { kind == UInt8(PT_KIND_SNAT_CLASH.rawValue) && folding == .none }

    /// The causes that the header gives its kind.
    var causes: [UInt8] { [[], [1], [2], [1], [3], [3], [4, 5, 6, 7], [4], [7, 8], [0]][Int(kind)] }

    var typeName: String {
        if isExhausted { return "snat_exhausted" }
        return [
            "", "connect_exhausted", "connect_conflict", "bind_exhausted", "conntrack_table_full", "conntrack_evicted",
            "conntrack_insert_failed", "conntrack_insert_failed", "time_wait_overflow", "tcp_state",
        ][Int(kind)]
    }

    var causeName: String? {
        if isExhausted { return "nat_ports" }
        // Where it was given up, it is known if its kind has one only.
        let cause = key.cause == 0 && causes.count == 1 ? causes[0] : key.cause
        return [
            nil, "port_range", "tuple_taken", "table_full", "race", "chain_too_long", "dying", "no_memory",
            "tw_buckets",
        ][Int(cause)]
    }

    /// `detail.old` and `detail.new`.
    var states: (old: String, new: String)? {
        guard isState, folding == .none else { return nil }
        let names = [
            "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
            "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
        ]
        return (names[Int(key.states >> 4)], names[Int(key.states & 15)])
    }

    var cgroupID: UInt64 { folding == .wholly ? 0 : key.cgroup_id }
    var netnsID: UInt32 { folding == .wholly ? 0 : key.netns_id }

    var hasProcess: Bool { folding == .none && key.tgid != 0 }

    var attributionName: String? {
        let isOfNetns = key.attribution == UInt8(PT_ATTRIBUTION_NETNS.rawValue)
        let hasNetns = isOfNetns && folding == .none && isConntrack && key.owner_netns_id != 0
        guard folding != .wholly, cgroupID != 0 || hasProcess || hasNetns else { return nil }
        return [nil, "task", "socket", "tuple", "netns"][Int(key.attribution)]
    }

    /// What the contract says of the errno: connect()'s is always EADDRNOTAVAIL.
    var error: UInt16 {
        let known = folding == .none ? key.error : 0
        return known == 0 && kind <= UInt8(PT_KIND_CONNECT_CONFLICT.rawValue) ? 99 : known
    }

    var comm: [UInt8] { withUnsafeBytes(of: detail.comm) { Array($0.prefix { $0 != 0 }) } }

    /// 4 or 16 bytes; nil where it is not known.
    var source: [UInt8]? { hasSource && folding == .none ? bytes(of: key.src_addr) : nil }
    var destination: [UInt8]? { hasDestination && folding == .none ? bytes(of: key.dst_addr) : nil }

    private var isICMP: Bool { isConntrack && (key.proto == 1 || key.proto == 58) }

    var sourcePort: UInt16 { folding == .none && !isICMP ? UInt16(bigEndian: detail.src_port_be16) : 0 }
    var destinationPort: UInt16 {
        destination == nil || isICMP ? 0 : UInt16(bigEndian: key.dst_port_be16)
    }

    /// Type, code and id.
    var icmp: [UInt64]? {
        guard isICMP, destination != nil else { return nil }
        let bytes = withUnsafeBytes(of: key.dst_port_be16) { Array($0) }
        return [UInt64(bytes[0]), UInt64(bytes[1]), UInt64(UInt16(bigEndian: detail.src_port_be16))]
    }

    var direction: String? {
        if UInt32(key.flags) & PT_FLAG_OUTBOUND.rawValue != 0 { return "outbound" }
        return UInt32(key.flags) & PT_FLAG_INBOUND.rawValue != 0 ? "inbound" : nil
    }

    var zone: UInt64? { isConntrack && folding == .none && key.zone != 0 ? UInt64(key.zone) : nil }

    /// The ports that the evidence has, or nf_conntrack_max.
    var limit: UInt64? {
        if isExhausted { return 16 }
        guard ["conntrack_table_full", "conntrack_evicted"].contains(typeName), folding == .none else { return nil }
        return detail.limit == 0 ? nil : UInt64(detail.limit)
    }

    var nat: (address: [UInt8], port: UInt16)? {
        isExhausted ? (bytes(of: key.nat_addr), UInt16(bigEndian: detail.nat_port_be16)) : nil
    }

    var backend: (address: [UInt8], port: UInt16)? {
        guard UInt32(key.flags) & PT_FLAG_BACKEND.rawValue != 0 else { return nil }
        return (bytes(of: key.backend_addr), UInt16(bigEndian: key.backend_port_be16))
    }

    /// What is to be asked about it; nil where it is no clash.
    var natClash: NATClash? {
        guard isClash, let source, let destination else { return nil }
        let pair = NATPair(
            netnsID: key.netns_id, proto: key.proto, zone: key.zone, natAddress: ipAddress(bytes(of: key.nat_addr)),
            peer: ipAddress(backend?.address ?? destination), peerPort: backend?.port ?? destinationPort)
        return NATClash(
            pair: pair, source: ipAddress(source), sourcePort: UInt16(bigEndian: detail.src_port_be16),
            destination: ipAddress(destination), destinationPort: UInt16(bigEndian: key.dst_port_be16),
            natPort: UInt16(bigEndian: detail.nat_port_be16), freshTimeout: detail.fresh_timeout)
    }

    var portRange: [UInt64]? {
        let (low, high) = (detail.port_low, detail.port_high)
        guard folding == .none, [1, 3].contains(kind), high != 0, low <= high else { return nil }
        return [UInt64(low), UInt64(high)]
    }

    private func bytes<Sixteen>(of address: Sixteen) -> [UInt8] {
        withUnsafeBytes(of: address) { Array($0.prefix(key.family == 4 ? 4 : 16)) }
    }
}

private func ipAddress(_ bytes: [UInt8]) -> IPAddress {
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    return bytes.count == 4
        ? IPAddress(ipv4: UInt32(number(bytes[...])))
        : IPAddress(ipv6High: number(bytes[..<8]), low: number(bytes[8...]))
}
