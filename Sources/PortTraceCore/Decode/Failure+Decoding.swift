internal import CPortTraceWire

extension Failure {
    /// Reads a key and what is known beyond it.
    ///
    /// - Throws: ``DecodeError`` for a value that the header does not know: `kind`, `cause`, `tier`, `family`
    ///   or `flags`.
    init(key: pt_key, detail: pt_detail) throws(DecodeError) {
        switch UInt32(key.kind) {
        case PT_KIND_CONNECT_EXHAUSTED.rawValue: type = .connectExhausted
        case PT_KIND_CONNECT_CONFLICT.rawValue: type = .connectConflict
        case PT_KIND_BIND_EXHAUSTED.rawValue: type = .bindExhausted
        default: throw .kind(key.kind)
        }

        let flags = UInt32(key.flags)
        guard flags & ~Failure.knownFlags == 0 else { throw .flags(key.flags) }
        if flags & PT_FLAG_OTHER.rawValue != 0 {
            folding = .wholly
        } else if flags & PT_FLAG_FOLDED.rawValue != 0 {
            folding = .partly
        } else {
            folding = .none
        }

        let cause = type == .connectConflict ? PT_CAUSE_TUPLE_TAKEN : PT_CAUSE_PORT_RANGE
        guard UInt32(key.cause) == cause.rawValue || (folding == .wholly && key.cause == 0) else {
            throw .cause(key.cause)
        }

        probe = Probe(rawValue: key.tier)
        if probe == nil, key.tier != 0 || folding == .none { throw .tier(key.tier) }

        family = IPFamily(rawValue: key.family)
        if family == nil, UInt32(key.family) != PT_FAMILY_NONE.rawValue { throw .family(key.family) }

        let whole = folding == .none
        ownerIsCreator = flags & PT_FLAG_SOCKET.rawValue != 0
        cgroupID = folding == .wholly ? 0 : key.cgroup_id
        netnsID = folding == .wholly ? 0 : key.netns_id
        proto = folding == .wholly ? 0 : key.proto
        error = whole ? key.error : 0
        // The contract: always this one for connect(), also where the key's own was given up.
        if type != .bindExhausted, error == 0 { error = ErrorNumber.addressNotAvailable }

        sourcePort = whole ? UInt16(bigEndian: detail.src_port_be16) : 0
        destinationPort = 0
        if !whole {
            family = nil
        } else if let family {
            if flags & PT_FLAG_SRC.rawValue != 0 { source = IPAddress(family, bytes: key.src_addr) }
            if flags & PT_FLAG_DST.rawValue != 0 {
                destination = IPAddress(family, bytes: key.dst_addr)
                destinationPort = UInt16(bigEndian: key.dst_port_be16)
            }
        } else if flags & (PT_FLAG_SRC.rawValue | PT_FLAG_DST.rawValue) != 0 {
            throw .flags(key.flags)
        }

        if whole, !ownerIsCreator, key.tgid != 0 {
            process = FailingProcess(
                pid: key.tgid, tid: detail.tid, uid: detail.uid, comm: Comm(record: detail.comm))
        }
        // The kernel reads it while someone may be writing it: a range that is none is not known.
        if whole, detail.port_high != 0, detail.port_low <= detail.port_high {
            portRange = PortRange(low: detail.port_low, high: detail.port_high)
        }
    }

    private static var knownFlags: UInt32 {
        PT_FLAG_SRC.rawValue | PT_FLAG_DST.rawValue | PT_FLAG_FOLDED.rawValue | PT_FLAG_OTHER.rawValue
            | PT_FLAG_SOCKET.rawValue
    }
}

extension IPAddress {
    /// An address from a record's sixteen bytes in network order; IPv4 takes the first four.
    fileprivate init(_ family: IPFamily, bytes: SixteenBytes) {
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
    fileprivate init(record characters: SixteenCharacters) {
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
private typealias SixteenBytes = (
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
    UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
)
private typealias SixteenCharacters = (
    CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar,
    CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar
)
