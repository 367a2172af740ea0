extension TopScreen {
    /// Columns that there should be.
    static let leastColumns = 60

    /// The screen as it is now.
    public mutating func frame(columns: Int, rows height: Int) -> TopFrame {
        var frame = TopFrame(columns: columns, rows: height, isUnicode: isUnicode)
        guard columns >= Self.leastColumns, height >= 8 else {
            frame.append(TopLine("porttrace top needs \(Self.leastColumns) columns and 8 lines"))
            return frame
        }
        appendHeader(to: &frame)
        switch view {
        case .list: appendList(to: &frame)
        case .details: append(scrolled: details(columns: columns), to: &frame)
        case .help: append(scrolled: help, to: &frame)
        }
        frame.fill(leaving: 1)
        frame.append(footer)
        return frame
    }

    // MARK: Header and footer

    private func appendHeader(to frame: inout TopFrame) {
        let facts = picture.facts
        var line = TopLine("porttrace top", .bold)
        if !facts.node.isEmpty {
            line.append("  " as String)
            line.append(TerminalText(escaping: facts.node).cut(to: 40), .bold)
        }
        let rate = TopWords.rate(picture.failuresPerSecond, signed: false)
        let failures = TerminalText("failures \(picture.failures)\(rate.isEmpty ? "" : ", \(rate)/s")")
        if isPaused { line.append("  PAUSED", .high) }
        // What matters less is left out first.
        for part in [TerminalText(DurationWords.text(picture.elapsed)), TerminalText(escaping: facts.kernel)]
        where line.width + part.width + failures.width + 4 <= frame.columns {
            line.append("  " as String)
            line.append(part)
        }
        line.append(atEnd: failures, of: frame.columns, rate.isEmpty ? .plain : .critical)
        frame.append(line)

        line = TopLine()
        for (index, hook) in facts.hooks.enumerated() {
            line.append((index == 0 ? "" : " ") + "\(hook.hook)=\(hook.tier.prefix { $0 != " " })")
        }
        frame.append(line)

        var parts: [String] = []
        if let conntrack = facts.conntrack {
            let limit = conntrack.limit.map { "/\($0) \(TopWords.percent(conntrack.used, of: $0))%" } ?? ""
            parts.append("conntrack \(conntrack.used)\(limit)")
        }
        if let sockets = facts.sockets {
            parts.append("tcp \(sockets.tcp)")
            parts.append("udp \(sockets.udp)")
            parts.append("TIME_WAIT \(sockets.timeWait)")
        }
        if !facts.notVisible.isEmpty { parts.append("not seen \(facts.notVisible.count) (?)") }
        parts.append("resources \(picture.rows.count)")
        frame.append(TopLine(parts.joined(separator: "  ")))
    }

    private var footer: TopLine {
        if let typed {
            var line = TopLine("filter: ", .bold)
            line.append(TerminalText(escaping: typed))
            line.append("_" as String)
            line.append("   Enter keeps it, Esc removes it", .dim)
            return line
        }
        if message.width > 0 {
            var line = TopLine()
            line.append(message, .high)
            return line
        }
        guard view == .list else { return TopLine("Esc back  arrows scroll  p pause  q quit", .dim) }
        var line = TopLine("q quit  ? help  Enter details  p pause  s sort: \(order.words)  / filter", .dim)
        if !wanted.isEmpty {
            line.append(": ", .dim)
            line.append(TerminalText(escaping: wanted), .bold)
        }
        return line
    }

    // MARK: The list

    private mutating func appendList(to frame: inout TopFrame) {
        let layout = TopColumns(columns: frame.columns)
        frame.append(layout.head)
        let room = frame.room - 1
        pageSize = max(room / layout.linesPerRow, 1)
        let index = selectedIndex ?? 0
        first = min(max(first, index - pageSize + 1, 0), index, max(rows.count - pageSize, 0))
        if rows.isEmpty {
            let why = picture.rows.isEmpty ? "nothing is used so far" : "no row holds what the filter asks for"
            frame.append(TopLine("  \(why)", .dim))
        }
        for (offset, row) in rows.dropFirst(first).prefix(pageSize).enumerated() {
            layout.append(row, isSelected: first + offset == index, node: node, to: &frame)
        }
    }

    private mutating func append(scrolled lines: [TopLine], to frame: inout TopFrame) {
        let room = frame.room - 1
        pageSize = room
        first = min(first, max(lines.count - room, 0))
        for line in lines.dropFirst(first).prefix(room) { frame.append(line) }
    }
}
