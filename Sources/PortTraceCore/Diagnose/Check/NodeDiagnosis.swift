/// What a sample of a node says: a verdict, and what is behind it.
public struct NodeDiagnosis: Sendable {
    public let status: CheckStatus
    /// The worst first.
    public let findings: [Finding]
    /// The verdict for a person, the first line first.
    public let headline: [String]
    /// What could not be seen, and why: `what (why)`.
    public let notVisible: [String]
    /// What is worth knowing and no finding: counters that have stood still, limits of others.
    public let remarks: [String]

    /// Of each problem: a hundred full port ranges must not hide the table that is filling.
    static let mostFindings = 20

    /// Judges a sample. Linear time.
    ///
    /// - Parameter name: an owner's name for the sentences, safe to print. No command has it.
    public init(_ sample: NodeSample, name: @escaping (HolderOwner) -> String) {
        let view = NodeView(sample, name: name)
        let troubles = view.troubles()
        var counts: [Finding.Problem: Int] = [:]
        findings = troubles.compactMap { trouble in
            counts[trouble.problem, default: 0] += 1
            return counts[trouble.problem]! > Self.mostFindings ? nil : view.finding(of: trouble)
        }

        // What a verdict rests on first.
        let unseen = view.notVisible
        var notVisible = (unseen.filter { $0.part != .other } + unseen.filter { $0.part == .other }).map(\.words)
        if troubles.count > findings.count {
            notVisible.append(
                "\(CheckWords.number(UInt64(troubles.count - findings.count))) more findings (the "
                    + "worst of each problem are enough)")
        }
        notVisible += view.outside
        self.notVisible = notVisible

        let unread = view.unread
        if let first = findings.first {
            status = troubles[0].isFailing ? .failing : .warning
            let rest = findings.count > 1 ? " (and \(findings.count - 1) more below)" : ""
            headline = ["\(status == .failing ? "FAILING" : "WARNING"): \(first.summary)\(rest)"]
        } else if let unread {
            status = .unknown
            headline = ["NOT CHECKED: \(unread)"]
        } else {
            status = .healthy
            let healthy = "HEALTHY: \(view.fullest)"
            headline = view.isConntrackUnused ? ["conntrack not in use here", healthy] : [healthy]
        }
        remarks = view.remarks(findings)
    }
}

extension NodeView {
    private typealias Words = CheckWords

    fileprivate func finding(of trouble: Trouble) -> Finding {
        var finding = Finding(trouble.problem, trouble.isFailing ? .failing : .warning, trouble.occupancy)
        finding.isMeasured = trouble.isMeasured
        finding.failures = trouble.count
        switch trouble.problem {
        // Who has that very connection is not known: it is none of those that hold ports that connect() has chosen.
        case .tupleConflict: finding.blame = .nobody
        // Both packets of a race are of those that were refused.
        case .conntrackInsertFailed where trouble.races * 2 > trouble.count:
            finding.blame = .senders
            finding.culprits = trouble.victims
        // Nor who deletes entries, or takes the memory.
        case .conntrackInsertFailed where trouble.chains * 2 <= trouble.count: finding.blame = .nobody
        default: finding.culprits = trouble.occupancy.holders
        }
        finding.victims = trouble.victims
        finding.summary = summary(of: trouble)
        finding.evidence = evidence(of: trouble)
        let fixes = fixes(for: trouble)
        finding.fixes = fixes.filter { $0.when == .now } + fixes.filter { $0.when == .later }
        return finding
    }

    // MARK: In one line

    private func summary(of trouble: Trouble) -> String {
        let resource = trouble.resource
        let source = resource.source.map { Words.address($0) } ?? "netns \(resource.namespace.inode)"
        let destination = resource.destination.map { Words.endpoint($0) } ?? "some destination"
        let use = use(of: trouble)
        let isNear = !trouble.isFailing
        switch trouble.problem {
        case .portExhaustion:
            return isNear
                ? "\(source) is running out of source ports towards \(destination)\(use)"
                : "\(source) has no source port left towards \(destination)\(use)"
        case .bindExhaustion:
            let proto = resource.proto == TransportProtocol.udp ? "UDP " : resource.proto == 0 ? "" : "TCP "
            return isNear
                ? "\(source) is running out of \(proto)ports for bind()\(use)"
                : "\(source) has no \(proto)port "
                    + "left for bind()\(use)"
        case .tupleConflict:
            let port = trouble.sourcePort == 0 ? "a bound port" : "the bound port \(trouble.sourcePort)"
            return "\(port) of \(source) is in use already towards \(destination), not exhaustion"
        case .snatExhaustion:
            return isNear
                ? "NAT address \(source) is running out of ports towards \(destination)\(use)"
                : "NAT address \(source) has no port left towards \(destination)\(use)"
        case .conntrackFull:
            let table =
                isHost(resource)
                ? "the conntrack table"
                : "the conntrack table of netns "
                    + "\(resource.namespace.inode)"
            let state =
                isNear ? "is filling" : trouble.evictions == trouble.count ? "lives by evicting flows" : "is full"
            return "\(table) \(state)\(use)\(staleWords(trouble))"
        case .conntrackInsertFailed:
            let clash = trouble.areOfPorts ? "two flows chose one NAT port, and " : ""
            if isDNSRace(trouble) { return "DNS races: \(clash)questions to a name server are dropped by conntrack" }
            return trouble.chains * 2 > trouble.count
                ? "conntrack's hash chains are too long: packets are dropped"
                : "conntrack cannot insert entries: \(clash)packets are dropped"
        case .timeWaitOverflow:
            return isNear
                ? "netns \(resource.namespace.inode) is running out of TIME_WAIT sockets\(use)"
                : "netns \(resource.namespace.inode) has no room for TIME_WAIT sockets\(use)"
        }
    }

