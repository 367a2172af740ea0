internal import CLinux
internal import PortTraceCore

/// What ctnetlink tells of an entry, as far as a NAT clash wants it.
struct ConntrackEntry: Equatable {
    var original: ConntrackTuple
    var reply: ConntrackTuple
    /// The zone in which the reply tuple must be the only one of its kind.
    var replyZone: UInt16
    /// Whether its zone is the original direction's alone, which leaves the reply in zone 0 (`nf_ct_zone_id()`).
    var zoneIsOriginalOnly: Bool
    /// `CTA_ID`.
    var id: UInt32
    /// `IPS_*` bits.
    var status: UInt32
    /// Seconds; nil for an entry that does not expire by itself (a flow that is offloaded).
    var timeout: UInt32?
    /// `TCP_CONNTRACK_*`.
    var tcpState: UInt8?
}

extension ConntrackEntry {
    /// Reads the payload of an `IPCTNL_MSG_CT_NEW` message (`ctnetlink_fill_info()`, nf_conntrack_netlink.c).
    ///
    /// - Throws: ``NetlinkError/malformed``, also where a tuple, the id or the status is missing.
    init(parsing payload: UnsafeRawBufferPointer) throws(NetlinkError) {
        let headerSize = MemoryLayout<nfgenmsg>.size
        guard payload.count >= headerSize else { throw .malformed }
        var original: ConntrackTuple?
        var reply: ConntrackTuple?
        var zone: UInt16?
        var originalZone: UInt16?
        var replyZone: UInt16?
        var id: UInt32?
        var status: UInt32?
        var timeout: UInt32?
        var tcpState: UInt8?
        try NetlinkAttribute.forEach(
            in: UnsafeRawBufferPointer(rebasing: payload[headerSize...])
        ) { attribute throws(NetlinkError) in
            switch ctattr_type(UInt32(attribute.type)) {
            case CTA_TUPLE_ORIG: original = try ConntrackTuple(parsing: attribute.value, zone: &originalZone)
            case CTA_TUPLE_REPLY: reply = try ConntrackTuple(parsing: attribute.value, zone: &replyZone)
            case CTA_ZONE: zone = try attribute.bigEndian(as: UInt16.self)
            case CTA_ID: id = try attribute.bigEndian(as: UInt32.self)
            case CTA_STATUS: status = try attribute.bigEndian(as: UInt32.self)
            case CTA_TIMEOUT: timeout = try attribute.bigEndian(as: UInt32.self)
            case CTA_PROTOINFO: tcpState = try Self.tcpState(in: attribute.value)
            default: break
            }
        }
        guard let original, let reply, let id, let status else { throw .malformed }
        self.init(
            original: original, reply: reply, replyZone: zone ?? replyZone ?? 0,
            zoneIsOriginalOnly: originalZone != nil, id: id, status: status, timeout: timeout, tcpState: tcpState)
    }

    private static func tcpState(in bytes: UnsafeRawBufferPointer) throws(NetlinkError) -> UInt8? {
        var state: UInt8?
        try NetlinkAttribute.forEach(in: bytes) { protocolInformation throws(NetlinkError) in
            guard ctattr_protoinfo(UInt32(protocolInformation.type)) == CTA_PROTOINFO_TCP else { return }
            try NetlinkAttribute.forEach(in: protocolInformation.value) { attribute throws(NetlinkError) in
                guard ctattr_protoinfo_tcp(UInt32(attribute.type)) == CTA_PROTOINFO_TCP_STATE else { return }
                state = try attribute.bigEndian(as: UInt8.self)
            }
        }
        return state
    }
}

extension NATClash {
    /// The entry as a holder of one of the pair's ports; nil where it is none.
    func holder(_ entry: ConntrackEntry) -> NATClashEvidence.Holder? {
        guard let port = natPort(of: entry.reply) else { return nil }
        // A clash does not say of which direction its zone is. Flows whose zones are the original direction's alone
        // share the replies' zone 0: that is how many tenants share one NAT address.
        guard entry.replyZone == pair.zone || (pair.zone != 0 && entry.zoneIsOriginalOnly) else { return nil }
        return NATClashEvidence.Holder(
            port: port, id: entry.id, status: entry.status, timeout: entry.timeout, tcpState: entry.tcpState)
    }
}
