import CLinux
import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// The hooks at work on this node, and the loop that carries what they record into a stream of events until it is stopped.
///
/// One thread does it all. What waits in the kernel while it writes is bounded there: samples by the ring, counts by
/// the maps; here it is one batch of either.
final class NodeWatch {
    /// Formatted bytes after which the reading of samples pauses for writing.
    private static let batchBytes = 256 << 10

    /// Bytes of the ring buffer: 2,048 samples, 16,384 with --each or --states, where it has all of them to carry. They
    /// count twice in this process's resident memory: the ring is mapped twice in a row.
    private static let ringSize: UInt32 = 256 << 10
    private static let eachRingSize: UInt32 = 2 << 20

    /// Network namespaces whose conntrack tables have counted something.
    private static let tables: UInt32 = 1_024

    let options: WatchOptions
    private let interrupts: Interrupts
    let output: StandardOutput
    let session: ProbeSession
    let conntrack: ConntrackReader
    let names: NodeNames
    let census: NodeCensus
    private let namesList: NamesList?
    let stream: EventStream
    private let pressure: NodePressure?
    private let start = KernelClock.monotonicNow()
    /// Milliseconds after which the status is shown anew.
    private static let statusPeriod: Int32 = 1000
    private var reportedRing: UInt64 = 0
    private var reportedMissed: UInt64 = 0
    private var announcedIdle = false
    /// How often the user's names were read again.
    private(set) var reloads = 0

    /// - Parameters:
    ///   - format: of the events; nil: they are counted only.
    ///   - processes: whether it will be asked which processes hold sockets.
    /// - Throws: ``ProbeError`` where nothing can be attached, or a file of the options cannot be read.
    init(_ options: WatchOptions, format: OutputFormat?, processes: Bool = false) throws(ProbeError) {
        self.options = options
        namesList = options.names.map { NamesList(path: $0) }
        let addresses = try namesList?.read() ?? NamedAddresses()
        try Self.check(hostRoot: options.hostRoot)
        interrupts = Interrupts(reloads: namesList != nil)
        output = StandardOutput(interrupts: interrupts)
        session = try ProbeSession(
            ProbeSession.Configuration(
                mode: options.mode, btf: options.btf, each: options.each,
                ringSize: Environment.ringSize
                    ?? (options.each || options.states ? Self.eachRingSize : Self.ringSize),
                tables: Environment.conntrackTables ?? Self.tables,
                states: options.states && options.filter.allows(.tcpState) ? options.filter.stateFilter : nil,
                processes: processes, verbose: options.verbose))
        conntrack = ConntrackReader(hostRoot: options.hostRoot)
        names = NodeNames(hostRoot: options.hostRoot, conntrack: session.conntrack)
        census = NodeCensus(
            session: session, names: names, hostRoot: options.hostRoot,
            tellsProcesses: processes || options.filter.asksForProcesses)
        stream = EventStream(
            EventStream.Configuration(
                format: format, colour: Environment.allowsColour,
                node: Array((options.node ?? NodeName.current()).utf8), each: options.each, filter: options.filter),
            clock: Clock(utcOffsetNanoseconds: KernelClock.utcOffset()),
            sources: .init(cgroupPaths: session.cgroupPaths, owners: names, clashes: conntrack, census: census),
            addresses: addresses,
            report: { StandardError.write(line: $0.message) })
        pressure =
            format != nil && options.filter.allows(.pressure)
            ? NodePressure(census, stream, complains: options.verbose || options.filter.names(.pressure)) : nil
        stream.rejected = { [session] in session.reject(cgroup: $0) }
    }

    private static func check(hostRoot path: String) throws(ProbeError) {
        guard access("\(path)/.", X_OK) != 0 else { return }
        throw ProbeError(
            "--host-root \(path): \(String(cString: strerror(errno)))",
            hint: "it must be where the host's file system is seen")
    }

    /// Streams until a signal, the end of the duration or of the reader, or until the view wants no more; then detaches and
    /// reports what is left, unless the reader has gone. What cannot be written any more is counted: see ``StandardOutput``.
    func run(_ view: (any WatchView)? = nil) throws(ProbeError) {
        announce()
        try view?.begin()
        linux_release_code()
        interrupts.start(interval: options.interval, duration: options.duration)
        while interrupts.stoppedAt == nil, output.state == .open {
            guard wait(view) else { break }
            if try session.conntrack?.refresh() ?? false { stream.refreshDestinations() }
            pressure?.update()
            try readSamples()
            if interrupts.reloadIsDue {
                interrupts.reloadIsDue = false
                reload()
            }
            if interrupts.flushIsDue {
                interrupts.flushIsDue = false
                try flush()
                view?.flushed()
            }
        }
        view?.end()
        StandardError.clearStatus()
        guard output.state != .closed else { return }
        session.detach()
        try flush(last: true)
        if output.state == .open { awaitAnswers() }
        nameOtherDrops()
        stream.finish(facts, at: KernelClock.utcNow())
        write()
    }

    /// Whether somebody has asked for the end.
    var isStopped: Bool {
        interrupts.update()
        return interrupts.stoppedAt != nil
    }

    /// Detaches, and removes what the end of the process would leave.
    func close() {
        census.close()
        names.close()
        session.close()
    }

