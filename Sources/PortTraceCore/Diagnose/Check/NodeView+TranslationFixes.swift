/// What can be done where the ports of a NAT address are short.
extension NodeView {
    private typealias Words = CheckWords

    /// The ports that NAT takes by itself for a flow from one of them (nf_nat_l4proto_unique_tuple(), nf_nat_core.c).
    private static let wholeRange = PortRange(low: 1_024, high: 65_535)

    func translationFixes(_ trouble: Trouble) -> [Fix] {
        let place = place(of: trouble.resource)
        var fixes: [Fix] = []
        let limit = trouble.occupancy.limit ?? 0
        let canWiden = limit < 60_000
        if canWiden, let rule = widerRule(trouble.resource) {
            fixes.append(
                Fix(
                    .now,
                    why: "Let that address use ports \(Words.range(NodeView.wholeRange)) towards that destination, "
                        + "at random: "
                        + "a rule before those that are there, \(place.words). Undo: nft delete table "
                        + "\(trouble.resource.destination?.address.family == .ipv6 ? "ip6" : "ip") porttrace.",
                    command: place.command(rule),
                    persist: "a wider range in the rule that is there (--to-ports, nft: to :LOW-HIGH), with "
                        + "--random-fully; of "
                        + "a pod network in its own configuration",
                    risk: "all flows to that destination leave with that address"))
        }
        if !canWiden, let deletion = deletion(of: trouble.resource) {
            fixes.append(
                Fix(
                    .now,
                    why: "Delete the mappings of connections that have closed (TIME_WAIT) \(place.words): their "
                        + "ports are "
                        + "free at once.",
                    command: place.command(deletion), risk: "a late packet of such a connection is not translated"))
        }
        fixes.append(
            Fix(
                .later,
                why: "Give the NAT more addresses (SNAT --to-source with a range of them): each has ports of its "
                    + "own towards "
                    + "that destination. ip_local_port_range does not widen a masquerade.",
                risk: "the other side must know the further addresses"))
        if trouble.occupancy.limit.map({ $0 > 248 }) ?? true {
            fixes.append(
                Fix(
                    .later,
                    why: "Add --random-fully to the rule (nft: fully-random): the kernel gives up after some "
                        + "hundred attempts, "
                        + "which hit fewer ports in use when they begin at random.",
                    risk: "none"))
        }
        let who = culprit(trouble) ?? "Who opens the most"
        fixes.append(
            Fix(
                .later,
                why: "\(who): reuse connections to that destination: keep-alive, a pool, HTTP/2.",
                risk: "an idle connection may be cut by what lies between: send keep-alives"))
        return fixes
    }

    /// A rule of its own table, before iptables' and nftables' own source NAT (priority 100): the first that matches decides.
    private func widerRule(_ resource: Resource) -> String? {
        guard let nat = resource.source, let destination = resource.destination, destination.port != 0,
            nat.family == destination.address.family, let proto = portProtocol(resource.proto)
        else { return nil }
        let family = nat.family == .ipv6 ? "ip6" : "ip"
        let address = nat.family == .ipv6 ? "[\(Words.address(nat))]" : Words.address(nat)
        return "nft 'add table \(family) porttrace; add chain \(family) porttrace wider "
            + "{ type nat hook postrouting priority 90 ; }; add rule \(family) porttrace wider "
            + "\(family) daddr \(Words.address(destination.address)) \(proto) dport \(destination.port) "
            + "snat to \(address):\(Words.range(NodeView.wholeRange)) fully-random'"
    }

    private func deletion(of resource: Resource) -> String? {
        guard resource.proto == TransportProtocol.tcp, let nat = resource.source, let destination = resource.destination
        else { return nil }
        let family = nat.family == .ipv6 ? "-f ipv6 " : ""
        let port = destination.port == 0 ? "" : "--reply-port-src \(destination.port) "
        return "conntrack -D \(family)-p tcp --reply-src \(Words.address(destination.address)) \(port)"
            + "--reply-dst \(Words.address(nat)) --state TIME_WAIT"
    }

    private func portProtocol(_ number: UInt8) -> String? {
        switch number {
        case TransportProtocol.tcp: "tcp"
        case TransportProtocol.udp: "udp"
        default: nil
        }
    }
}
