/// From which ports source NAT chooses, as far as entries show it. The kernel keeps the rule's range in no entry.
///
/// A port that differs from the flow's own was chosen. The chosen ports of one NAT address, towards all destinations and
/// over all dumps, fall into groups with more than 32 others between them. A group that leaves none out and has sixteen or
/// more is a range; also one that has sixty-four or more and leaves out less than half, as while a range is filled for the
/// first time: ports chosen from 1024 to 65535, as they are without a range (nf_nat_l4proto_unique_tuple(), nf_nat_core.c)
/// where a flow's own is taken, do not lie so close together by chance. Too small by one or two ports, seldom more, as long
/// as the first or last ports of a range were not chosen yet; wrong where rules give one address two ranges that touch.
public final class NATRanges {
    /// What a rule gives one range to.
    struct Source: Hashable {
        var namespace: NamespaceIdentity
        var address: IPAddress
        /// `IPPROTO_*`.
        var proto: UInt8
    }

    /// The fewest ports that make a range.
    static let fewest = 16
    /// The fewest that make one although they leave some out.
    static let fewestApart = 64
    /// The most side by side that such a range may leave out; by chance it would be some ten, of 60,000 ports sixteen.
    private static let mostApart = 32
    /// Addresses and protocols: 8 KB each.
    private static let most = 32

    private struct Chosen {
        /// A bit for each port.
        var ports = [UInt64](repeating: 0, count: 1_024)
        var count = 0
        /// What may be ranges, in the order of ports, and the `count` for which it was found.
        private var groups: (ports: [Group], count: Int) = ([], 0)

        mutating func closeTogether() -> [Group] {
            guard groups.count != count else { return groups.ports }
            groups = ([], count)
            for port in 0..<65_536 where ports[port >> 6] >> UInt64(port & 63) & 1 != 0 {
                if let last = groups.ports.indices.last, port - groups.ports[last].last - 1 <= mostApart {
                    groups.ports[last].last = port
                    groups.ports[last].count += 1
                } else {
                    groups.ports.append(Group(first: port, last: port, count: 1))
                }
            }
            groups.ports.removeAll { $0.count < fewest }
            return groups.ports
        }
    }

    private struct Group {
        let first: Int
        var last: Int
        var count: Int

        /// How many ports the range has that `low` and `high` and these are of; nil if they show none.
        func range(around low: UInt16, _ high: UInt16) -> UInt64? {
            let (below, above) = (max(0, first - Int(low)), max(0, Int(high) - last))
            let span = last - first + 1 + below + above
            if count == span { return UInt64(span) }
            guard count >= fewestApart, count * 2 > span, max(below, above) <= mostApart else { return nil }
            return UInt64(span)
        }
    }

    private var sources: [Source: Int] = [:]
    private var chosen: [Chosen] = []
    /// The one noted last, as most come in a row.
    private var last: (source: Source, index: Int)?

    public init() {}

    /// Takes a port that NAT has chosen.
    func note(_ port: UInt16, of source: Source) {
        guard let index = index(of: source) else { return }
        let bit: UInt64 = 1 << UInt64(port & 63)
        guard chosen[index].ports[Int(port >> 6)] & bit == 0 else { return }
        chosen[index].ports[Int(port >> 6)] |= bit
        chosen[index].count += 1
    }

    private func index(of source: Source) -> Int? {
        if let last, last.source == source { return last.index }
        if sources[source] == nil, chosen.count < Self.most {
            sources[source] = chosen.count
            chosen.append(Chosen())
        }
        guard let index = sources[source] else { return nil }
        last = (source, index)
        return index
    }

    /// How many ports the range has; nil where it is not known.
    ///
    /// - Parameters:
    ///   - low: The lowest port in use, `high` the highest: a flow that has kept its own port may have one that was not chosen.
    func ports(of source: Source, around low: UInt16, _ high: UInt16) -> UInt64? {
        guard let index = sources[source] else { return nil }
        for group in chosen[index].closeTogether() {
            if let range = group.range(around: low, high) { return range }
        }
        return nil
    }
}