    /// Waits for samples, interrupts, answers, the view's keys or the end of the reader.
    ///
    /// - Returns: Whether the view wants more.
    private func wait(_ view: (any WatchView)?) -> Bool {
        var polled = [
            pollfd(fd: session.records.descriptor, events: Int16(POLLIN), revents: 0), output.polled,
        ]
        polled += interrupts.polled
        let answers = polled.count
        polled += [conntrack.descriptor, census.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        if let view { polled += view.polled }
        let watches = StandardError.isTerminal && options.showsStatus && stream.passed == 0
        if watches {
            let seconds = (KernelClock.monotonicNow() - start) / 1_000_000_000
            StandardError.show(status: "watching for \(seconds) s, no failure to show")
        }
        let isPaced = session.conntrack != nil || pressure != nil || view != nil
        let refresh = isPaced ? Int32(ConntrackAudit.freshness / 1_000_000) : -1
        guard poll(&polled, nfds_t(polled.count), watches ? Self.statusPeriod : refresh) > 0 else {
            return view?.update() ?? true
        }
        output.update(polled[1])
        interrupts.update()
        if polled[answers].revents != 0 { takeAnswers() }
        if polled[answers + 1].revents != 0, census.takeTables() { pressure?.hurry() }
        return view?.update() ?? true
    }

    /// Reads the user's names again; where that fails the old ones stay.
    private func reload() {
        do {
            if let namesList { stream.addresses = try namesList.readAgain() }
            reloads += 1
        } catch {
            StandardError.write(line: error.description)
        }
    }

    /// Says what stands.
    private func announce() {
        announcedIdle = session.conntrack?.isIdle ?? false
        let hooks = session.states.map { "\($0.hook.rawValue)=\(tier(of: $0))" }.joined(separator: " ")
        StandardError.write(line: "attached \(hooks)")
        guard options.verbose else { return }
        for state in session.states {
            guard let attachment = state.attachment else { continue }
            StandardError.write(line: "\(state.hook.rawValue) is attached by \(attachment.rawValue)")
        }
        StandardError.write(line: "names of containers come from: \(names.takeSources())")
    }

    /// Takes samples from the ring, one batch at most; what is left is there at the next call.
    ///
    /// - Returns: How many were taken, and whether these were all.
    @discardableResult
    private func readSamples() throws(ProbeError) -> (count: Int, all: Bool) {
        var count = 0
        let all = try session.records.readSamples { sample in
            stream.sample(sample)
            count += 1
            return stream.pendingByteCount < Self.batchBytes && count < session.records.sampleCapacity
        }
        write()
        return (count, all)
    }

    /// Reports what was counted since the last flush, and what was lost.
    private func flush(last: Bool = false) throws(ProbeError) {
        stream.clock.utcOffsetNanoseconds = KernelClock.utcOffset()
        if !last {
            let isNew = session.attachLate()
            if isNew || session.conntrack.map({ $0.isIdle != announcedIdle }) ?? false { announce() }
        }
        names.report(isVerbose: options.verbose)
        let unclaimed = last ? [] : try session.conntrack?.flush() ?? []
        var flushed: UInt32?
        if last || session.records.hasCounts || !unclaimed.isEmpty || stream.awaitsAnswers || stream.awaitsFlush {
            let generation = try session.records.switchGeneration()
            // All samples of that generation are in the ring by now; with --each more come all the time.
            var most = session.records.sampleCapacity
            while most > 0 {
                let read = try readSamples()
                most = read.all ? 0 : most - read.count
            }
            try session.records.drain(generation: generation) { keys, values, count in
                stream.rows(keys: keys, values: values, count: count, generation: generation)
                write()
            }
            flushed = generation
        }
        // At the end the drained maps have the last claims; nobody makes any after them.
        report(last ? try session.conntrack?.flush(last: true) ?? [] : unclaimed)
        let ring = session.records.losses.ring
        stream.lost(.ring, count: ring - reportedRing, at: KernelClock.utcNow())
        reportedRing = ring
        let missed = try session.missedRuns()
        // Somebody may have removed the kprobes, and their counts with them.
        let total = max(missed.total, reportedMissed)
        stream.lost(.missedRuns, count: total - reportedMissed, at: KernelClock.utcNow())
        if options.verbose, total > reportedMissed {
            StandardError.write(
                line: "runs skipped so far: \(missed.programs) of programs, \(missed.kprobes) of kprobes; "
                    + "\(missed.unremembered) without what came before, \(missed.unwatched) of conntrack unwatched")
        }
        reportedMissed = total
        if let flushed { stream.endFlush(generation: flushed) }
        write()
    }

    func write() {
        guard stream.pendingByteCount > 0 else { return }
        StandardError.clearStatus()
        stream.withPendingBytes { output.write($0) }
        stream.consume(stream.pendingByteCount)
    }

    /// Each hook and its tier, in the order to show.
    var hooks: [(hook: String, tier: String)] { session.states.map { ($0.hook.rawValue, tier(of: $0)) } }

    private var facts: SessionFacts {
        SessionFacts(
            hooks: hooks,
            attachedTypes: session.states.filter { $0.attachment != nil }.flatMap(\.hook.eventTypes),
            kernel: movements)
    }
}

extension Hook {
    /// The types of the events that it sees.
    fileprivate var eventTypes: [EventType] {
        switch self {
        case .connect: [.connectExhausted, .connectConflict]
        case .bind: [.bindExhausted]
        // Evictions by the kernel's counter, where their hook does not stand.
        case .conntrack: [.conntrackTableFull, .conntrackEvicted, .snatExhausted, .conntrackInsertFailed]
        case .evictions: [.conntrackEvicted]
        case .timeWait: [.timeWaitOverflow]
        case .states: [.tcpState]
        }
    }
}
