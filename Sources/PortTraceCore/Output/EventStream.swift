/// The stream from the kernel's records to the bytes of standard output: decode, attribute, filter, write.
///
/// How to drive it, on one thread: ``sample(_:)`` for each record of the ring as it comes. At a flush, after the
/// generation has been switched and the ring consumed, ``row(key:value:generation:)`` or
/// ``rows(keys:values:count:generation:)`` for each row of the retired maps – the rows of whole keys first, then
/// the folded ones, then the others – and ``endFlush(generation:)``. Meanwhile ``answer(_:_:at:)`` for each answer of
/// the ``NATClashReader``; while ``awaitsAnswers`` there must be a next flush, or a wait for them. At the end
/// ``finish(_:at:)``. Write ``withPendingBytes(_:)`` out whenever there are any.
///
/// No call waits or calls the system, but through its ``Sources``. NDJSON allocates nothing for an event.
/// Rows are given as fast as the reader takes them: what waits is held in memory, about 700 bytes a line.
public final class EventStream {
    /// The user's names for addresses; may be set again at any time.
    public var addresses: NamedAddresses {
        get { names.addresses }
        set { names.addresses = newValue }
    }

    /// Is told the cgroup of a change of state that the filter rejects by its owner: it will reject all of them.
    public var rejected: ((UInt64) -> Void)?

    /// Turns monotonic times into UTC; to be set again as the offset is measured again.
    public var clock: Clock

    let format: OutputFormat?
    let filter: Filter
    private let report: (Diagnostic) -> Void
    var output = OutputBuffer()
    var names: NameCaches
    private var clashes: HeldClashes
    private var accounts = RunAccounts()
    var lines: NDJSONLines
    var text: TextOutput
    var raised = RaisedPressure()
    private var tallied: FailureTallies

    /// A stream without events.
    ///
    /// - Parameter report: is called with what is to be said on standard error, at most a few times a run.
    public init(
        _ configuration: Configuration, clock: Clock, sources: Sources, addresses: NamedAddresses = NamedAddresses(),
        report: @escaping (Diagnostic) -> Void
    ) {
        self.clock = clock
        self.report = report
        format = configuration.format
        filter = configuration.filter
        names = NameCaches(
            sources, addresses: addresses, filter: configuration.filter, forTerminal: configuration.format == .text)
        clashes = HeldClashes(reader: sources.clashes)
        tallied = FailureTallies(census: sources.census)
        lines = NDJSONLines(node: configuration.node)
        text = TextOutput(each: configuration.each, colour: configuration.colour)
    }

    /// To be called each second: addresses of pods may have moved.
    public func refreshDestinations() {
        names.destinations.refresh()
    }

    // MARK: Records in

    /// Takes a record of the ring buffer: one failure, shown at once where it passes.
    ///
    /// - Parameter bytes: a `pt_sample` at any alignment, not kept.
    public func sample(_ bytes: UnsafeRawBufferPointer) {
        var sample: Sample
        do {
            sample = try Sample(decoding: bytes)
        } catch {
            return countUndecodable("sample", error)
        }
        names.nameByAddress(&sample.failure)
        if sample.failure.isClash {
            names.destinations.note(sample.failure.destination)
            return clash(sample)
        }
        // No row counts a change of state that the ring has.
        if sample.failure.type == .tcpState { return change(sample) }
        if format == .text, !text.takesSample(sample) { return names.destinations.note(sample.failure.destination) }
        let owner = names.owner(of: sample.failure)
        let verdict = filter.evaluate(sample.failure, as: sample.failure.type, owner: owner.verdict)
        if verdict == .undecided { warnOfUndecided(sample.failure.type) }

        let time = clock.utc(monotonic: sample.time)
        switch format {
        case .ndjson:
            count(1, of: sample.failure.type, verdict)
            guard verdict == .pass else { return }
            lines.append(
                sample.failure, count: 1, first: time, last: nil, owner: owner.json,
                destination: names.destination(of: sample.failure, at: sample.time).json,
                holders: names.holders(of: sample.failure, at: sample.time).json, to: &output)
        case nil:
            count(1, of: sample.failure.type, verdict)
            if verdict == .pass { tallied.add(sample.failure, count: 1, at: sample.time) }
        case .text:
            // One that does not pass is counted with its row.
            guard verdict == .pass else { return }
            count(1, of: sample.failure.type, verdict)
            text.append(sample, at: time, names: &names, to: &output)
        }
    }

    /// Takes a sample of a change of state.
    private func change(_ sample: Sample) {
        let owner = names.owner(of: sample.failure).verdict
        if owner == .reject { rejected?(sample.failure.cgroupID) }
        guard format == .text, text.hasRoom, filter.evaluate(sample.failure, as: .tcpState, owner: owner) == .pass
        else {
            return show(sample.failure, count: 1, first: sample.time, last: 0)
        }
        count(1, of: .tcpState, .pass)
        text.append(sample, at: clock.utc(monotonic: sample.time), names: &names, to: &output)
    }

