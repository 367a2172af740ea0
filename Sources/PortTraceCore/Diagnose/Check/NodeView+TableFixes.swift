/// What can be done where a conntrack table is short.
extension NodeView {
    private typealias Words = CheckWords

    func tableFixes(_ trouble: Trouble) -> [Fix] {
        var fixes: [Fix] = []
        let larger = enlarge(trouble)
        let stale = table(trouble.resource).map { deletions(of: $0, trouble) } ?? []
        if let larger { fixes.append(larger) }
        // Where they fill it, that costs nothing.
        let isStale = table(trouble.resource).map { TableFilling($0).kind == .stale } ?? false
        fixes = isStale ? stale + fixes : fixes + stale
        if let table = table(trouble.resource) {
            let filling = TableFilling(table)
            if let timeout = timeout(for: filling, table, trouble) { fixes.append(timeout) }
            fixes += cures(of: filling, table, trouble)
        } else {
            fixes.append(
                Fix(
                    .later,
                    why: "Find out who fills it: conntrack -L needs CAP_NET_ADMIN and nf_conntrack_netlink.",
                    risk: "none"))
        }
        return fixes
    }

    /// A larger nf_conntrack_max, and the hash for it.
    private func enlarge(_ trouble: Trouble) -> Fix? {
        let limit = trouble.occupancy.limit ?? sample.facts.conntrackMax ?? 0
        guard limit > 0 else { return nil }
        let used = max(trouble.isMeasured ? trouble.occupancy.used : 0, limit)
        // What is refused, or made room for, comes on top, for as long as entries of short connections stay.
        let stay = Double(table(trouble.resource)?.timeWait ?? TableCensus.usualTimeWait) * 1e9
        let refused = UInt64(min(Double(trouble.count) * stay / Double(max(sample.duration, 1)), 1e9))
        let least: UInt64 = sample.facts.memory >= 2 << 30 ? 131_072 : 65_536
        var wanted = max(2 * used, min(used + refused, 8 * used), least).nextPowerOfTwo
        // A tenth of the memory at most.
        while sample.facts.memory > 0, size(wanted).bytes > sample.facts.memory / 10, wanted > used { wanted /= 2 }
        guard wanted > used + used / 10 else { return nil }

        let growsHash = sample.facts.conntrackBuckets < wanted / 2
        var words = "sysctl -w net.netfilter.nf_conntrack_max=\(wanted)"
        if growsHash { words += " && echo \(wanted) > /sys/module/nf_conntrack/parameters/hashsize" }
        let hash = growsHash ? " with a hash of \(Words.number(wanted)) buckets" : ""
        return Fix(
            .now,
            why: "Raise nf_conntrack_max to \(Words.number(wanted))\(hash), in the node's own network namespace: it "
                + "counts for "
                + "all. A full table takes \(Words.bytes(size(wanted).bytes)) then.",
            command: conntrackPlace.command(words), persist: persist(entries: wanted, growsHash: growsHash),
            risk: growsHash ? "memory; packets wait for a moment while the hash is made anew" : "memory only")
    }

    private func size(_ entries: UInt64) -> ConntrackSize {
        let growsHash = sample.facts.conntrackBuckets < entries / 2
        return ConntrackSize(entries: entries, buckets: growsHash ? entries : sample.facts.conntrackBuckets)
    }

    /// kube-proxy sets nf_conntrack_max when it starts, to the larger of `conntrack.min` and `maxPerCore` for each CPU, and the
    /// hash to a quarter of it at least (pkg/proxy/conntrack/sysctls.go).
    private func persist(entries: UInt64, growsHash: Bool) -> String {
        let hash = growsHash ? "; /etc/modprobe.d/conntrack.conf: options nf_conntrack hashsize=\(entries)" : ""
        if sample.facts.hasKubeProxy {
            return
                "kube-proxy's --conntrack-min=\(entries) (conntrack.min in its configuration; k3s: --kube-proxy-arg): it "
                + "overwrites sysctl.d" + hash
        }
        return conntrackPlace.persist(
            [(name: "net.netfilter.nf_conntrack_max", value: "\(entries)")], areSafe: false) + hash
    }

    private func deletions(of table: TableCensus, _ trouble: Trouble) -> [Fix] {
        let place = place(of: trouble.resource)
        return table.stale.filter { $0.count * 20 >= table.table.used }.prefix(2).map { stale in
            let family = stale.address.family == .ipv6 ? "-f ipv6 " : ""
            let side = stale.isBackend ? "-r" : "-s"
            return Fix(
                .now,
                why: "Delete \(Words.number(stale.count)) stale entries \(place.words): "
                    + "\(Words.address(stale.address)) is "
                    + "nobody's any more, and they would stay for up to \(Words.time(Double(stale.longestTimeout))).",
                command: place.command("conntrack -D \(family)\(side) \(Words.address(stale.address))"),
                risk: "if the address is in use after all, its flows through NAT are cut")
        }
    }

