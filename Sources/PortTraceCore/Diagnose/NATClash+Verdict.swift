/// What a clash was.
enum NATClashVerdict: Equatable {
    /// The range of ports was spent.
    ///
    /// - Parameter limit: how many ports are usable; nil where that is not known.
    case exhausted(NATExhaustion, limit: UInt32?)
    /// Two flows, or two packets of one, chose one port in the same moment; or it cannot be told.
    case race
}

/// What shows that a range of NAT ports was spent: the contract's `detail.evidence`.
enum NATExhaustion {
    /// The port was held already when the flow searched, which takes a port that is held only when it finds no other.
    case heldBefore
    /// Every port is held that a flow of the NAT address was ever seen with, and they lie in a row.
    case allHeld

    /// The word of `detail.evidence`.
    var name: StaticString {
        switch self {
        case .heldBefore: "held_before"
        case .allHeld: "all_held"
        }
    }
}

/// What evidence says of a clash.
enum NATClashJudgement: Equatable {
    case settled(NATClashVerdict)
    /// The pair's ports lie in a row and are all held: too few, or not all that the NAT address was seen with, so that they do
    /// not show by themselves that a range is spent.
    ///
    /// - Parameter limit: how many ports are usable; nil where that is not known.
    case row(count: UInt64, limit: UInt32?)

    /// The verdict, where the pair has clashed so often in the interval.
    ///
    /// Who loses a race loses its port to an entry that was made in that very moment, and each of a row was made once. So
    /// where half as many clashes as ports came in one interval, half of the ports must have been taken in it, each before
    /// somebody's eyes; a spent range has as many clashes as there are packets.
    func verdict(clashes: UInt64) -> NATClashVerdict {
        switch self {
        case .settled(let verdict): verdict
        case .row(let count, let limit): clashes * 2 >= count ? .exhausted(.allHeld, limit: limit) : .race
        }
    }
}

extension NATClash {
    /// Tells exhaustion from a race; what cannot be told is a race.
    ///
    /// A search (get_unique_tuple() and nf_nat_l4proto_unique_tuple(), net/netfilter/nf_nat_core.c) ends with a port
    /// that is held only when its attempts are spent, or when the range is one port. So it was exhaustion if the port
    /// was held when the search began, and a race if somebody took it between the search and the insertion
    /// (__nf_conntrack_confirm(), nf_conntrack_core.c). Whose entry it is now, the evidence tells; how old that is, it
    /// must show. Each rule says below when it may call a race exhaustion.
    ///
    /// - Parameters:
    ///   - evidence: what the table had to say; nil: it could not be read.
    ///   - earlier: who held the pair's ports at a time before the clash; nil: not known.
    ///   - span: the lowest and the highest port that flows of the NAT address were seen with so far; nil: not known.
    ///   - delay: from the clash to when the evidence had been read, at most; nanoseconds.
    func judge(
        _ evidence: NATClashEvidence?, earlier: NATHolders?, span: ClosedRange<UInt16>?, delay: UInt64
    ) -> NATClashJudgement {
        // Another packet of the same flow made the entry: DNS's A and AAAA from one socket. (Or a later one, when a port
        // was free again: an exhaustion called a race.)
        guard let evidence, !evidence.hasOriginal else { return .settled(.race) }
        let ofPort = evidence.holders.filter { $0.port == natPort }
        if ofPort.isEmpty { return .settled(.race) }  // gone

        let row = evidence.row
        let limit = row == span ? row.map { UInt32($0.count) } : nil
        // The same entry held it before and holds it still. An id is a hash of the entry's address and original tuple
        // (nf_ct_get_id(), v5.2+: 3c79107631db). Wrong only if the very flow that held it went, came back into the same
        // memory, and took part in the race.
        if let earlier, ofPort.contains(where: { earlier.contains(port: natPort, id: $0.id) }) {
            return .settled(.exhausted(.heldBefore, limit: limit))
        }
        if ofPort.contains(where: { isOlder($0, than: evidence.holders, delay: delay) }) {
            return .settled(.exhausted(.heldBefore, limit: limit))
        }
        // A flow that kept its own port has not searched.
        guard let row, natPort != sourcePort else { return .settled(.race) }
        // Few ports lie in a row by chance, and those of a range that is half used may.
        guard let limit, limit >= NATRanges.fewest else { return .row(count: UInt64(row.count), limit: limit) }
        // Nothing was left to be found. Wrong if the range became full in the moment of the race itself, or if it goes on
        // where nobody has been yet.
        return .settled(.exhausted(.allHeld, limit: limit))
    }

