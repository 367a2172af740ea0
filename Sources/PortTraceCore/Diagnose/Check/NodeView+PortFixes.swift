/// What can be done where source ports are short.
extension NodeView {
    private typealias Words = CheckWords

    func fixes(for trouble: Trouble) -> [Fix] {
        switch trouble.problem {
        case .portExhaustion: portFixes(trouble)
        case .bindExhaustion: bindFixes(trouble)
        case .tupleConflict: conflictFixes(trouble)
        case .snatExhaustion: translationFixes(trouble)
        case .conntrackFull: tableFixes(trouble)
        case .conntrackInsertFailed: insertionFixes(trouble)
        case .timeWaitOverflow: timeWaitFixes(trouble)
        }
    }

    /// Who holds the most, as a sentence names it; nil: not known.
    func culprit(_ trouble: Trouble) -> String? { trouble.occupancy.holders.first.map { name($0.owner) } }

    // MARK: connect()

    private func portFixes(_ trouble: Trouble) -> [Fix] {
        var fixes: [Fix] = []
        let wider = widening(trouble)
        let reuse = timeWaitReuse(trouble)
        // Where connections are made faster than the wider range can take, each having its port for 60 s, both are needed.
        if let wider, let reuse, demand(trouble) > UInt64(wider.gain) * 4 / 5 + (trouble.occupancy.limit ?? 0) {
            fixes.append(both(wider, reuse, trouble))
        } else {
            if let wider { fixes.append(widen(wider, trouble)) }
            if let reuse { fixes.append(reuse) }
        }
        if fixes.isEmpty || (holdsOpen(trouble) && wider == nil) {
            fixes.append(contentsOf: restart(trouble))
        }
        if let own = ownRange(trouble) {
            fixes.append(
                Fix(
                    .later,
                    why: "Give the failing sockets a wider range: IP_LOCAL_PORT_RANGE is set to \(Words.range(own)) "
                        + "by the "
                        + "program itself, no sysctl changes it.",
                    risk: "none, within ip_local_port_range"))
        }
        let destination = trouble.resource.destination.map { " to \(Words.endpoint($0))" } ?? ""
        let who = culprit(trouble) ?? "The program"
        fixes.append(
            Fix(
                .later,
                why: "\(who): reuse connections\(destination): keep-alive, a pool, HTTP/2. Each that is closed keeps "
                    + "its port for 60 s more.",
                risk: "an idle connection may be cut by what lies between: send keep-alives"))
        fixes.append(
            Fix(
                .later,
                why: "Spread the load: each further source address, destination address or destination port has a "
                    + "whole "
                    + "range of ports of its own.",
                risk: "more addresses to manage"))
        return fixes
    }

    private func widening(_ trouble: Trouble) -> PortRangeWidening? {
        guard ownRange(trouble) == nil, let namespace = namespace(trouble.resource) else { return nil }
        return PortRangeWidening(
            of: namespace, nodePorts: sample.facts.nodePorts, hostReservesPorts: sample.facts.hostReservesPorts)
    }

    private func widen(_ wider: PortRangeWidening, _ trouble: Trouble) -> Fix {
        let place = place(of: trouble.resource)
        let beside =
            wider.reserved.map { ", Services' ports \(Words.range($0)) reserved" }
            ?? (wider.range.low <= sample.facts.nodePorts.high && !place.isHost
                ? "; Services' ports, which are the node's, do not matter there"
                : ", short of listeners and "
                    + "Services' ports")
        return Fix(
            .now,
            why: "Widen ip_local_port_range by \(Words.number(wider.gain)) ports, to \(Words.range(wider.range)) "
                + "\(place.words)\(beside).",
            command: place.sysctl(wider.settings), persist: place.persist(wider.settings, areSafe: true),
            risk: "a program that listens at a port of the wider range may find it in use")
    }

    /// Connections that want a port within the life of one TIME_WAIT, failures included.
    private func demand(_ trouble: Trouble) -> UInt64 {
        let failures = Double(trouble.count) * 60e9 / Double(max(sample.duration, 1))
        return trouble.occupancy.used + UInt64(min(failures, 1e9))
    }

    /// TIME_WAIT sockets that hold the ports wanted; of the namespace where the census does not tell them apart.
    private func timeWaitShare(_ trouble: Trouble) -> (timeWait: UInt64, all: UInt64) {
        if trouble.isMeasured, let timeWait = trouble.occupancy.timeWait { return (timeWait, trouble.occupancy.used) }
        guard let namespace = namespace(trouble.resource) else { return (0, 0) }
        return (UInt64(namespace.timeWait), UInt64(namespace.timeWait) + UInt64(namespace.tcpSockets))
    }

    private func holdsOpen(_ trouble: Trouble) -> Bool {
        let share = timeWaitShare(trouble)
        return share.all > 0 && share.timeWait * 2 <= share.all
    }

    /// Whether connect() takes a port that is in TIME_WAIT towards there: tcp_tw_reuse, 2 being for the loopback
    /// (tcp_twsk_unique(), net/ipv4/tcp_ipv4.c).
    func reusesTimeWait(_ resource: Resource) -> Bool {
        guard let namespace = namespace(resource), namespace.timestamps != 0 else { return false }
        return namespace.timeWaitReuse == 1
            || (namespace.timeWaitReuse == 2 && resource.destination.map { $0.address.isLoopback } == true)
    }

    private static let reuseSetting = (name: "net.ipv4.tcp_tw_reuse", value: "1")

