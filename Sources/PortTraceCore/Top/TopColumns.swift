/// The columns of the list, for a width.
struct TopColumns {
    let columns: Int
    /// 1, or 2 where the holders have a line of their own.
    let linesPerRow: Int
    private let resource: Int
    private let bar: Int
    /// 0: left out.
    private let used: Int
    private let figure: Int
    private let eta: Int

    /// Columns of the mark before a row.
    private static let mark = 2
    private static let mostHolders = 3

    init(columns: Int) {
        self.columns = columns
        let isWide = columns >= 110
        bar = isWide ? 22 : 12
        used = isWide ? 17 : columns >= 76 ? 13 : 0
        figure = isWide ? 8 : 6
        eta = isWide ? 6 : 4
        let figures = bar + used + 2 * figure + eta + (used > 0 ? 5 : 4)
        linesPerRow = columns >= 160 ? 1 : 2
        resource = linesPerRow == 1 ? 56 : columns - Self.mark - figures
    }

    /// The columns' names.
    ///
    /// - Parameter place: which rows are shown: `1-7 of 8`.
    func head(_ place: String) -> TopLine {
        let row = line(
            mark: "  ", TerminalText("RESOURCE  \(place)"), bar: "USED", used: "", rate: "RATE/s", failures: "FAIL/s",
            eta: "ETA", .reverse, bar: .reverse, failures: .reverse)
        var line = TopLine()
        let end = linesPerRow == 1 ? "  HOLDERS" : ""
        line.append(TerminalText(row.string + end).padded(to: columns), .reverse)
        return line
    }

    /// Adds a row's lines.
    func append(_ row: TopRow, isSelected: Bool, node: TopNode, to frame: inout TopFrame) {
        let occupancy = row.occupancy
        let half = (used - 1) / 2
        var figures = row.isMeasured ? TopWords.count(occupancy.used, columns: half) : "?"
        if let limit = occupancy.limit { figures += "/" + TopWords.count(limit, columns: half) }
        var line = line(
            mark: isSelected ? "> " : "  ", node.words(for: occupancy.resource, columns: resource),
            bar: TopWords.bar(row, columns: bar), used: figures,
            rate: TopWords.rate(row.rate, signed: true),
            failures: TopWords.rate(row.failuresPerSecond, signed: false), eta: TopWords.eta(row),
            isSelected ? .reverse : .plain, bar: row.style, failures: row.isFailing ? .critical : .plain)
        let room = linesPerRow == 1 ? columns - line.width - 2 : columns - 4
        let holders = holders(of: row, node: node, columns: room)
        if linesPerRow == 1 {
            line.append("  " as String)
            line.append(holders)
            frame.append(line)
        } else {
            frame.append(line)
            var second = TopLine("    ")
            second.append(holders, .dim)
            frame.append(second)
        }
    }

    private func line(
        mark: String, _ name: TerminalText, bar: String, used: String, rate: String, failures: String, eta: String,
        _ style: TopStyle, bar barStyle: TopStyle, failures failureStyle: TopStyle
    ) -> TopLine {
        var line = TopLine(mark)
        line.append(name.cut(to: resource).padded(to: resource), style)
        line.append(TerminalText(bar), columns: self.bar, barStyle)
        if self.used > 0 { line.append(TerminalText(used), columns: self.used, right: true) }
        line.append(TerminalText(rate), columns: figure, right: true)
        line.append(TerminalText(failures), columns: figure, right: true, failureStyle)
        line.append(TerminalText(eta), columns: self.eta, right: true)
        return line
    }

    /// `shop/checkout-7d9f6c8b5-kx2vq/web 70%, … as of 40 s ago`: the three largest, each cut where there is not room for all.
    private func holders(of row: TopRow, node: TopNode, columns: Int) -> TerminalText {
        let known = row.occupancy.holders.filter { $0.owner != .unknown }.prefix(Self.mostHolders)
        guard !known.isEmpty else { return TerminalText(row.occupancy.used > 0 ? "nobody known" : "") }
        let parts = known.map { holder in
            let inferred = holder.isInferred ? "~" : ""
            let share = " \(inferred)\(TopWords.percent(holder.count, of: row.occupancy.used))%"
            return (name: node.words(for: holder.owner), share: share)
        }
        // Short names leave their room to the long ones.
        var left = columns - parts.reduce(0) { $0 + $1.share.utf8.count } - 2 * (parts.count - 1) - row.age.utf8.count
        var widths = [Int](repeating: 0, count: parts.count)
        for (done, index) in parts.indices.sorted(by: { parts[$0].name.width < parts[$1].name.width }).enumerated() {
            widths[index] = min(parts[index].name.width, left / (parts.count - done))
            left -= widths[index]
        }
        var text = TerminalText()
        for (part, width) in zip(parts, widths) {
            if text.width > 0 { text.append(", " as String) }
            text.append(part.name.cut(to: width))
            text.append(part.share)
        }
        text.append(row.age)
        return text
    }
}

extension TopLine {
    /// Its text, with spaces between the pieces.
    fileprivate var string: String {
        var text = TerminalText()
        for piece in pieces {
            text = text.padded(to: piece.column)
            text.append(piece.text)
        }
        return text.string
    }
}
