/// What can be done where the ports of a NAT address are short.
extension NodeView {
    private typealias Words = CheckWords

    /// The ports that NAT takes by itself for a flow from one of them (nf_nat_l4proto_unique_tuple(), nf_nat_core.c).
    private static let wholeRange = PortRange(low: 1_024, high: 65_535)

    func translationFixes(_ trouble: Trouble) -> [Fix] {
        let place = place(of: trouble.resource)
        var fixes: [Fix] = []
        let limit = trouble.occupancy.limit
        let isWide = limit.map { $0 >= 60_000 } ?? false
        if !isWide, let rule = rule(for: trouble.resource, at: place) {
            let whole = Words.range(NodeView.wholeRange)
            fixes.append(
                Fix(
                    .now,
                    why: limit == nil
                        ? "Let that address use all ports \(whole) towards that destination, at random, whatever its range "
                            + "is: \(rule.words)"
                        : "Let that address use ports \(whole) towards that destination, at random: \(rule.words)",
                    command: rule.command,
                    persist: "a wider range in the rule that is there (--to-ports, nft: to :LOW-HIGH), with "
                        + "--random-fully; of a pod network in its own configuration",
                    risk: NodeView.ruleRisk))
        }
        if isWide, let deletion = deletion(of: trouble.resource) {
            let isTCP = trouble.resource.proto == TransportProtocol.tcp
            fixes.append(
                Fix(
                    .now,
                    why: "Delete the mappings "
                        + (isTCP
                            ? "of connections that have closed (TIME_WAIT) \(place.words): their ports are free at once."
                            : "towards that destination \(place.words): a flow that goes on gets a new one with its next "
                                + "packet."),
                    command: place.command(deletion),
                    risk: isTCP
                        ? "a late packet of such a connection is not translated"
                        : "answers on their way are lost; flows that go on leave from another port"))
        }
        fixes.append(
            Fix(
                .later,
                why: "Give the NAT more addresses (SNAT --to-source with a range of them): each has ports of its "
                    + "own towards "
                    + "that destination. ip_local_port_range does not widen a masquerade.",
                risk: "the other side must know the further addresses"))
        if limit.map({ $0 > 248 }) ?? true {
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

    /// What ends the clashes of flows that choose one NAT port in the same moment: those of one destination.
    func randomPorts(_ mapping: Resource, _ trouble: Trouble) -> Fix? {
        guard let rule = rule(for: mapping, at: place(of: trouble.resource)), let nat = mapping.source,
            let destination = mapping.destination
        else { return nil }
        return Fix(
            .now,
            why: "Let \(Words.address(nat)) choose its ports towards \(Words.endpoint(destination)) at random: "
                + rule.words,
            command: rule.command,
            persist: "--random-fully in the rule that is there (nft: fully-random); of a pod network in its own "
                + "configuration",
            risk: NodeView.ruleRisk)
    }

    private static let ruleRisk = "all flows to that destination leave with that address, pod to pod too"

    /// A rule of its own table, before iptables' and nftables' own source NAT (priority 100): the first that matches decides.
    private func rule(for resource: Resource, at place: SettingPlace) -> (command: String?, words: String)? {
        guard let nat = resource.source, let destination = resource.destination, destination.port != 0,
            nat.family == destination.address.family, let proto = portProtocol(resource.proto)
        else { return nil }
        let family = nat.family == .ipv6 ? "ip6" : "ip"
        let address = nat.family == .ipv6 ? "[\(Words.address(nat))]" : Words.address(nat)
        let rule =
            "nft 'add table \(family) porttrace; add chain \(family) porttrace wider "
            + "{ type nat hook postrouting priority 90 ; }; add rule \(family) porttrace wider "
            + "\(family) daddr \(Words.address(destination.address)) \(proto) dport \(destination.port) "
            + "snat to \(address):\(Words.range(NodeView.wholeRange)) fully-random'"
        return (
            place.command(rule),
            "a rule before those that are there, \(place.words). Undo: nft delete table \(family) porttrace."
        )
    }

    private func deletion(of resource: Resource) -> String? {
        guard let proto = portProtocol(resource.proto), let nat = resource.source,
            let destination = resource.destination
        else { return nil }
        let family = nat.family == .ipv6 ? "-f ipv6 " : ""
        let port = destination.port == 0 ? "" : "--reply-port-src \(destination.port) "
        return "conntrack -D \(family)-p \(proto) --reply-src \(Words.address(destination.address)) \(port)"
            + "--reply-dst \(Words.address(nat))"
            + (resource.proto == TransportProtocol.tcp ? " --state TIME_WAIT" : "")
    }

    private func portProtocol(_ number: UInt8) -> String? {
        switch number {
        case TransportProtocol.tcp: "tcp"
        case TransportProtocol.udp: "udp"
        default: nil
        }
    }
}