    /// The longest that a packet may take from its search to its insertion, with ample room; nanoseconds.
    private static let longestRace: UInt64 = 500_000_000

    /// Whether an entry is surely older than the clash.
    ///
    /// Each packet sets an entry's timeout anew, to the same for all entries in the same state; so one that has less left
    /// than another was quiet for the difference at least. Only entries in a state with one timeout are compared: UDP and
    /// ICMP without a reply, TCP in SYN_SENT (nf_conntrack_proto_udp.c, _icmp.c, _tcp.c); the clash's own is one. Wrong where
    /// rules of `ct timeout` give flows of one pair different ones.
    private func isOlder(
        _ holder: NATClashEvidence.Holder, than others: [NATClashEvidence.Holder], delay: UInt64
    ) -> Bool {
        guard isComparable(holder), let timeout = holder.timeout,
            case let longest = others.lazy.filter(isComparable).compactMap(\.timeout).reduce(freshTimeout, max),
            longest > timeout, longest - timeout >= 2
        else { return false }
        // The rest of a second is cut off what each has left.
        return delay <= UInt64(longest - timeout - 1) * 1_000_000_000 - NATClash.longestRace
    }

    private func isComparable(_ holder: NATClashEvidence.Holder) -> Bool {
        guard holder.status & (ConntrackStatus.seenReply | ConntrackStatus.ownTimeout) == 0 else { return false }
        switch pair.proto {
        case TransportProtocol.udp, TransportProtocol.icmp, TransportProtocol.icmpv6: return true
        case TransportProtocol.tcp: return holder.tcpState == ConntrackStatus.tcpSynSent
        default: return false
        }
    }
}

/// `IPS_*` (include/uapi/linux/netfilter/nf_conntrack_common.h) and `TCP_CONNTRACK_*` (nf_conntrack_tcp.h).
private enum ConntrackStatus {
    static let seenReply: UInt32 = 1 << 1
    /// Timeouts that packets do not set: IPS_FIXED_TIMEOUT (also of a clash resolved, with 1 s left: IPS_NAT_CLASH),
    /// IPS_OFFLOAD, IPS_HW_OFFLOAD.
    static let ownTimeout: UInt32 = 1 << 10 | 1 << 14 | 1 << 15
    static let tcpSynSent: UInt8 = 1
}

extension NATClashEvidence {
    /// The lowest and the highest port that is held; nil: none is.
    var span: ClosedRange<UInt16>? {
        guard let low = holders.lazy.map(\.port).min(), let high = holders.lazy.map(\.port).max() else { return nil }
        return low...high
    }

    /// The same where two ports or more are held, and all between these; else nil.
    fileprivate var row: ClosedRange<UInt16>? {
        guard let span, span.count > 1, holders.count >= span.count else { return nil }
        return Set(holders.lazy.map(\.port)).count == span.count ? span : nil
    }
}

/// Who held the ports of a pair at one time: 8 bytes an entry.
struct NATHolders {
    /// Port and id, ascending.
    private var entries: [UInt64]

    init(_ holders: [NATClashEvidence.Holder]) {
        entries = holders.map { NATHolders.entry(port: $0.port, id: $0.id) }
        entries.sort()
    }

    private static func entry(port: UInt16, id: UInt32) -> UInt64 { UInt64(port) << 32 | UInt64(id) }

    var count: Int { entries.count }

    /// Whether this very entry held the port. Logarithmic time.
    func contains(port: UInt16, id: UInt32) -> Bool {
        let wanted = NATHolders.entry(port: port, id: id)
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return low < entries.count && entries[low] == wanted
    }
}