    /// Whose entries fill it, where nobody holds them any more.
    private func staleWords(_ trouble: Trouble) -> String {
        guard let table = table(trouble.resource), TableFilling(table).kind == .stale,
            let address = table.stale.first?.address
        else { return "" }
        return ", by stale entries of \(Words.address(address)), which is nobody's"
    }

    /// ` (234 of 234 used)`.
    private func use(of trouble: Trouble) -> String {
        guard trouble.isMeasured else { return "" }
        let used = Words.number(trouble.occupancy.used)
        guard let limit = trouble.occupancy.limit else { return " (\(used) used)" }
        return " (\(used) of \(Words.number(limit)) used, \(Words.percent(trouble.occupancy.used, of: limit)))"
    }

    // MARK: Nothing wrong

    /// Nothing uses conntrack here, and that was seen; or another data path does its work.
    var isConntrackUnused: Bool {
        guard sample.tables.isEmpty, sample.tablesBefore.isEmpty, sample.unreadTables.isEmpty else { return false }
        // That no table has entries is known only where all could be seen, or conntrack is not there.
        let areTablesSeen =
            sample.facts.conntrackMax == nil || !sample.notVisible.contains { $0.part == .conntrack }
        return sample.isConntrackIdle || (sample.facts.otherDataPath != nil && !sample.isNarrowed && areTablesSeen)
    }

    /// What neither the sample nor its later look at the ports could see.
    fileprivate var notVisible: [NotVisible] {
        let all = sample.notVisible
        return all + (sample.ports?.notVisible ?? []).filter { !all.contains($0) }
    }

    /// What of the two limits was not read, with the reason; nil: both were.
    fileprivate var unread: String? {
        var missing = notVisible.filter { $0.part == .ports || ($0.part == .conntrack && !isConntrackUnused) }
            .map(\.words)
        if sample.ports == nil, !sample.notVisible.contains(where: { $0.part == .ports }) {
            missing.append("ports (the census of sockets did not end)")
        }
        guard let first = missing.first else { return nil }
        return first + (missing.count > 1 ? "; and \(missing.count - 1) more" : "")
    }

    /// How far both limits are away.
    fileprivate var fullest: String {
        if sample.isNarrowed { return "nothing is short for those that the options ask for" }
        func words(_ occupancy: Occupancy?, _ empty: String) -> String {
            guard let occupancy, let limit = occupancy.limit else { return empty }
            return "\(Words.percent(occupancy.used, of: limit)) (\(Words.number(occupancy.used)) of "
                + "\(Words.number(limit)))"
        }
        let ports = "the fullest port range is used by \(words(fullest([.ports, .bindPorts]), "0%"))"
        let other = sample.facts.otherDataPath.map { "; \($0) tracks connections itself, which is not seen here" } ?? ""
        if isConntrackUnused { return ports + other }
        return "\(ports), the fullest conntrack table by \(words(fullest([.conntrack]), "0%"))\(other)"
    }

    // MARK: Beside the findings

    /// What lies outside of the node.
    fileprivate var outside: [String] {
        var outside: [String] = []
        if let other = sample.facts.otherDataPath {
            outside.append(
                "how full \(other)'s own tables of connections are (they are BPF maps; it has metrics of them)")
        }
        if sample.facts.isInContainer {
            outside.append(
                "what is outside of this container's reach (run it with the host's namespaces to see the "
                    + "whole node)")
        }
        if sample.facts.isInContainer || !sample.facts.driverLimits.isEmpty {
            outside.append("limits outside of the node, such as a NAT gateway's (only that side counts them)")
        }
        for limit in sample.facts.driverLimits where limit.moved > 0 {
            outside.append(
                "\(driverWords(limit)) (the network's own limit for this machine: no setting of the node "
                    + "changes it)")
        }
        return outside
    }

    private func driverWords(_ limit: (device: String, counter: String, moved: UInt64)) -> String {
        "\(limit.device): \(limit.counter) +\(Words.number(limit.moved))"
    }

    /// Counters that have moved, for no finding's reason.
    fileprivate func remarks(_ findings: [Finding]) -> [String] {
        var remarks: [String] = []
        for counters in sample.counters.prefix(1_000) {
            guard !findings.contains(where: { $0.occupancy.resource.namespace.inode == counters.netnsID }) else {
                continue
            }
            let (total, moved) = (counters.total, counters.moved)
            let past = [
                ("drop", total.drop), ("insert_failed", total.insertFailed), ("early_drop", total.earlyDrop),
                ("TCPTimeWaitOverflow", total.timeWaitOverflow),
            ].filter { $0.1 > 0 }.map { "\($0.0) \(Words.number($0.1))" }
            guard !past.isEmpty else { continue }
            // What a filter leaves out is not known to stand still.
            let now =
                moved.drop > 0
                ? "; now \(Words.number(moved.drop)) more drops, of packets that their protocol's rules forbid"
                : sample.isNarrowed ? "" : "; not now"
            remarks.append("netns \(counters.netnsID): since it was made \(past.joined(separator: ", "))\(now).")
            if remarks.count == 3 { break }
        }
        if let table = mainTable, table.buckets > 0, table.table.used > 4 * table.buckets {
            remarks.append(
                "The conntrack hash is small: \(Words.number(table.buckets)) buckets for "
                    + "\(Words.number(table.table.used)) "
                    + "entries.")
        }
        return remarks
    }
}
