import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// `porttrace check`: watches for a moment, looks before and after at what holds the limits, and says what is wrong.
enum CheckCommand {
    /// Milliseconds that a reading of all conntrack tables may take.
    private static let patience: Int32 = 60_000
    /// The same after somebody has asked for the end.
    private static let lastPatience: Int32 = 2_000

    /// - Returns: The exit status.
    static func run(_ options: WatchOptions, format: CheckReport.Format) -> Int32 {
        do {
            let watch = try NodeWatch(options, format: nil, processes: true)
            defer { watch.close() }
            let sample = try sample(watch, drivers: DriverLimits.read())
            let status = report(
                sample, options, format, paths: watch.session.cgroupPaths, owners: watch.names,
                addresses: watch.stream.addresses, to: watch.output)
            return watch.output.exitStatus() == 0 ? status : 1
        } catch {
            // What the verdict says of it is for whoever reads it; what to do about it is for who has called.
            StandardError.write(line: error.description)
            var sample = NodeSample(duration: 0, facts: NodeFactsReader(hostRoot: options.hostRoot).read())
            sample.notVisible = [
                NotVisible(.ports, "ports", why: error.message),
                NotVisible(.conntrack, "conntrack", why: error.message),
            ]
            let output = StandardOutput(interrupts: Interrupts(reloads: false))
            let status = report(
                sample, options, format, paths: NoPaths(), owners: NoOwners(), addresses: NamedAddresses(), to: output)
            return output.exitStatus() == 0 ? status : 1
        }
    }

    private static func report(
        _ sample: NodeSample, _ options: WatchOptions, _ format: CheckReport.Format, paths: any CgroupPathSource,
        owners: any OwnerSource, addresses: NamedAddresses, to output: StandardOutput
    ) -> Int32 {
        let report = CheckReport(
            sample, format, node: Array((options.node ?? NodeName.current()).utf8), time: KernelClock.utcNow(),
            paths: paths, owners: owners, addresses: addresses)
        report.bytes.withUnsafeBytes { output.write($0) }
        return report.diagnosis.status.exitStatus
    }

    // MARK: The sample

    private static func sample(_ watch: NodeWatch, drivers: DriverLimits) throws(ProbeError) -> NodeSample {
        let census = watch.census
        let begun = KernelClock.monotonicNow()
        let readsTables = try look(watch)
        let (portsBefore, tablesBefore, countersBefore) = (census.ports, census.tables, census.counters)
        seekNames(of: tablesBefore, in: watch.names)
        try watch.run()
        var sample = NodeSample(
            duration: UInt64(KernelClock.monotonicNow() - begun),
            facts: NodeFactsReader(hostRoot: watch.options.hostRoot).read())
        sample.failures = watch.stream.tallies
        sample.portsBefore = portsBefore
        sample.tablesBefore = tablesBefore
        let readsTablesAgain = try look(watch)
        sample.ports = census.ports
        if readsTables, readsTablesAgain { sample.tables = census.tables }
        // Of a reading that has not ended the sizes are known all the same.
        sample.unreadTables =
            readsTables && readsTablesAgain
            ? census.unread : watch.session.conntrack?.usedTables()?.tables ?? census.unread
        sample.isConntrackIdle = watch.session.conntrack?.isIdle ?? false
        sample.counters = counters(watch, before: countersBefore)
        sample.facts.hostReservesPorts =
            census.ports?.namespaces.first { $0.isHost }.map { NodeFactsReader.reservesPorts(inNamespace: $0.id.inode) }
            ?? true
        sample.facts.driverLimits = DriverLimits.read().moved(since: drivers)
        sample.notVisible = gaps(watch) + census.notVisible
        if !readsTables || !readsTablesAgain {
            sample.notVisible.append(NotVisible(.conntrack, "the conntrack tables", why: "reading them takes too long"))
        }
        sample.name(watch.session.ports)
        sample.narrow(
            to: watch.options.filter, paths: watch.session.cgroupPaths, owners: watch.names,
            addresses: watch.stream.addresses)
        return sample
    }

    /// Has the pods looked for that entries belong to, so that their names are known at the end of the sample.
    private static func seekNames(of tables: [TableCensus], in names: NodeNames) {
        for table in tables {
            for holder in table.table.holders {
                if let namespace = holder.owner.namespace { _ = names.names(of: namespace) }
            }
        }
    }

