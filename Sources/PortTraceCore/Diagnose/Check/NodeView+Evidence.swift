/// Sentences with numbers: what is short, what shows it, and which limit it is not.
extension NodeView {
    private typealias Words = CheckWords

    func evidence(of trouble: Trouble) -> [String] {
        var sentences: [String] = []
        if let failures = failureSentence(trouble) { sentences.append(failures) }
        switch trouble.problem {
        case .portExhaustion: sentences += portEvidence(trouble)
        case .bindExhaustion: sentences += bindEvidence(trouble)
        case .tupleConflict: sentences += conflictEvidence(trouble)
        case .snatExhaustion: sentences += translationEvidence(trouble)
        case .conntrackFull: sentences += tableEvidence(trouble)
        case .conntrackInsertFailed: sentences += insertionEvidence(trouble)
        case .timeWaitOverflow: sentences += timeWaitEvidence(trouble)
        }
        if let now = trouble.usedNow {
            let used = Words.number(trouble.occupancy.used)
            sentences.append("The \(used) were in use at the fullest look; by the end \(Words.number(now)) were.")
        } else if trouble.problem != .tupleConflict, trouble.problem != .conntrackInsertFailed,
            let growth = growthSentence(trouble)
        {
            sentences.append(growth)
        }
        if trouble.resource.kind == .conntrack || trouble.resource.kind == .snat {
            for limit in sample.facts.driverLimits where limit.moved > 0 {
                sentences.append(
                    "The network's own limit is reached too: \(limit.device) counts \(limit.counter), "
                        + "\(Words.number(limit.moved)) more during the sample.")
            }
        }
        if let other = otherLimit(trouble) { sentences.append(other) }
        return sentences
    }

    private func failureSentence(_ trouble: Trouble) -> String? {
        guard trouble.isFailing else { return nil }
        let what: String
        switch trouble.problem {
        case .portExhaustion: what = "connects failed with EADDRNOTAVAIL: no free source port"
        case .bindExhaustion: what = "binds found no free port (EADDRINUSE, EAGAIN)"
        case .tupleConflict: what = "connects failed with EADDRNOTAVAIL: the bound port's 4-tuple is taken"
        case .snatExhaustion: what = "packets were dropped: no free port for their NAT mapping"
        case .conntrackFull:
            what =
                trouble.evictions == trouble.count
                ? "entries were evicted: the table makes room by killing flows"
                : trouble.evictions == 0
                    ? "packets were dropped: the table is full"
                    : "failures: \(Words.number(trouble.count - trouble.evictions)) packets dropped by a full table, "
                        + "\(Words.number(trouble.evictions)) entries evicted"
        case .conntrackInsertFailed: what = "entries could not be inserted, their packets were dropped"
        case .timeWaitOverflow: what = "connections closed without TIME_WAIT: no room for it"
        }
        let rate = Double(trouble.count) * 1e9 / Double(max(sample.duration, 1))
        let counted = trouble.isCounted ? "; known by the kernel's counter alone, without owners" : ""
        return "\(Words.number(trouble.count)) \(what); in \(Words.seconds(sample.duration)), "
            + "\(Words.rate(rate)) a second\(counted)."
    }

    private func growthSentence(_ trouble: Trouble) -> String? {
        guard trouble.isMeasured, let limit = trouble.occupancy.limit, let growth = growth(of: trouble.occupancy),
            growth.rate >= 1
        else { return nil }
        let rate = "It grows by \(Words.rate(growth.rate)) a second"
        guard let seconds = growth.secondsTo(limit) else { return rate + "." }
        return "\(rate): full in \(Words.time(seconds))."
    }

    // MARK: Ports

    private func portEvidence(_ trouble: Trouble) -> [String] {
        var sentences: [String] = []
        guard let namespace = namespace(trouble.resource) else { return [unmeasured(trouble)] }
        if !trouble.isMeasured { sentences.append(unmeasured(trouble)) }
        var range = "ip_local_port_range there is \(Words.range(namespace.portRange))"
        let lost = [
            namespace.reservedPorts > 0 ? "\(Words.number(namespace.reservedPorts)) reserved" : nil,
            namespace.boundPorts > 0 ? "\(Words.number(namespace.boundPorts)) taken by bind() or listen()" : nil,
        ].compactMap { $0 }
        if !lost.isEmpty { range += ", of which " + lost.joined(separator: " and ") }
        sentences.append(range + ".")
        if trouble.isMeasured, let timeWait = trouble.occupancy.timeWait {
            let open = trouble.occupancy.used - min(timeWait, trouble.occupancy.used)
            sentences.append(
                "Of the \(Words.number(trouble.occupancy.used)) in use, \(Words.number(timeWait)) are in TIME_WAIT "
                    + "(each for 60 s) and \(Words.number(open)) are open."
                    + (isInTimeWait(trouble.occupancy) ? " Only the side that closes first keeps TIME_WAIT." : ""))
        } else {
            sentences.append(
                "The namespace has \(Words.number(namespace.tcpSockets)) open TCP sockets and "
                    + "\(Words.number(namespace.timeWait)) in TIME_WAIT.")
        }
        return sentences
    }