    private func timeWaitReuse(_ trouble: Trouble) -> Fix? {
        let share = timeWaitShare(trouble)
        guard ownRange(trouble) == nil, trouble.resource.proto == TransportProtocol.tcp || trouble.resource.proto == 0,
            share.timeWait * 2 > share.all, !reusesTimeWait(trouble.resource),
            let namespace = namespace(trouble.resource), namespace.timestamps != 0
        else { return nil }
        let place = place(of: trouble.resource)
        let settings = [NodeView.reuseSetting]
        return Fix(
            .now,
            why: "TIME_WAIT holds the ports: let connect() reuse them (tcp_tw_reuse=1) \(place.words). A port is "
                + "free 1 s "
                + "after its connection has closed; one in FIN_WAIT2 is not.",
            command: place.sysctl(settings), persist: place.persist(settings, areSafe: false),
            risk: "needs TCP timestamps at both ends (on here)")
    }

    private func both(_ wider: PortRangeWidening, _ reuse: Fix, _ trouble: Trouble) -> Fix {
        let place = place(of: trouble.resource)
        let settings = wider.settings + [NodeView.reuseSetting]
        return Fix(
            .now,
            why: "Connections are made faster than a wider range alone can take: widen ip_local_port_range to "
                + "\(Words.range(wider.range)) and let connect() reuse TIME_WAIT (tcp_tw_reuse=1) \(place.words). A "
                + "port is "
                + "free 1 s after its connection has closed; one in FIN_WAIT2 is not.",
            command: place.sysctl(settings),
            persist: place.persist(wider.settings, areSafe: true)
                + (place.isHost
                    ? ", net.ipv4.tcp_tw_reuse = 1"
                    : "; tcp_tw_reuse likewise, if the kubelet allows it: "
                        + "--allowed-unsafe-sysctls=net.ipv4.tcp_tw_reuse"),
            risk: "a program that listens at a port of the wider range may find it in use; " + reuse.risk)
    }

    private func restart(_ trouble: Trouble) -> [Fix] {
        guard trouble.isMeasured, let culprit = culprit(trouble) else { return [] }
        let count = trouble.occupancy.holders.first?.count ?? 0
        return [
            Fix(
                .now,
                why: "Restart \(culprit), or let it close what it does not use: it holds \(Words.number(count)) "
                    + "ports.",
                risk: "its work in flight is lost")
        ]
    }

    // MARK: bind()

    private func bindFixes(_ trouble: Trouble) -> [Fix] {
        var fixes: [Fix] = []
        if let wider = widening(trouble) {
            fixes.append(widen(wider, trouble))
        } else {
            fixes.append(contentsOf: restart(trouble))
        }
        let who = culprit(trouble) ?? "The program"
        if trouble.resource.proto != TransportProtocol.udp {
            fixes.append(
                Fix(
                    .later,
                    why: "\(who): set IP_BIND_ADDRESS_NO_PORT (Linux 4.2) before it binds to an address with port 0 "
                        + "for a "
                        + "connect(): the port is then chosen by destination, and can be shared.",
                    risk: "getsockname() tells no port until connect()"))
        }
        if trouble.resource.proto != TransportProtocol.tcp {
            fixes.append(
                Fix(
                    .later,
                    why: "\(who): use one UDP socket for many requests, and close those that are done.",
                    risk: "answers must be told apart by their content"))
        }
        return fixes
    }

    // MARK: 4-tuples

    private func conflictFixes(_ trouble: Trouble) -> [Fix] {
        let who = trouble.victims.first.map { name($0.owner) } ?? "The program"
        return [
            Fix(
                .later,
                why: "\(who): do not choose the port. Leave bind() out, or bind to the address alone with "
                    + "IP_BIND_ADDRESS_NO_PORT (Linux 4.2): connect() then takes one that is free towards its "
                    + "destination.",
                risk: "a peer that expects that source port must be told"),
            Fix(
                .later,
                why: "Where the port must be that one: close the earlier connection from the other side first, so "
                    + "that this "
                    + "side has no TIME_WAIT, or wait for its 60 s. tcp_tw_reuse does not count for a bound port.",
                risk: "none"),
        ]
    }

    // MARK: TIME_WAIT

    private func timeWaitFixes(_ trouble: Trouble) -> [Fix] {
        let place = place(of: trouble.resource)
        var fixes: [Fix] = []
        if trouble.noMemory * 2 <= trouble.count, let limit = trouble.occupancy.limit {
            let wanted = min(max(2 * limit, 2 * demand(trouble), 65_536).nextPowerOfTwo, UInt64(Int32.max))
            let settings = [(name: "net.ipv4.tcp_max_tw_buckets", value: "\(wanted)")]
            fixes.append(
                Fix(
                    .now,
                    why: "Allow \(Words.number(wanted)) TIME_WAIT sockets in place of \(Words.number(limit)) "
                        + "\(place.words): "
                        + "\(Words.bytes(wanted * 256)) if all are used.",
                    command: place.sysctl(settings), persist: place.persist(settings, areSafe: false),
                    risk: "memory only"))
        }
        let who = culprit(trouble) ?? "The program"
        fixes.append(
            Fix(
                .later,
                why: "\(who): reuse connections (keep-alive, a pool, HTTP/2), or let the other side close first: "
                    + "only the "
                    + "closer keeps TIME_WAIT.",
                risk: "an idle connection may be cut by what lies between: send keep-alives"))
        return fixes
    }
}

extension UInt64 {
    /// The least power of two that is not less.
    var nextPowerOfTwo: UInt64 {
        self <= 1 ? 1 : 1 << UInt64(UInt64.bitWidth - (self - 1).leadingZeroBitCount)
    }
}