    /// Looks at the ports, and has the tables and counters read.
    ///
    /// - Returns: Whether the latter has come to its end.
    private static func look(_ watch: NodeWatch) throws(ProbeError) -> Bool {
        try watch.census.lookAtPorts()
        _ = try watch.session.conntrack?.refresh()
        let limit = watch.isStopped ? lastPatience : patience
        return watch.census.ask(counters: true)
            && watch.census.awaitTables(milliseconds: limit) { limit == patience && watch.isStopped }
    }

    /// What the kernel's counters stand at, and how far they have moved: as the hooks have seen it, else from the first
    /// reading to the second.
    private static func counters(_ watch: NodeWatch, before: [NamespaceCounters]) -> [NamespaceCounters] {
        var all = watch.census.counters
        let isAudited = watch.session.conntrack != nil
        for index in all.indices where !isAudited {
            guard let earlier = before.first(where: { $0.netnsID == all[index].netnsID }) else { continue }
            all[index].moved = all[index].total.moved(since: earlier.total)
        }
        for movement in watch.movements {
            let known = all.firstIndex { $0.netnsID == movement.netnsID }
            let index = known ?? all.count
            if known == nil { all.append(NamespaceCounters(netnsID: movement.netnsID)) }
            all[index].moved.drop += movement.drop ?? 0
            all[index].moved.insertFailed += movement.insertFailed ?? 0
            all[index].moved.earlyDrop += movement.earlyDrop ?? 0
            all[index].moved.timeWaitOverflow += movement.twOverflow ?? 0
        }
        return all
    }

    /// What this kernel, or what porttrace may do here, leaves unseen.
    private static func gaps(_ watch: NodeWatch) -> [NotVisible] {
        var gaps = watch.session.states.compactMap { state -> NotVisible? in
            guard state.attachment == nil, !state.refusals.isEmpty else { return nil }
            return NotVisible(state.hook.part, state.hook.sight, why: state.reasons)
        }
        if watch.census.ports == nil {
            gaps.append(
                NotVisible(.ports, "who holds the ports", why: "the kernel refuses the programs that look at them"))
        }
        if watch.stream.undecided > 0 {
            gaps.append(
                NotVisible(
                    .other, "\(watch.stream.undecided) failures", why: "they lack a field that the options ask for"))
        }
        if let missed = try? watch.session.missedRuns().total, missed > 0 {
            gaps.append(
                NotVisible(.other, "\(missed) failures at most", why: "the kernel has skipped runs of programs"))
        }
        return gaps
    }
}

extension NodeSample {
    /// Looks who has those sockets open that hold what is short.
    fileprivate mutating func name(_ reader: PortCensusReader?) {
        let short = unnamed
        guard let reader, !short.isEmpty else { return }
        let what = "which process has the sockets open that hold ports"
        do throws(ProbeError) {
            guard let holders = try reader.processes(of: short) else {
                notVisible.append(NotVisible(.other, what, why: "the kernel has no iterator over open files"))
                return
            }
            name(holders)
            if !holders.isComplete {
                notVisible.append(NotVisible(.other, what, why: "not all were looked at: there are too many"))
            }
        } catch {
            notVisible.append(NotVisible(.other, what, why: error.message))
        }
    }
}

extension NamespaceCounters.Values {
    fileprivate func moved(since earlier: Self) -> Self {
        var moved = self
        moved.drop &-= min(drop, earlier.drop)
        moved.insertFailed &-= min(insertFailed, earlier.insertFailed)
        moved.earlyDrop &-= min(earlyDrop, earlier.earlyDrop)
        moved.timeWaitOverflow &-= min(timeWaitOverflow, earlier.timeWaitOverflow)
        return moved
    }
}

extension Hook {
    /// What cannot be told without it.
    fileprivate var part: NotVisible.Part {
        switch self {
        case .connect: .ports
        case .conntrack: .conntrack
        case .bind, .evictions, .timeWait, .states: .other
        }
    }

    /// What it sees.
    fileprivate var sight: String {
        switch self {
        case .connect: "failures of connect()"
        case .bind: "failures of bind(), listen() and UDP's autobind"
        case .conntrack: "packets that conntrack refuses"
        case .evictions: "whose conntrack entries are evicted"
        case .timeWait: "TIME_WAIT sockets as they are made"
        case .states: "TCP's changes of state"
        }
    }
}

/// Where nothing can be asked.
private struct NoPaths: CgroupPathSource {
    var hierarchyName: String { "" }

    func path(ofCgroup id: UInt64) -> [UInt8]? { nil }
}

private struct NoOwners: OwnerSource {
    var version: UInt64 { 0 }

    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? { nil }
    func names(of namespace: NamespaceIdentity) -> OwnerNames? { nil }
    func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)? { nil }
    func place(of address: IPAddress) -> AddressPlace { .unknown }
}
