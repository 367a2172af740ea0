internal import CPortTraceWire

/// A row of the census' counts: sockets, or ports, of one owner.
struct CensusRow {
    enum Kind {
        case ports
        case bindPorts
        case timeWait
    }

    var kind: Kind
    var namespace: NamespaceIdentity
    /// `IPPROTO_*`.
    var proto: UInt8
    /// `ports`, unless they are folded.
    var source: IPAddress?
    var destination: Endpoint?
    var owner: HolderOwner
    /// The process' own cgroup, where its open sockets' does not tell whose they are; 0: it does, or is not known.
    var ownCgroupID: UInt64
    /// Whether the sockets are in TIME_WAIT.
    var isTimeWait: Bool
    /// Of these, whether they wait for the peer to close: FIN_WAIT2, the substate.
    var isHalfClosed: Bool
    /// Whether the addresses were given up, as the map was full.
    var isFolded: Bool
    var count: UInt64

    /// Reads a `pt_census_key` and its `pt_census_count`, at any alignment.
    ///
    /// - Throws: ``DecodeError``: `size`; `kind`, `family` or `flags` for a value that the header does not know or that
    ///   contradicts the others; `count` for none or more than can be.
    init(key keyBytes: UnsafeRawBufferPointer, value valueBytes: UnsafeRawBufferPointer) throws(DecodeError) {
        guard keyBytes.count == CensusRow.keySize else {
            throw .size(keyBytes.count, expected: CensusRow.keySize)
        }
        guard valueBytes.count == CensusRow.valueSize else {
            throw .size(valueBytes.count, expected: CensusRow.valueSize)
        }
        let key = keyBytes.loadUnaligned(as: pt_census_key.self)
        let value = valueBytes.loadUnaligned(as: pt_census_count.self)
        kind = try CensusRow.kind(key.kind)
        namespace = NamespaceIdentity(inode: key.netns_id, mix: key.netns_mix)
        proto = key.proto
        isTimeWait = key.flags & UInt8(PT_CENSUS_IS_TIME_WAIT.rawValue) != 0
        isFolded = key.flags & UInt8(PT_CENSUS_FOLDED.rawValue) != 0
        isHalfClosed = key.flags & UInt8(PT_CENSUS_IN_FIN_WAIT2.rawValue) != 0
        guard key.flags & ~CensusRow.flags == 0, kind == .ports || !isFolded, isTimeWait || !isHalfClosed else {
            throw .flags(key.flags)
        }
        owner = HolderOwner(
            cgroupID: key.cgroup_id,
            process: key.tgid == 0 ? nil : HoldingProcess(pid: key.tgid, comm: Comm(record: value.comm)))
        ownCgroupID = value.cgroup_id
        count = value.count
        guard 1...CensusRow.mostSockets ~= count else { throw .count(count, sampled: 0) }
        if kind == .ports, !isFolded {
            guard let family = IPFamily(rawValue: key.family) else { throw .family(key.family) }
            source = IPAddress(family, bytes: key.src_addr)
            destination = Endpoint(
                address: IPAddress(family, bytes: key.dst_addr), port: UInt16(bigEndian: key.dst_port_be16))
        } else if UInt32(key.family) != PT_FAMILY_NONE.rawValue {
            throw .family(key.family)
        }
    }

    /// The resource that the row is a part of; nil where that was given up.
    var resource: Resource? {
        switch kind {
        case .ports where isFolded: nil
        case .ports: Resource(.ports, in: namespace, proto: proto, source: source, destination: destination)
        case .bindPorts: Resource(.bindPorts, in: namespace, proto: proto)
        case .timeWait: Resource(.timeWait, in: namespace, proto: proto)
        }
    }

    /// Those that counts have.
    private static let flags = UInt8(
        PT_CENSUS_IS_TIME_WAIT.rawValue | PT_CENSUS_FOLDED.rawValue | PT_CENSUS_IN_FIN_WAIT2.rawValue)
    /// More sockets than any machine has; sums of such rows do not overflow.
    private static let mostSockets: UInt64 = 1 << 32

    static var keySize: Int { MemoryLayout<pt_census_key>.size }
    static var valueSize: Int { MemoryLayout<pt_census_count>.size }

    private static func kind(_ value: UInt8) throws(DecodeError) -> Kind {
        switch UInt32(value) {
        case PT_CENSUS_PORTS.rawValue: .ports
        case PT_CENSUS_BIND_PORTS.rawValue: .bindPorts
        case PT_CENSUS_TIME_WAIT.rawValue: .timeWait
        default: throw .kind(value)
        }
    }
}

/// A namespace's row of the census.
struct CensusNamespaceRow {
    var namespace: NamespaceCensus
    /// Ports of the range, not reserved, that a TCP or a UDP socket has.
    var tcpPorts: UInt32
    var udpPorts: UInt32

    /// Reads a `pt_census_net`, at any alignment.
    ///
    /// - Throws: ``DecodeError``: `size`.
    init(decoding bytes: UnsafeRawBufferPointer, isHost: Bool) throws(DecodeError) {
        guard bytes.count == CensusNamespaceRow.size else {
            throw .size(bytes.count, expected: CensusNamespaceRow.size)
        }
        let row = bytes.loadUnaligned(as: pt_census_net.self)
        // The kernel may be writing the range while it is read: one that is none is a single port.
        namespace = NamespaceCensus(
            id: NamespaceIdentity(inode: row.netns_id, mix: row.netns_mix), isHost: isHost,
            portRange: PortRange(low: row.port_low, high: max(row.port_low, row.port_high)))
        namespace.reservedPorts = row.reserved == PT_CENSUS_NOT_COUNTED ? 0 : row.reserved
        namespace.boundPorts = row.bound
        namespace.listenerBelow = row.below_range
        namespace.listenerAbove = row.above_range
        namespace.timeWait = row.tells_tw != 0 ? row.tw_count : row.time_wait_sockets
        namespace.timeWaitLimit = row.tw_limit
        namespace.timeWaitReuse = row.tw_reuse
        namespace.timestamps = row.timestamps
        namespace.tcpSockets = row.tcp_sockets
        namespace.udpSockets = row.udp_sockets
        tcpPorts = row.tcp_ports
        udpPorts = row.udp_ports
    }

    static var size: Int { MemoryLayout<pt_census_net>.size }
}