    // MARK: Cures

    /// The timeout that keeps such entries, in seconds now and then; nil: it is as short already, or not known, or there is none.
    private func timeout(for filling: TableFilling, _ table: TableCensus, _ trouble: Trouble) -> Fix? {
        let (timeout, wanted, flag, risk): (ConntrackTimeout, UInt64, String?, String)
        switch filling.kind {
        case .churn:
            (timeout, wanted, flag) = (.timeWait, 30, nil)
            risk = "a packet that is late by more than 30 s counts as invalid"
        case .udp where table.assured * 2 < filling.count:
            (timeout, wanted, flag) = (.udp, 10, "--conntrack-udp-timeout=10s")
            risk = "an answer that takes more than 10 s finds no NAT mapping"
        case .udp:
            (timeout, wanted, flag) = (.udpStream, 60, "--conntrack-udp-timeout-stream=60s")
            risk = "UDP flows that are silent for more than 60 s lose their NAT mapping"
        case .stale where table.tcpStates[ConntrackTCPState.established] ?? 0 < filling.count / 2:
            return nil
        case .longLived, .stale:
            (timeout, wanted, flag) = (.established, 7_200, "--conntrack-tcp-timeout-established=2h")
            risk = "connections that are silent for more than 2 h lose their NAT mapping: send keep-alives"
        case .retries:
            (timeout, wanted, flag) = (.synSent, 30, nil)
            risk = "a server that takes more than 30 s to answer a SYN is not reached"
        case .mixed: return nil
        }
        guard let now = table.timeouts[timeout], now > wanted else { return nil }
        let place = place(of: trouble.resource)
        let setting = (name: "net.netfilter.nf_conntrack_\(timeout.rawValue)", value: "\(wanted)")
        let persist =
            sample.facts.hasKubeProxy && place.isHost
            ? flag.map { "kube-proxy's \($0): it overwrites sysctl.d" } : nil
        return Fix(
            .later,
            why: "Shorten nf_conntrack_\(timeout.rawValue) from \(Words.number(now)) s to \(Words.number(wanted)) s "
                + "\(place.words); each entry takes it with its next packet.",
            command: place.sysctl([setting]), persist: persist ?? place.persist([setting], areSafe: false), risk: risk)
    }

    private func cures(of filling: TableFilling, _ table: TableCensus, _ trouble: Trouble) -> [Fix] {
        let who = culprit(trouble) ?? "Who opens them"
        let to = filling.destination.map { " to \(Words.endpoint($0.endpoint))" } ?? ""
        switch filling.kind {
        case .churn:
            return [
                Fix(
                    .later, why: "\(who): reuse connections\(to): keep-alive, a pool, HTTP/2.",
                    risk: "an idle connection may be cut by what lies between: send keep-alives")
            ]
        case .udp:
            var cures: [Fix] = filling.isDNS ? [nodeLocalCache] : []
            if !filling.isDNS {
                cures.append(
                    Fix(
                        .later, why: "\(who): use one UDP socket\(to) for many datagrams.",
                        risk: "answers must be told apart by their content"))
            }
            // A Service's address, and all else that is NATed, needs its entry.
            if table.translated == 0, let destination = filling.destination {
                cures.append(
                    Fix(
                        .later,
                        why: "None of the entries is NATed: UDP\(to) can go without conntrack (NOTRACK in the raw "
                            + "table, for "
                            + "port \(destination.endpoint.port), both ways).",
                        risk: "rules that ask for the state of those flows do not match any more"))
            }
            return cures
        case .longLived:
            return [
                Fix(
                    .later,
                    why: "\(who): close connections\(to) that are not used, and send keep-alives on the others: a "
                        + "connection "
                        + "that died unseen keeps its entry for the whole timeout.", risk: "none")
            ]
        case .stale:
            return [
                Fix(
                    .later,
                    why: "Let programs end their connections when their pod is stopped (SIGTERM): what is left open "
                        + "stays in "
                        + "the table.", risk: "none")
            ]
        case .retries:
            return [
                Fix(
                    .later,
                    why: "\(who): back off between attempts\(to), and stop at some number; find out why it "
                        + "does not "
                        + "answer.", risk: "none")
            ]
        case .mixed:
            return [
                Fix(
                    .later, why: "\(who): opens the most; reuse connections where it can.",
                    risk: "an idle connection may be cut by what lies between: send keep-alives")
            ]
        }
    }