    /// Takes a row of a retired count map.
    ///
    /// - Parameters:
    ///   - key: a `pt_key` at any alignment, not kept.
    ///   - value: its `pt_count`, likewise.
    ///   - generation: the generation that counted it.
    public func row(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, generation: UInt32) {
        let row: CountRow
        do {
            row = try CountRow(key: key, value: value)
        } catch {
            return countUndecodable("count", error)
        }
        var held = HeldClash(
            key: row.key, failure: row.failure, count: row.rest, first: row.restFirst, last: row.restLast,
            generation: generation)
        names.nameByAddress(&held.failure)
        if format == .text { held.count = text.remaining(of: row, generation: generation) }
        guard held.count > 0 else { return }
        if format == .text { held.first = text.time(of: row, generation: generation) }
        if row.failure.isClash {
            clash(held)
        } else {
            show(held.failure, count: held.count, first: held.first, last: held.last)
        }
    }

    /// Takes rows of a retired count map as a batch look-up gives them.
    ///
    /// - Parameters:
    ///   - keys: `count` of `pt_key`, one after the other.
    ///   - values: `count` of `pt_count`, likewise.
    /// - Precondition: both buffers hold as many.
    public func rows(
        keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer, count: Int, generation: UInt32
    ) {
        let (keySize, valueSize) = (CountRow.keySize, CountRow.valueSize)
        precondition(count * keySize <= keys.count && count * valueSize <= values.count)
        for index in 0..<count {
            row(
                key: UnsafeRawBufferPointer(rebasing: keys[index * keySize..<(index + 1) * keySize]),
                value: UnsafeRawBufferPointer(rebasing: values[index * valueSize..<(index + 1) * valueSize]),
                generation: generation)
        }
    }

    /// Takes what a counter of the kernel's own tells and no record does: failures without owner and tuple.
    ///
    /// - Parameters:
    ///   - netnsID: the inode of the namespace whose counter it is; 0 unknown.
    ///   - count: how many; nothing happens for 0.
    ///   - time: UTC in nanoseconds since 1970.
    ///   - limit: nf_conntrack_max, for a full table and evictions; nil unknown.
    public func counted(
        _ type: EventType, cause: Cause, netnsID: UInt32, count: UInt64, at time: Int64, limit: UInt32? = nil
    ) {
        guard count > 0 else { return }
        var failure = Failure(type: type, cause: cause)
        failure.probe = .counter
        failure.netnsID = netnsID
        failure.limit = limit ?? 0
        let verdict = filter.evaluate(failure, as: type, owner: names.owner(of: failure).verdict)
        self.count(count, of: type, verdict)
        guard verdict == .pass else { return }
        switch format {
        case .ndjson:
            lines.append(
                failure, count: count, first: max(time, 0), last: nil, owner: [], destination: [],
                holders: names.holders(of: failure, at: clock.monotonic(utc: time)).json, to: &output)
        case .text: text.collect(failure, count: count, time: clock.monotonic(utc: time), destination: nil)
        case nil: tallied.add(failure, count: count, at: clock.monotonic(utc: time))
        }
    }

    /// Ends a flush: all rows of the generation have been given. In text the interval's lines are written now.
    ///
    /// Clashes that have waited since a generation before are races.
    public func endFlush(generation: UInt32) {
        for (held, verdict) in clashes.endInterval(generation: generation) { show(held, verdict) }
        if format == .text {
            text.endInterval(generation: generation, clock: clock, names: &names, to: &output)
        }
        names.endInterval()
    }

    /// Takes what could not be delivered or seen since the last call.
    ///
    /// - Parameters:
    ///   - count: how much; nothing happens for 0.
    ///   - time: UTC in nanoseconds since 1970.
    public func lost(_ place: LossPlace, count: UInt64, at time: Int64) {
        guard count > 0 else { return }
        switch place {
        case .ring: accounts.lostInRing &+= count
        case .missedRuns: accounts.missedRuns &+= count
        }
        switch format {
        case .ndjson: lines.append(lost: place, count: count, at: time, to: &output)
        case .text: text.collect(lost: place, count: count, at: time)
        case nil: break
        }
    }

    /// Ends the run, after its last flush: the summary line, or the closing table.
    ///
    /// - Parameter time: UTC in nanoseconds since 1970.
    public func finish(_ facts: SessionFacts, at time: Int64) {
        if accounts.undecodable > 1 {
            report(
                Diagnostic(
                    severity: .error,
                    message: "\(accounts.undecodable) records of the kernel's could not be read in all"))
        }
        for (held, verdict) in clashes.removeAll() { show(held, verdict) }
        switch format {
        case .ndjson: lines.append(summary: accounts, of: facts, at: time, to: &output)
        case .text: text.finish(accounts, facts, clock: clock, names: &names, to: &output)
        case nil: break
        }
    }

    // MARK: Clashes of source NAT

