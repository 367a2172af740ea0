internal import CLinux
internal import Glibc
internal import PortTraceCore

/// The requests to ctnetlink.
enum ConntrackRequest {
    /// The entry that has this tuple in either direction: one entry and an acknowledgement, or the error ENOENT. The
    /// entry does not say that it is the only one: it is marked as part of a series (`ctnetlink_fill_info()`).
    static func get(_ tuple: ConntrackTuple, zone: UInt16, sequence: UInt32) -> [UInt8] {
        var request = header(tuple.source.family, flags: NLM_F_ACK, sequence: sequence)
        request.append(CTA_TUPLE_ORIG.rawValue) { tuple.append(to: &$0) }
        if zone != 0 { request.append(CTA_ZONE.rawValue, zone.bigEndian) }
        return request.bytes
    }

    /// All entries of the family; with `filtered` the kernel leaves out most of those that are none of the pair's.
    ///
    /// Since v5.8 (cb8aa9a3affb, "netfilter: ctnetlink: add kernel side filtering for dump"); whether it works,
    /// ``filterProbe(sequence:)`` tells. IPv6 addresses are not asked for: their comparison is the wrong way round and
    /// leaves out what is equal (`ctnetlink_filter_match_tuple()`; seen in v5.10 to v6.18, right in v7.3).
    static func dump(_ pair: NATPair, filtered: Bool, sequence: UInt32) -> [UInt8] {
        var request = header(pair.natAddress.family, flags: NLM_F_DUMP, sequence: sequence)
        guard filtered else { return request.bytes }
        let reply = ConntrackTuple(
            proto: pair.proto, source: pair.peer, destination: pair.natAddress, sourcePort: pair.peerPort,
            destinationPort: 0)
        var flags = Filter.proto
        if pair.natAddress.family == .ipv4 { flags |= Filter.source | Filter.destination }
        if Int(pair.proto) == IPPROTO_TCP || Int(pair.proto) == IPPROTO_UDP { flags |= Filter.sourcePort }
        request.append(CTA_TUPLE_REPLY.rawValue) { reply.append(to: &$0) }
        request.append(CTA_FILTER.rawValue) { $0.append(CTA_FILTER_REPLY_FLAGS.rawValue, flags) }
        return request.bytes
    }

    /// All entries of every family.
    static func wholeDump(sequence: UInt32) -> [UInt8] {
        header(nil, flags: NLM_F_DUMP, sequence: sequence).bytes
    }

    /// What each CPU has counted.
    static func statistics(sequence: UInt32) -> [UInt8] {
        header(nil, flags: NLM_F_DUMP, sequence: sequence, type: IPCTNL_MSG_CT_GET_STATS_CPU).bytes
    }

    /// A dump that wants an address in the reply tuple and names none. A kernel that filters as it should refuses it:
    /// EINVAL. Before v5.16 those without ad81d4daf6a3 ("netfilter: ctnetlink: fix filtering with CTA_TUPLE_REPLY") do
    /// not read the tuple: they answer this with nothing, as they do any such dump.
    static func filterProbe(sequence: UInt32) -> [UInt8] {
        var request = header(.ipv4, flags: NLM_F_DUMP, sequence: sequence)
        request.append(CTA_TUPLE_REPLY.rawValue) { _ in }
        request.append(CTA_FILTER.rawValue) { $0.append(CTA_FILTER_REPLY_FLAGS.rawValue, Filter.source) }
        return request.bytes
    }

    /// `CTA_FILTER_F_*`, in host byte order (net/netfilter/nf_internals.h; none of the interface's headers has them).
    private enum Filter {
        static let source: UInt32 = 1 << 0
        static let destination: UInt32 = 1 << 1
        static let proto: UInt32 = 1 << 3
        static let sourcePort: UInt32 = 1 << 4
    }

    /// The message type of an entry in an answer.
    static let newEntry = Int32(NFNL_SUBSYS_CTNETLINK) << 8 | Int32(IPCTNL_MSG_CT_NEW.rawValue)

    /// The message type of a CPU's counters in an answer.
    static let cpuStatistics = Int32(NFNL_SUBSYS_CTNETLINK) << 8 | Int32(IPCTNL_MSG_CT_GET_STATS_CPU.rawValue)

    /// - Parameter family: nil: any.
    private static func header(
        _ family: IPFamily?, flags: Int32, sequence: UInt32, type: cntl_msg_types = IPCTNL_MSG_CT_GET
    ) -> NetlinkRequest {
        let type = UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(type.rawValue)
        var request = NetlinkRequest(type: type, flags: flags, sequence: sequence)
        let number =
            switch family {
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            case nil: AF_UNSPEC
            }
        request.append(header: nfgenmsg(nfgen_family: UInt8(number), version: UInt8(NFNETLINK_V0), res_id: 0))
        return request
    }
}
