extension TopScreen {
    /// Columns that there should be.
    static let leastColumns = 60

    /// The screen as it is now.
    public mutating func frame(columns: Int, rows height: Int) -> TopFrame {
        var frame = TopFrame(columns: columns, rows: height, isUnicode: isUnicode)
        guard columns >= Self.leastColumns, height >= 8 else {
            frame.append(wrapped: "too small: porttrace top needs \(Self.leastColumns) columns and 8 lines")
            return frame
        }
        appendHeader(to: &frame)
        switch view {
        case .list: appendList(to: &frame)
        case .details: append(scrolled: details(columns: columns), to: &frame)
        case .help: append(scrolled: help, to: &frame)
        }
        frame.fill(leaving: 1)
        frame.append(footer(columns: columns))
        return frame
    }

    // MARK: Header and footer

    private func appendHeader(to frame: inout TopFrame) {
        let facts = picture.facts
        let rate = TopWords.rate(picture.failuresPerSecond, signed: false)
        let count = picture.failures == 0 ? "no failures" : "failures \(picture.failures)"
        let time = DurationWords.text(picture.elapsed)
        let failures = TerminalText("\(count) in \(time)\(rate.isEmpty ? "" : ", \(rate)/s now")")
        var line = TopLine("porttrace top", .bold)
        let paused = isPaused ? "  PAUSED" : ""
        let room = frame.columns - line.width - paused.utf8.count - failures.width - 4
        if !facts.node.isEmpty, room > 0 {
            line.append("  " as String)
            line.append(TerminalText(escaping: facts.node).cut(to: min(room, 40)), .bold)
        }
        line.append(paused, .high)
        // What matters less is left out first.
        let kernel = TerminalText(escaping: facts.kernel)
        if line.width + kernel.width + failures.width + 4 <= frame.columns {
            line.append("  " as String)
            line.append(kernel)
        }
        line.append(atEnd: failures, of: frame.columns, rate.isEmpty ? .plain : .critical)
        frame.append(line)
        frame.append(TopLine(facts.tiers))

        // What has no room is left out, the last first.
        var parts: [String] = []
        if let conntrack = facts.conntrack {
            let fullest = picture.fullestTable
            let share = fullest?.limit.map { "\(TopWords.percent(fullest?.used ?? 0, of: $0))%" }
            // The limit is each table's, not that of all of them together.
            if let limit = conntrack.limit, let share, fullest?.used == conntrack.used {
                parts.append("conntrack \(conntrack.used)/\(limit) \(share)")
            } else {
                parts.append("conntrack \(conntrack.used)\(share.map { ", fullest \($0)" } ?? "")")
            }
        }
        if let sockets = facts.sockets {
            parts.append("tcp \(sockets.tcp)")
            parts.append("TIME_WAIT \(sockets.timeWait)")
            parts.append("udp \(sockets.udp)")
        }
        let unseen = facts.unseen.count
        if unseen > 0 { parts.append("not seen \(unseen) (?)") }
        line = TopLine()
        for part in parts where line.width + part.utf8.count + 2 <= frame.columns {
            line.append((line.width == 0 ? "" : "  ") + part)
        }
        frame.append(line)
    }

    private func footer(columns: Int) -> TopLine {
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
        let pause = columns < 66 ? "" : "p pause  "
        var line = TopLine("q quit  ? help  Enter details  \(pause)s sort: \(order.words)  / filter", .dim)
        if !wanted.isEmpty {
            line.append(": ", .dim)
            line.append(TerminalText(escaping: wanted), .bold)
        }
        return line
    }

    // MARK: The list

    private mutating func appendList(to frame: inout TopFrame) {
        let layout = TopColumns(columns: frame.columns)
        let room = frame.room - 2
        pageSize = max(room / layout.linesPerRow, 1)
        let index = selectedIndex ?? 0
        first = min(max(first, index - pageSize + 1, 0), index, max(rows.count - pageSize, 0))
        let last = min(first + pageSize, rows.count)
        frame.append(layout.head(rows.isEmpty ? "" : "\(first + 1)-\(last) of \(rows.count)"))
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
