internal import CPortTraceWire

extension Failure {
    /// Reads a key and what is known beyond it.
    ///
    /// - Throws: ``DecodeError`` for a value that the header does not know, or that contradicts the others: `kind`,
    ///   `cause`, `tier`, `family`, `attribution`, `flags` or `states`.
    init(key: pt_key, detail: pt_detail) throws(DecodeError) {
        let flags = Flags(rawValue: key.flags)
        let folding = try Failure.folding(flags)
        try self.init(kindOf: key, folding: folding)
        self.folding = folding

        // What has its number on the wire, not the kernel's own counter.
        probe = key.tier < UInt8(PT_TIER_END.rawValue) ? Probe(rawValue: key.tier) : nil
        if probe == nil, key.tier != 0 || folding == .none { throw .tier(key.tier) }
        attribution =
            key.attribution < UInt8(PT_ATTRIBUTION_END.rawValue) ? Attribution(rawValue: key.attribution) : nil
        if attribution == nil, key.attribution != 0 { throw .attribution(key.attribution) }

        let family = IPFamily(rawValue: key.family)
        if family == nil, UInt32(key.family) != PT_FAMILY_NONE.rawValue { throw .family(key.family) }

        switch folding {
        case .none:
            self.family = family
            try readWhole(key, detail, flags)
        case .partly:
            cgroupID = key.cgroup_id
            netnsID = key.netns_id
            proto = key.proto
        case .wholly: attribution = nil
        }
        // Whose it is and how that was found go together; a namespace is nobody in it.
        if attribution == nil, cgroupID != 0 || process != nil { throw .attribution(key.attribution) }
        if attribution == .netns, process != nil { throw .attribution(key.attribution) }
        // The contract: always this one for connect(), also where the key's own was given up.
        if type == .connectExhausted || type == .connectConflict, error == 0 {
            error = ErrorNumber.addressNotAvailable
        }
    }

    private static func folding(_ flags: Flags) throws(DecodeError) -> Folding {
        if flags.contains(.other) {
            guard flags.isSubset(of: [.folded, .other]) else { throw .flags(flags.rawValue) }
            return .wholly
        }
        if flags.contains(.folded) {
            guard flags == .folded else { throw .flags(flags.rawValue) }
            return .partly
        }
        return .none
    }

    private mutating func readWhole(_ key: pt_key, _ detail: pt_detail, _ flags: Flags) throws(DecodeError) {
        cgroupID = key.cgroup_id
        netnsID = key.netns_id
        error = key.error
        proto = key.proto
        if key.tgid != 0 {
            process = FailingProcess(
                pid: key.tgid, tid: detail.tid, uid: detail.uid, comm: Comm(record: detail.comm))
        }

        sourcePort = UInt16(bigEndian: detail.src_port_be16)
        if let family {
            if flags.contains(.source) { source = IPAddress(family, bytes: key.src_addr) }
            if flags.contains(.destination) {
                destination = IPAddress(family, bytes: key.dst_addr)
                destinationPort = UInt16(bigEndian: key.dst_port_be16)
            }
        } else if !flags.isDisjoint(with: .addresses) {
            throw .flags(key.flags)
        }
        if type.isConntrack {
            try readConntrack(key, detail, flags)
        } else {
            guard flags.isDisjoint(with: .conntrack) else { throw .flags(key.flags) }
            // The kernel reads it while someone may be writing it: a range that is none is not known.
            if type.isCall, detail.port_high != 0, detail.port_low <= detail.port_high {
                portRange = PortRange(low: detail.port_low, high: detail.port_high)
            }
            if type == .timeWaitOverflow { limit = detail.limit }
            if type == .tcpState {
                guard let old = TCPState(rawValue: key.states >> 4), let new = TCPState(rawValue: key.states & 15)
                else {
                    throw .states(key.states)
                }
                change = TCPStateChange(old: old, new: new)
            }
        }
    }

    private mutating func readConntrack(_ key: pt_key, _ detail: pt_detail, _ flags: Flags) throws(DecodeError) {
        if key.owner_netns_id != 0 {
            ownerNamespace = NamespaceIdentity(inode: key.owner_netns_id, mix: key.owner_netns_mix)
        }
        zone = key.zone
        switch (flags.contains(.outbound), flags.contains(.inbound)) {
        case (false, false): break
        case (true, false): direction = .outbound
        case (false, true): direction = .inbound
        case (true, true): throw .flags(key.flags)
        }
        if type == .conntrackTableFull || type == .conntrackEvicted { limit = detail.limit }
        if isClash { freshTimeout = detail.fresh_timeout }
        if let family {
            if flags.contains(.nat) {
                nat = Endpoint(
                    address: IPAddress(family, bytes: key.nat_addr), port: UInt16(bigEndian: detail.nat_port_be16))
            }
            if flags.contains(.backend) {
                backend = Endpoint(
                    address: IPAddress(family, bytes: key.backend_addr),
                    port: UInt16(bigEndian: key.backend_port_be16))
            }
        }
        if isClash, !flags.isSuperset(of: [.source, .destination, .nat]) { throw .flags(key.flags) }
        if TransportProtocol.isICMP(proto) {
            // The type and code are the destination's two bytes in that order, the id the source's.
            if destination != nil {
                icmp = ICMPMessage(
                    type: UInt8(destinationPort >> 8), code: UInt8(destinationPort & 0xff), id: sourcePort)
            }
            (sourcePort, destinationPort) = (0, 0)
        }
    }
}

/// `enum pt_flag`.
private struct Flags: OptionSet {
    var rawValue: UInt8

    static let source = Flags(PT_FLAG_SRC)
    static let destination = Flags(PT_FLAG_DST)
    static let folded = Flags(PT_FLAG_FOLDED)
    static let other = Flags(PT_FLAG_OTHER)
    static let nat = Flags(PT_FLAG_NAT)
    static let backend = Flags(PT_FLAG_BACKEND)
    static let outbound = Flags(PT_FLAG_OUTBOUND)
    static let inbound = Flags(PT_FLAG_INBOUND)

    /// Those that need an address family.
    static let addresses: Flags = [.source, .destination, .nat, .backend]
    /// Those of conntrack's kinds only.
    static let conntrack: Flags = [.nat, .backend, .outbound, .inbound]

    init(rawValue: UInt8) { self.rawValue = rawValue }
    private init(_ flag: pt_flag) { rawValue = UInt8(flag.rawValue) }
}

extension IPAddress {
    /// An address from a record's sixteen bytes in network order; IPv4 takes the first four.
    init(_ family: IPFamily, bytes: SixteenBytes) {
        let (first, second) = withUnsafeBytes(of: bytes) { bytes in
            (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        switch family {
        case .ipv4: self.init(ipv4: UInt32(truncatingIfNeeded: first >> 32))
        case .ipv6: self.init(ipv6High: first, low: second)
        }
    }
}

extension Comm {
    init(record characters: SixteenCharacters) {
        let (first, second) = withUnsafeBytes(of: characters) { bytes in
            (
                UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        self.init(littleEndian: first, second)
    }
}

// C arrays import as tuples.
typealias SixteenBytes = (
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
)
typealias SixteenCharacters = (
    CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar,
    CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar
)
