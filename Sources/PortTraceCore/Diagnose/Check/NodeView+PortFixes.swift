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
        if let own = ownRange(trouble) { return [leaveOwnRange(own, trouble)] + portCures(trouble) }
        var fixes: [Fix] = []
        let wider = widening(trouble)
        let reuse = timeWaitReuse(trouble)
        // Where connections are made faster than the wider range can take, each having its port for 60 s, both are needed.
        if let wider, let reuse, !wider.covers {
            fixes.append(both(wider, reuse, trouble))
        } else {
            if let wider { fixes.append(widen(wider, trouble)) }
            if let reuse { fixes.append(reuse) }
        }
        if reuse == nil, !(wider?.covers ?? false) { fixes.append(release(trouble)) }
        return fixes + portCures(trouble)
    }

    private func leaveOwnRange(_ own: PortRange, _ trouble: Trouble) -> Fix {
        let who = trouble.victims.first.map { name($0.owner) } ?? "The program"
        return Fix(
            .now,
            why: "\(who): let its sockets use more ports, and restart it: it sets IP_LOCAL_PORT_RANGE to "
                + "\(Words.range(own)) by itself, which no sysctl changes.",
            risk: "its work in flight is lost")
    }

    private func portCures(_ trouble: Trouble) -> [Fix] {
        let destination = trouble.resource.destination.map { " to \(Words.endpoint($0))" } ?? ""
        let who = culprit(trouble) ?? "The program"
        var cures = [
            Fix(
                .later,
                why: "\(who): reuse connections\(destination): keep-alive, a pool, HTTP/2. Each that is closed keeps "
                    + "its port for 60 s more.",
                risk: "an idle connection may be cut by what lies between: send keep-alives")
        ]
        if isInTimeWait(trouble.occupancy) {
            cures.append(
                Fix(
                    .later,
                    why:
                        "\(who): let the other side close first: only the closer keeps TIME_WAIT, and its port with it.",
                    risk: "the other side keeps TIME_WAIT then: it needs no port of its own for it"))
        }
        cures.append(
            Fix(
                .later,
                why: "Spread the load: each further source address, destination address or destination port has a "
                    + "whole range of ports of its own.",
                risk: "more addresses to manage"))
        return cures
    }

    private func widening(_ trouble: Trouble) -> PortRangeWidening? {
        guard let namespace = namespace(trouble.resource) else { return nil }
        return PortRangeWidening(
            of: namespace, demand: demand(trouble, in: namespace), nodePorts: sample.facts.nodePorts,
            hostReservesPorts: sample.facts.hostReservesPorts)
    }

    /// Ports wanted within the life of one TIME_WAIT, failures included.
    private func demand(_ trouble: Trouble, in namespace: NamespaceCensus) -> UInt64 {
        // What was not measured was all in use when it failed.
        (trouble.isMeasured ? trouble.occupancy.used : UInt64(namespace.usablePorts)) + refusedInAMinute(trouble)
    }

    private func refusedInAMinute(_ trouble: Trouble) -> UInt64 {
        UInt64(min(Double(trouble.count) * 60e9 / Double(max(sample.duration, 1)), 1e9))
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

    /// Whether TIME_WAIT, not open sockets, holds the ports, as far as that was measured.
    func isInTimeWait(_ occupancy: Occupancy) -> Bool { (occupancy.timeWait ?? 0) * 2 > occupancy.used }

    /// Whether connect() takes a port that is in TIME_WAIT towards there: tcp_tw_reuse, 2 being for the loopback
    /// (tcp_twsk_unique(), net/ipv4/tcp_ipv4.c).
    func reusesTimeWait(_ resource: Resource) -> Bool {
        guard let namespace = namespace(resource), namespace.timestamps != 0 else { return false }
        return namespace.timeWaitReuse == 1
            || (namespace.timeWaitReuse == 2 && resource.destination.map { $0.address.isLoopback } == true)
    }

    private static let reuseSetting = (name: "net.ipv4.tcp_tw_reuse", value: "1")

    private func timeWaitReuse(_ trouble: Trouble) -> Fix? {
        guard trouble.isMeasured, trouble.occupancy.reusable * 2 > trouble.occupancy.used,
            !reusesTimeWait(trouble.resource), let namespace = namespace(trouble.resource), namespace.timestamps != 0
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

    /// What gives ports back where no setting does.
    private func release(_ trouble: Trouble) -> Fix {
        let count = trouble.occupancy.holders.first?.count ?? 0
        guard trouble.isMeasured, let culprit = culprit(trouble) else { return search(trouble) }
        if isInTimeWait(trouble.occupancy) {
            return Fix(
                .now,
                why:
                    "Let \(culprit) make fewer connections for a minute: its \(Words.number(count)) ports are free 60 s "
                    + "after each connection has closed. A restart frees none that is in TIME_WAIT.",
                risk: "its work waits")
        }
        return Fix(
            .now,
            why: "Restart \(culprit), or let it close what it does not use: it holds \(Words.number(count)) ports.",
            risk: "its work in flight is lost")
    }

    private func search(_ trouble: Trouble) -> Fix {
        let place = place(of: trouble.resource)
        let proto = trouble.resource.proto == TransportProtocol.udp ? "u" : "t"
        let filter = trouble.resource.destination.map { " dst \(Words.endpoint($0))" } ?? ""
        return Fix(
            .now,
            why:
                "Restart whoever has the most sockets in the list of ss \(place.words), or let it close what it does not "
                + "use.",
            command: place.command("ss -H\(proto)anp\(filter)"), risk: "its work in flight is lost")
    }

    // MARK: bind()

    private func bindFixes(_ trouble: Trouble) -> [Fix] {
        var fixes: [Fix] = []
        if let own = ownRange(trouble) {
            fixes.append(leaveOwnRange(own, trouble))
        } else {
            let wider = widening(trouble)
            if let wider { fixes.append(widen(wider, trouble)) }
            if !(wider?.covers ?? false) { fixes.append(release(trouble)) }
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
        let port = trouble.sourcePort == 0 ? "the source port" : "port \(trouble.sourcePort)"
        var fixes = [
            Fix(
                .now,
                why: "\(who): leave \(port) to the kernel: take the fixed source port out of its settings and "
                    + "restart it.",
                risk: "its work in flight is lost; a peer that expects that source port must be told")
        ]
        if let cut = cut(trouble) { fixes.insert(cut, at: 0) }
        return fixes + [
            Fix(
                .later,
                why: "\(who): do not choose the port. Leave bind() out, or bind to the address alone with "
                    + "IP_BIND_ADDRESS_NO_PORT (Linux 4.2): connect() then takes one that is free towards its "
                    + "destination.",
                risk: "a peer that expects that source port must be told"),
            Fix(
                .later,
                why: "Where the port must be that one: one program alone may have it, and has to end each connection "
                    + "before the next one to that destination. In TIME_WAIT the old one gives way if both ends have "
                    + "TCP timestamps, whatever tcp_tw_reuse is.",
                risk: "none"),
        ]
    }

    /// Ends the very connection that is in the way.
    private func cut(_ trouble: Trouble) -> Fix? {
        guard trouble.sourcePort != 0, let source = trouble.resource.source,
            let destination = trouble.resource.destination
        else { return nil }
        let place = place(of: trouble.resource)
        let ends = (Endpoint(address: source, port: trouble.sourcePort), destination)
        guard
            let command = place.command("ss -K -tan src \(Words.endpoint(ends.0)) dst \(Words.endpoint(ends.1))")
        else { return nil }
        return Fix(
            .now,
            why: "End the connection that has \(Words.endpoint(ends.0)) towards there, \(place.words): the next "
                + "connect() gets it. Without -K the command shows it, with -p who has it.",
            command: command,
            risk: "that program's connection is cut, and it may take the port again")
    }

    // MARK: TIME_WAIT

    /// `struct tcp_timewait_sock` of its slab on x86-64.
    private static let bytesOfTimeWait: UInt64 = 256

    /// As many as are wanted, of a tenth of the memory at most; nil: that is no more than there may be.
    private func moreBuckets(_ trouble: Trouble, than limit: UInt64) -> UInt64? {
        let wanted = max(2 * limit, 2 * (trouble.occupancy.used + refusedInAMinute(trouble)), 65_536).nextPowerOfTwo
        let memory = sample.facts.memory
        let most = memory == 0 ? UInt64.max : memory / 10 / NodeView.bytesOfTimeWait
        let allowed = min(wanted, most, UInt64(Int32.max))
        return allowed > limit + limit / 10 ? allowed : nil
    }

    func freeMemory(_ what: String) -> Fix {
        Fix(
            .now, why: "Free memory on the node, or give it more: the kernel had none for \(what).",
            risk: "what uses it must do with less")
    }

    private func timeWaitFixes(_ trouble: Trouble) -> [Fix] {
        let place = place(of: trouble.resource)
        var fixes: [Fix] = []
        if trouble.noMemory * 2 <= trouble.count, let limit = trouble.occupancy.limit,
            let wanted = moreBuckets(trouble, than: limit)
        {
            let settings = [(name: "net.ipv4.tcp_max_tw_buckets", value: "\(wanted)")]
            fixes.append(
                Fix(
                    .now,
                    why: "Allow \(Words.number(wanted)) TIME_WAIT sockets in place of \(Words.number(limit)) "
                        + "\(place.words): "
                        + "\(Words.bytes(wanted * NodeView.bytesOfTimeWait)) if all are used.",
                    command: place.sysctl(settings), persist: place.persist(settings, areSafe: false),
                    risk: "memory only"))
        } else if trouble.noMemory > 0 {
            fixes.append(freeMemory("a TIME_WAIT socket"))
        } else {
            fixes.append(
                Fix(
                    .now,
                    why: "\(culprit(trouble) ?? "The program"): make fewer connections for a minute, after which each "
                        + "TIME_WAIT socket is gone.",
                    risk: "its work waits"))
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