    /// The range of the failing sockets where it is not their namespace's.
    func ownRange(_ trouble: Trouble) -> PortRange? { ownRange(trouble.portRange, in: trouble.resource) }

    func ownRange(_ searched: PortRange?, in resource: Resource) -> PortRange? {
        guard let searched, let namespace = namespace(resource), searched != namespace.portRange else { return nil }
        // One that was set meanwhile is nobody's own.
        if let earlier = namespaceBefore(resource), earlier.portRange != namespace.portRange { return nil }
        return searched
    }

    private func unmeasured(_ trouble: Trouble) -> String {
        if let own = ownRange(trouble) {
            return "The failing sockets have a range of their own, \(Words.range(own)) (IP_LOCAL_PORT_RANGE): "
                + "how far that is used was not counted."
        }
        return
            "The census has no figures for it: what held the ports was gone whenever it looked, or could not be seen."
    }

    private func bindEvidence(_ trouble: Trouble) -> [String] {
        guard let namespace = namespace(trouble.resource) else { return [unmeasured(trouble)] }
        var sentences: [String] = []
        if !trouble.isMeasured { sentences.append(unmeasured(trouble)) }
        sentences.append(
            "bind() to port 0 needs a port that no other socket has, whatever its destination; "
                + "ip_local_port_range there is \(Words.range(namespace.portRange)).")
        return sentences
    }

    private func conflictEvidence(_ trouble: Trouble) -> [String] {
        var sentences = [
            "The program bound its port before connect(); that very port is in use towards that destination."
        ]
        if trouble.isMeasured, let limit = trouble.occupancy.limit {
            sentences.append(
                "Not exhaustion of the ports that connect() chooses from: \(Words.number(trouble.occupancy.used)) of \(Words.number(limit)) ports are in use."
            )
        }
        return sentences
    }

    private func translationEvidence(_ trouble: Trouble) -> [String] {
        var sentences: [String] = []
        if !trouble.isMeasured {
            sentences.append("The table was looked at at another moment: it has no mappings of that address there.")
        } else if trouble.occupancy.limit == nil {
            sentences.append(
                "\(Words.number(trouble.occupancy.used)) mappings are in use; how many the range allows is not "
                    + "known. "
                    + "In a wide one the kernel gives up after some hundred attempts.")
        }
        sentences.append(
            "The limit is the NAT address's, for all pods behind it together: no pod's own counters show it, and "
                + "ip_local_port_range does not change it.")
        return sentences
    }

    private func timeWaitEvidence(_ trouble: Trouble) -> [String] {
        var sentences: [String] = []
        if trouble.noMemory > 0 {
            sentences.append(
                "\(Words.number(trouble.noMemory)) of them for want of memory, not of "
                    + "tcp_max_tw_buckets.")
        }
        if let counters = counters(trouble.resource), counters.total.timeWaitOverflow > 0 {
            // With a filter nothing is known of what the counter has counted beside.
            let now = counters.moved.timeWaitOverflow
            sentences.append(
                "TCPTimeWaitOverflow of that namespace: \(Words.number(counters.total.timeWaitOverflow)) since it was "
                    + "made\(now > 0 ? ", \(Words.number(now)) of them now" : "").")
        }
        sentences.append("Only the side that closes first keeps TIME_WAIT.")
        return sentences
    }

    /// One symptom, two cures: the limit that it is not.
    private func otherLimit(_ trouble: Trouble) -> String? {
        switch trouble.problem {
        case .portExhaustion, .bindExhaustion, .tupleConflict, .timeWaitOverflow:
            if isConntrackUnused {
                let other = sample.facts.otherDataPath.map { ": \($0) tracks connections itself" } ?? ""
                return "Not nf_conntrack, which is not in use here\(other)."
            }
            guard sample.unreadTables.isEmpty, let table = mainTable, let limit = table.table.limit,
                table.table.used * 100 < limit * 80
            else { return nil }
            return "Not conntrack: its table holds \(Words.number(table.table.used)) of \(Words.number(limit)) "
                + "entries."
        case .snatExhaustion, .conntrackFull, .conntrackInsertFailed:
            guard sample.ports != nil, !sample.failures.contains(where: { $0.resource.kind == .ports }) else {
                return nil
            }
            guard let fullest = fullest([.ports]), let limit = fullest.limit else {
                return "Not source ports: no connect() failed for want of one."
            }
            guard fullest.used * 100 < limit * 80 else { return nil }
            return "Not source ports: the fullest range is used by \(Words.percent(fullest.used, of: limit))."
        }
    }
}
