/// Lays out text lines: aligned columns time, what, count, who, from, to, and what else helps.
struct TextLayout {
    private let colour: Bool
    // Columns grow with what they have shown, up to a bound, so that lines stay aligned.
    private var who = Column(width: 28, widest: 72)
    private var from = Column(width: 15, widest: 47)
    private var to = Column(width: 19, widest: 47)

    private static let whatWidth = 15
    private static let countWidth = 9

    init(colour: Bool) {
        self.colour = colour
    }

    /// Adds the line of a failure, or of several.
    ///
    /// - Parameters:
    ///   - time: UTC in nanoseconds; nil where it is not known.
    ///   - destination: the names of its destination, nil where they are not known.
    ///   - holders: who holds what it wanted, likewise.
    mutating func append(
        _ failure: Failure, count: UInt64, at time: Int64?, owner: OwnerCache.Entry, destination names: TerminalText?,
        holders: TerminalText?, to output: inout OutputBuffer
    ) {
        appendStart(failure.type, count: "\(count)", at: time, to: &output)
        let owner = TextLayout.owner(
            owner, comm: failure.process?.comm, pid: failure.process?.pid, isKernels: failure.isKernels)
        appendEnd(
            owner, TextLayout.endpoint(failure.source, failure.sourcePort),
            TextLayout.destination(of: failure, names: names), failure.remarks, holders: holders, to: &output)
    }

    /// Adds the line of a crossing.
    ///
    /// - Parameters:
    ///   - owner: the largest holder; nil: nobody is known.
    ///   - age: of the holders; empty: none worth telling.
    ///   - destination: the names of the resource's destination, nil where they are not known.
    mutating func append(
        _ crossing: PressureCrossing, at time: Int64, owner: OwnerCache.Entry?, age: String,
        destination names: TerminalText?, to output: inout OutputBuffer
    ) {
        let occupancy = crossing.occupancy
        let percent = occupancy.share.map { UInt64(min($0, 10) * 100) } ?? 0
        appendStart(.pressure, count: "\(percent)%", at: time, to: &output)
        let holder = occupancy.holders.first
        let process = holder?.owner.process
        let resource = occupancy.resource
        appendEnd(
            owner.map { TextLayout.owner($0, comm: process?.comm, pid: process?.pid, isKernels: false) }
                ?? TerminalText("-"),
            TextLayout.endpoint(resource.source, 0),
            resource.destination.map { TextLayout.endpoint($0.address, $0.port, names: names) } ?? TerminalText(),
            crossing.remarks, holders: holder == nil || age.isEmpty ? nil : TerminalText("held\(age)"), to: &output)
    }

    /// Adds the line that stands for crossings without lines of their own.
    func append(crossingsLeft count: Int, to output: inout OutputBuffer) {
        appendStart(.pressure, count: "+\(count)", at: nil, to: &output)
        output.append("  more crossings of 80 % or 95 %\n")
    }

    private mutating func appendEnd(
        _ owner: TerminalText, _ source: TerminalText, _ destination: TerminalText, _ remarks: TerminalText,
        holders: TerminalText?, to output: inout OutputBuffer
    ) {
        var line = TerminalText()
        line.append("  " as String)
        line.append(who.padded(owner))
        line.append("  " as String)
        line.append(from.padded(source))
        line.append(destination.width > 0 ? " → " : "   " as String)
        line.append(to.padded(destination))
        line.append("  " as String)
        line.append(remarks)
        if let holders {
            line.append("; " as String)
            line.append(holders)
        }
        output.append(line.withoutTrailingSpaces)
        output.append(byte: UInt8(ascii: "\n"))
    }

    /// Adds the line that stands for failures without lines of their own.
    func append(
        rest failures: UInt64, of type: EventType, destinations: Int, folded: UInt64, at time: Int64?,
        to output: inout OutputBuffer
    ) {
        appendStart(type, count: "+\(failures)", at: time, to: &output)
        output.append(" failures, ")
        output.append(decimal: UInt64(destinations))
        output.append(" more destinations")
        if folded > 0 {
            output.append("; not told apart, as the map was full: ")
            output.append(decimal: folded)
        }
        output.append(byte: UInt8(ascii: "\n"))
    }

    /// Adds a line for what was lost.
    func append(lost place: LossPlace, count: UInt64, at time: Int64, to output: inout OutputBuffer) {
        appendStart(.lost, count: "\(count)", at: time, to: &output)
        switch place {
        case .ring: output.append("  samples not delivered; their failures are in the counts")
        case .missedRuns: output.append("  runs skipped by the kernel: so many failures at most are not in the counts")
        }
        output.append(byte: UInt8(ascii: "\n"))
    }

    private func appendStart(
        _ type: EventType, count: String, at time: Int64?, to output: inout OutputBuffer
    ) {
        if let time {
            TimestampCache.append(timeOfDay: max(time, 0), to: &output)
        } else {
            output.append("            ")
        }
        output.append("  ")
        if colour { output.append("\u{1b}[1m") }
        output.append(type.words)
        if colour { output.append("\u{1b}[0m") }
        let gap = TextLayout.whatWidth - type.words.utf8CodeUnitCount + TextLayout.countWidth - count.utf8.count
        for _ in 0..<max(gap, 1) { output.append(byte: UInt8(ascii: " ")) }
        output.append(Array(count.utf8))
    }
}

extension TextLayout {
    /// `shop/checkout/app nginx[4711]`, without names `nginx[4711] /checkout/worker`; as much as is known, `-` for
    /// nothing.
    static func owner(_ owner: OwnerCache.Entry, comm: Comm?, pid: UInt32?, isKernels: Bool) -> TerminalText {
        var process = TerminalText()
        if let comm {
            comm.withBytes { process.append(escaping: $0) }
            if let pid { process.append("[\(pid)]") }
        } else if isKernels {
            process.append("(kernel)" as String)
        }
        let parts = owner.names.map { [$0, process] } ?? [process, owner.place ?? TerminalText()]
        var text = TerminalText()
        for part in parts where part.width > 0 {
            if text.width > 0 { text.append(" " as String) }
            text.append(part)
        }
        return text.width > 0 ? text : TerminalText("-")
    }

    /// Where to, `10.0.0.9:8080 (shop/payments)`; empty where it is not known.
    static func destination(of failure: Failure, names: TerminalText?) -> TerminalText {
        if failure.folding != .none { return TerminalText("(map full)") }
        return failure.destination == nil
            ? TerminalText() : endpoint(failure.destination, failure.destinationPort, names: names)
    }

    /// `10.0.0.9:8080`; `-` where it is not known.
    static func endpoint(_ address: IPAddress?, _ port: UInt16, names: TerminalText? = nil) -> TerminalText {
        var text = TerminalText()
        text.append(ascii: { buffer in
            if let address {
                buffer.append(address, port: port)
            } else if port != 0 {
                buffer.append(byte: UInt8(ascii: ":"))
                buffer.append(decimal: UInt64(port))
            } else {
                buffer.append(byte: UInt8(ascii: "-"))
            }
        })
        if let names {
            text.append(" (" as String)
            text.append(names)
            text.append(")" as String)
        }
        return text
    }
}

/// A column as wide as the widest that it has shown, within a bound.
private struct Column {
    var width: Int
    let widest: Int

    mutating func padded(_ text: TerminalText) -> TerminalText {
        width = max(width, min(text.width, widest))
        return text.padded(to: width)
    }
}