    private var nodeLocalCache: Fix {
        Fix(
            .later,
            why: "Run a DNS cache on the node (NodeLocal DNSCache): questions then go to an address of the node, "
                + "without "
                + "conntrack, and over TCP from there.",
            risk: "one more component; it must run on each node")
    }

    // MARK: Insertions

    func insertionFixes(_ trouble: Trouble) -> [Fix] {
        var fixes: [Fix] = []
        if trouble.chains > 0 { fixes.append(rehash(table(trouble.resource))) }
        if trouble.races > 0 { fixes += raceFixes(trouble) }
        if trouble.chains > 0 {
            fixes.append(
                Fix(
                    .later,
                    why:
                        "Whenever nf_conntrack_max is raised, raise the hash with it: the kernel's own default is as many "
                        + "buckets as entries.", risk: "8 bytes of memory for each bucket"))
        }
        if trouble.noMemory > 0 { fixes.append(freeMemory("an entry")) }
        if trouble.dying > 0 {
            fixes.append(
                Fix(
                    .now,
                    why:
                        "Stop what deletes entries while packets use them (conntrack -D or -F in a loop, a data path that "
                        + "flushes); a packet that is sent again passes.", risk: "what wanted them gone keeps them"))
        }
        return fixes
    }

    /// Two flows that chose one NAT port want random ones; questions from one socket want sockets of their own.
    private func raceFixes(_ trouble: Trouble) -> [Fix] {
        var fixes: [Fix] = []
        let isOfQuestions = isDNSRace(trouble) && trouble.untranslated > 0
        let spread = trouble.mapping.flatMap { randomPorts($0, trouble) }
        if let spread { fixes.append(spread) }
        if trouble.untranslated < trouble.races {
            fixes.append(randomly(spread == nil && trouble.translated > 0 ? .now : .later))
        }
        if isOfQuestions { fixes.append(socketForEach) }
        if trouble.untranslated > 0, !isOfQuestions {
            let who = trouble.victims.first.map { name($0.owner) } ?? "The program"
            fixes.append(
                Fix(
                    .later,
                    why:
                        "\(who): send the first packet of a flow alone and the next ones after its answer, or give each "
                        + "thread a socket of its own.",
                    risk: "none"))
        }
        guard isDNSRace(trouble) else { return fixes }
        fixes.append(nodeLocalCache)
        if let table = table(trouble.resource), table.translated == 0, trouble.translated == 0 {
            fixes.append(
                Fix(
                    .later,
                    why: "None of the entries is NATed: UDP to port 53 can go without conntrack (NOTRACK in the raw "
                        + "table, both ways).",
                    risk: "rules that ask for the state of those flows do not match any more"))
        }
        return fixes
    }

    private func randomly(_ time: Fix.Time) -> Fix {
        Fix(
            time,
            why:
                "Add --random-fully to the source NAT rules (iptables: MASQUERADE or SNAT; nft: fully-random; kube-proxy "
                + "has it): flows then seldom choose one port in the same moment.",
            risk: "none")
    }

    private var socketForEach: Fix {
        Fix(
            .now,
            why:
                "In the resolv.conf of the failing pods: \"options single-request-reopen\", so that each question has a "
                + "socket of its own. glibc reads the file again at once (2.26 and later); musl does not know the option.",
            persist: "the pod's dnsConfig.options: [{name: single-request-reopen}]",
            risk: "a look-up takes one round trip more")
    }

    private func rehash(_ table: TableCensus?) -> Fix {
        let used = table?.table.used ?? 0
        let buckets = max(2 * used, 4 * sample.facts.conntrackBuckets, 65_536).nextPowerOfTwo
        let persist =
            sample.facts.hasKubeProxy
            ? "/etc/modprobe.d/conntrack.conf: options nf_conntrack hashsize=\(buckets) (kube-proxy raises it only "
                + "to a quarter "
                + "of nf_conntrack_max)"
            : "/etc/modprobe.d/conntrack.conf: options nf_conntrack hashsize=\(buckets)"
        return Fix(
            .now,
            why: "Give the hash \(Words.number(buckets)) buckets in place of "
                + "\(Words.number(sample.facts.conntrackBuckets)), in "
                + "the node's own network namespace: \(Words.bytes(buckets * 8)). Chains get shorter at once.",
            command: conntrackPlace.command("echo \(buckets) > /sys/module/nf_conntrack/parameters/hashsize"),
            persist: persist, risk: "packets wait for a moment while the hash is made anew")
    }
}