    /// Takes an answer of the ``NATClashReader``: what has waited for it is shown now.
    ///
    /// - Parameters:
    ///   - evidence: nil: it could not be read.
    ///   - time: when the evidence had been read, or later; CLOCK_MONOTONIC, nanoseconds.
    public func answer(_ clash: NATClash, _ evidence: NATClashEvidence?, at time: UInt64) {
        guard let (verdict, lines) = clashes.answer(clash, evidence, at: time) else { return }
        for held in lines { show(held, verdict) }
    }

    /// Whether lines wait for an answer.
    public var awaitsAnswers: Bool { clashes.awaitsAnswers }

    /// Whether lines wait for the end of a flush.
    public var awaitsFlush: Bool { text.hasLines || !clashes.isEmpty }

    /// Takes a sample of a clash. In text it only asks: the row carries the count.
    private func clash(_ sample: Sample) {
        switch format {
        case .ndjson, nil:
            clash(
                HeldClash(
                    key: sample.key, failure: sample.failure, count: 1, first: sample.time, last: 0,
                    generation: sample.generation))
        case .text:
            text.insertTime(of: sample)
            guard mayPass(clash: sample.failure), let clash = sample.failure.natClash else { return }
            _ = clashes.verdict(on: clash, at: sample.time)
        }
    }

    private func clash(_ held: HeldClash) {
        guard mayPass(clash: held.failure) else { return }
        if let verdict = clashes.take(held) { show(held, verdict) }
    }

    /// Whether a clash may pass, or be undecided, as either of the types that it may become.
    private func mayPass(clash failure: Failure) -> Bool {
        let owner = names.owner(of: failure).verdict
        return filter.evaluate(failure, as: .snatExhausted, owner: owner) != .reject
            || filter.evaluate(failure, as: .conntrackInsertFailed, owner: owner) != .reject
    }

    private func show(_ held: HeldClash, _ verdict: NATClashVerdict) {
        var failure = held.failure
        failure.settle(verdict)
        show(failure, count: held.count, first: held.first, last: held.last)
    }

    // MARK: Lines

    /// Counts failures, and shows them where they pass.
    ///
    /// - Parameters:
    ///   - first: when the first of them happened, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    ///   - last: when the last of several happened, likewise.
    private func show(_ failure: Failure, count: UInt64, first: UInt64, last: UInt64) {
        let owner = names.owner(of: failure)
        let verdict = filter.evaluate(failure, as: failure.type, owner: owner.verdict)
        self.count(count, of: failure.type, verdict)
        guard verdict == .pass else { return }
        switch format {
        case .ndjson:
            lines.append(
                failure, count: count, first: clock.utc(monotonic: first),
                last: count > 1 ? clock.utc(monotonic: max(first, last)) : nil, owner: owner.json,
                destination: names.destination(of: failure, at: first).json,
                holders: names.holders(of: failure, at: max(first, last)).json, to: &output)
        case .text:
            text.collect(
                failure, count: count, time: first, destination: names.destination(of: failure, at: first).text)
        case nil: tallied.add(failure, count: count, at: max(first, last))
        }
    }

    // MARK: Bytes out

    /// Bytes that wait to be written.
    public var pendingByteCount: Int { output.count }

    /// Gives the bytes that wait to be written, whole lines but for what ``consume(_:)`` has cut; the buffer lives
    /// as long as the call.
    public func withPendingBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        output.withBytes(body)
    }

    /// Forgets the first bytes, which have been written. Constant time.
    ///
    /// - Precondition: no more than wait.
    public func consume(_ count: Int) {
        output.consume(count)
    }

    /// Records that could not be read so far.
    public var undecodable: UInt64 { accounts.undecodable }

    /// The failures that have passed so far, where nothing is shown: largest first.
    public var tallies: [FailureTally] { tallied.all }

    /// Failures that the options' filters could not decide on so far.
    public var undecided: UInt64 { accounts.undecided.sum }

    /// Failures that have passed so far.
    public var passed: UInt64 { accounts.totals.sum }

    // MARK: Accounts

    @inline(__always)
    func count(_ count: UInt64, of type: EventType, _ verdict: Verdict) {
        switch verdict {
        case .pass: accounts.totals[type] &+= count
        case .reject: break
        case .undecided:
            warnOfUndecided(type)
            accounts.undecided[type] &+= count
        }
    }

    private var hasWarnedOfUndecided = false

    private func warnOfUndecided(_ type: EventType) {
        if hasWarnedOfUndecided { return }
        hasWarnedOfUndecided = true
        report(
            Diagnostic(
                severity: .warning,
                message: """
                    a \(type.name) event lacks a field that a filter asks for and is left out; \
                    summary.detail.undecided counts such events
                    """))
    }

    private func countUndecodable(_ record: StaticString, _ error: DecodeError) {
        accounts.undecodable += 1
        guard accounts.undecodable == 1 else { return }
        report(
            Diagnostic(
                severity: .error,
                message: """
                    a \(record) record of the kernel's could not be read (\(error)): a bug, please report it; \
                    totals are not exact
                    """))
    }
}
