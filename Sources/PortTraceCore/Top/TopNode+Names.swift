extension TopNode {
    /// A resource in words, the longest that fit in so many columns: with the names of its destination, without them,
    /// without its source, and at last cut.
    func words(for resource: Resource, columns: Int) -> TerminalText {
        guard let destination = resource.destination else {
            func joined(_ kind: String) -> TerminalText {
                var text = TerminalText("\(kind) \(proto(resource))")
                text.append(place(of: resource.namespace))
                return text
            }
            let whole = joined("\(resource.kind.words)")
            if whole.width <= columns || resource.kind != .bindPorts { return whole.cut(to: columns) }
            return joined("bind()").cut(to: columns)
        }
        let named = names.destinations.entry(for: destination.address, destination.port, at: nil).text
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
        let variants = [joined(source, " → ", named), joined(source, "→", nil), joined(nil, "→ ", nil)]
        return variants.first { $0.width <= columns } ?? variants[2].cut(to: columns)
    }

    private func proto(_ resource: Resource) -> String {
        if resource.proto == 0 { return "" }
        return TransportProtocol.name(of: resource.proto).map { "\($0) " } ?? "proto \(resource.proto) "
    }

    /// `host`, the pod that a namespace is, or `netns 4026532345`.
    private func place(of namespace: NamespaceIdentity) -> TerminalText {
        if namespace.inode == 0 { return TerminalText("") }
        if namespace.inode == facts.hostNamespace { return TerminalText("host") }
        return names.owners.entry(for: OwnerKey(namespace: namespace)).names
            ?? TerminalText("netns \(namespace.inode)")
    }

    /// All that is known of a namespace: `netns 4026532345, shop/checkout-7d9f6c8b5-kx2vq`.
    func wholePlace(of namespace: NamespaceIdentity) -> TerminalText {
        var text = TerminalText("netns \(namespace.inode)")
        let place = place(of: namespace)
        if place.bytes != text.bytes {
            text.append(", " as String)
            text.append(place)
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
        if contains(wholePlace(of: row.occupancy.resource.namespace).bytes, wanted) { return true }
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
