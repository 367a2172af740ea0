extension TopScreen {
    private static let mostDestinations = 10
    private static let mostFailures = 20

    /// All that is known of the selected resource.
    func details(columns: Int) -> [TopLine] {
        guard let index = selectedIndex, selected == rows[index].occupancy.resource else {
            return [TopLine(""), TopLine("  It is not used any more.", .dim)]
        }
        let row = rows[index]
        var lines = [TopLine("")] + heading(row, columns: columns) + [gauge(row, columns: columns)]
        if row.failures > 0 { lines.append(failures(row)) }
        lines += [TopLine(""), TopLine("holders\(row.age)", .bold)] + holders(row)
        let destinations = destinations(row)
        if !destinations.isEmpty { lines += [TopLine(""), TopLine("destinations", .bold)] + destinations }
        let last = lastFailures(row)
        if !last.isEmpty { lines += [TopLine(""), TopLine("last failures", .bold)] + last }
        return lines
    }

    private func heading(_ row: TopRow, columns: Int) -> [TopLine] {
        let resource = row.occupancy.resource
        var line = TopLine()
        line.append(node.words(for: resource, columns: columns), .bold)
        guard resource.namespace.inode != 0 else { return [line] }
        var place = TopLine("in ")
        place.append(node.wholePlace(of: resource.namespace))
        return [line, place]
    }

    private func gauge(_ row: TopRow, columns: Int) -> TopLine {
        let occupancy = row.occupancy
        var line = TopLine()
        line.append(TerminalText(TopWords.bar(row, columns: min(columns / 3, 60))), row.style)
        var words = row.isMeasured ? "  \(occupancy.used)" : "  use not known"
        if let limit = occupancy.limit { words += row.isMeasured ? " of \(limit)" : ", limit \(limit)" }
        if let rate = row.rate { words += ", \(TopWords.rate(rate, signed: true))/s" }
        if let eta = row.eta, eta > 0 { words += ", full in \(DurationWords.text(eta))" }
        line.append(words)
        return line
    }

    private func failures(_ row: TopRow) -> TopLine {
        let rate = TopWords.rate(row.failuresPerSecond, signed: false)
        let causes = picture.tallies(of: row.occupancy.resource).map { "\($0.type.words) \($0.count)" }
        let words = "failures: \(row.failures)\(rate.isEmpty ? "" : ", \(rate)/s") (\(causes.joined(separator: ", ")))"
        return TopLine(words, row.isFailing ? .critical : .plain)
    }

    private func holders(_ row: TopRow) -> [TopLine] {
        var rest = row.occupancy.used
        var lines: [TopLine] = []
        for holder in row.occupancy.holders where holder.owner != .unknown {
            rest -= min(rest, holder.count)
            var line = share(holder.count, of: row.occupancy.used)
            line.append(node.words(for: holder.owner))
            if holder.isInferred { line.append(" (concluded)", .dim) }
            lines.append(line)
        }
        guard rest > 0 || lines.isEmpty else { return lines }
        var line = share(rest, of: row.occupancy.used)
        line.append("nobody known", .dim)
        return lines + [line]
    }

    private func share(_ count: UInt64, of whole: UInt64) -> TopLine {
        var line = TopLine("  ")
        line.append(TerminalText("\(count)").paddedAtStart(to: 9))
        line.append(TerminalText("\(TopWords.percent(count, of: whole))%").paddedAtStart(to: 6))
        line.append("  " as String)
        return line
    }

    /// Of a table its largest destinations, of a namespace's ports and TIME_WAIT the ones that ports are used for.
    private func destinations(_ row: TopRow) -> [TopLine] {
        let resource = row.occupancy.resource
        func line(_ count: UInt64, _ proto: UInt8, _ endpoint: Endpoint) -> TopLine {
            var line = share(count, of: row.occupancy.used)
            line.append(TransportProtocol.name(of: proto).map { "\($0) " } ?? "proto \(proto) ")
            let names = node.names.destinations.entry(for: endpoint.address, endpoint.port, at: nil).text
            line.append(TextLayout.endpoint(endpoint.address, endpoint.port, names: names))
            return line
        }
        switch resource.kind {
        case .conntrack:
            let known = picture.destinations[resource.namespace] ?? []
            return known.prefix(Self.mostDestinations).map { line($0.count, $0.proto, $0.endpoint) }
        case .bindPorts, .timeWait:
            return picture.ports(in: resource.namespace).prefix(Self.mostDestinations).compactMap { ports in
                ports.resource.destination.map { line(ports.used, ports.resource.proto, $0) }
            }
        case .ports, .snat: return []
        }
    }

    private func lastFailures(_ row: TopRow) -> [TopLine] {
        let tallies = picture.tallies(of: row.occupancy.resource)
        let last = tallies.flatMap { tally in tally.recent.map { (tally: tally, failure: $0) } }
            .sorted { $0.failure.time > $1.failure.time }
        return last.prefix(Self.mostFailures).map { tally, failure in
            var line = TopLine("  ")
            var time = TerminalText()
            if failure.time > 0 {
                time.append(ascii: {
                    TimestampCache.append(timeOfDay: picture.clock.utc(monotonic: failure.time), to: &$0)
                })
            }
            line.append(time.padded(to: 12))
            line.append(TerminalText("\(failure.count)").paddedAtStart(to: 7))
            line.append("  \(tally.type.words)  ")
            line.append(node.words(for: failure.victim))
            return line
        }
    }

    /// What the keys and columns mean, and what cannot be seen.
    var help: [TopLine] {
        var lines = Self.helpText.split(separator: "\n", omittingEmptySubsequences: false).map { TopLine("  " + $0) }
        let unseen = picture.facts.unseen
        if !unseen.isEmpty {
            lines += [TopLine(""), TopLine("  not seen:", .bold)]
            lines += unseen.map { TopLine("  " + $0) }
        }
        return lines
    }

    private static let helpText = """

        Resources of this node, those that fail first, then by how near they are to their limit.

        up, down, j, k, PgUp, PgDn, Home, End   move
        Enter     one resource: holders, destinations, last failures; Esc goes back
        s         sort by nearness, failures, rate, use
        p         pause, and go on
        /         only rows that hold a text: address, name, kind
        q         quit

        tcp A → B:P       source ports of A towards B, port P
        ports for bind()  ports for bind() to port 0, listen() and UDP's autobind
        conntrack table   entries against nf_conntrack_max
        NAT A → B:P       ports of the NAT address A towards B, port P
        TIME_WAIT         sockets against tcp_max_tw_buckets
        RATE/s            growth a second, over the last 32 looks
        ETA               time to the limit at this rate, while it rises
        ~ before a share: the holder was concluded, not seen
        fentry, kprobe, tracepoint: how failures are seen; none: they are not
        """
}
