extension TopNode {
    /// A resource in words, the longest that fit in so many columns: with the names of its destination, without them,
    /// without its source, and at last cut.
    func words(for resource: Resource, columns: Int) -> TerminalText {
        guard let destination = resource.destination else {
            var text = TerminalText("\(resource.kind.words) \(proto(resource))")
            if let source = resource.source {
                text.append(TextLayout.endpoint(source, 0))
                text.append(" " as String)
            }
            text.append(place(of: resource.namespace))
            return text.cut(to: columns)
        }
        let named = names.destinations.entry(for: destination.address, destination.port).text
        let start = TerminalText(resource.kind == .snat ? "NAT " : "" as String)
        let source = TextLayout.endpoint(resource.source, 0)
        func joined(_ source: TerminalText?, _ arrow: String, _ names: TerminalText?) -> TerminalText {
            var text = start
            text.append(proto(resource))
            if let source { text.append(source) }
            text.append(arrow)
            text.append(TextLayout.endpoint(destination.address, destination.port, names: names))
            return text
        }
        let variants = [
            joined(source, " → ", named), joined(source, "→", nil), joined(nil, "→", nil),
        ]
        return variants.first { $0.width <= columns } ?? variants[2].cut(to: columns)
    }

    private func proto(_ resource: Resource) -> String {
        if resource.proto == 0 { return "" }
        return TransportProtocol.name(of: resource.proto).map { "\($0) " } ?? "proto \(resource.proto) "
    }

    /// `host`, `netns 4026532345`, with its pod where it is one's.
    func place(of namespace: NamespaceIdentity) -> TerminalText {
        if namespace.inode == 0 { return TerminalText("") }
        if namespace.inode == facts.hostNamespace { return TerminalText("host") }
        var text = TerminalText("netns \(namespace.inode)")
        if let pod = names.owners.entry(for: OwnerKey(namespace: namespace)).names {
            text.append(" (" as String)
            text.append(pod)
            text.append(")" as String)
        }
        return text
    }

    /// A holder or victim in words.
    func words(for owner: HolderOwner) -> TerminalText {
        let process = owner.process
        return TextLayout.owner(names.owner(of: owner), comm: process?.comm, pid: process?.pid, isKernels: false)
    }

    /// Whether a row's words hold a text, in any case of ASCII's letters.
    func matches(_ row: TopRow, _ wanted: [UInt8]) -> Bool {
        if wanted.isEmpty { return true }
        if contains(words(for: row.occupancy.resource, columns: .max).bytes, wanted) { return true }
        if contains(Array("\(row.occupancy.resource.kind.words)".utf8), wanted) { return true }
        return row.occupancy.holders.contains { contains(words(for: $0.owner).bytes, wanted) }
    }

    private func contains(_ text: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard text.count >= wanted.count else { return false }
        return (0...text.count - wanted.count).contains { start in
            wanted.indices.allSatisfy { lowered(text[start + $0]) == lowered(wanted[$0]) }
        }
    }
}

private func lowered(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
