/// From which ports source NAT chooses, as far as entries show it. The kernel keeps the rule's range in no entry.
///
/// A port that differs from the flow's own was chosen. Where the chosen ports of one NAT address, towards all destinations
/// and over all dumps, leave none out between the lowest and the highest, and they are sixteen or more, they are the range;
/// also where they are sixty-four or more and leave out less than half, and nowhere more than 32 side by side, as while a
/// range is filled for the first time: ports chosen from 1024 to 65535, as they are without a range
/// (nf_nat_l4proto_unique_tuple(), nf_nat_core.c), do not lie so close together by chance, and two ranges have a gap. Too
/// small by one or two ports, seldom more, as long as the first or last ports of a range were not chosen yet; wrong where
/// rules give one address two ranges that touch.
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
        var low = UInt16.max
        var high = UInt16.min
        /// The longest run of ports between them that were not chosen, and the `count` for which it was found.
        var gap = (length: 0, count: 0)

        mutating func longestGap() -> Int {
            guard gap.count != count else { return gap.length }
            var (longest, length) = (0, 0)
            for port in low...high {
                length = ports[Int(port >> 6)] >> UInt64(port & 63) & 1 == 0 ? length + 1 : 0
                longest = max(longest, length)
            }
            gap = (longest, count)
            return longest
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
        chosen[index].low = min(chosen[index].low, port)
        chosen[index].high = max(chosen[index].high, port)
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
        let (count, first, last) = (chosen[index].count, Int(chosen[index].low), Int(chosen[index].high))
        guard count >= Self.fewest else { return nil }
        let (below, above) = (max(0, first - Int(low)), max(0, Int(high) - last))
        let span = last - first + 1 + below + above
        if count == span { return UInt64(span) }
        guard count >= Self.fewestApart, count * 2 > span,
            max(below, above, chosen[index].longestGap()) <= Self.mostApart
        else { return nil }
        return UInt64(span)
    }
}
