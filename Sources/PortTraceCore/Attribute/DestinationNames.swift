/// The names of destinations, ready to be written: of the pod of this node that has the address, else from the user's
/// list.
///
/// Bounded, and to be forgotten now and then: addresses move.
struct DestinationNames {
    struct Entry {
        /// `,"k8s":{…}`; empty in text mode, and where nothing is known.
        var json: [UInt8] = []
        /// `namespace/name`; nil in NDJSON mode, and where nothing is known.
        var text: TerminalText?
    }

    private struct Key: Hashable {
        var address: IPAddress
        var port: UInt16
    }

    private static let mostEntries = 4_096

    private let owners: any OwnerSource
    private let forTerminal: Bool
    var addresses: NamedAddresses { didSet { entries.removeAll() } }
    private var entries: [Key: Entry] = [:]

    init(owners: any OwnerSource, addresses: NamedAddresses, forTerminal: Bool) {
        self.owners = owners
        self.addresses = addresses
        self.forTerminal = forTerminal
    }

    mutating func forget() {
        if !entries.isEmpty { entries.removeAll(keepingCapacity: true) }
    }

    /// What is known of a destination.
    ///
    /// - Parameter port: in host byte order; 0: the protocol has none.
    mutating func entry(for address: IPAddress?, _ port: UInt16) -> Entry {
        guard let address else { return Entry() }
        let key = Key(address: address, port: port)
        if let known = entries[key] { return known }
        if entries.count == DestinationNames.mostEntries { entries.removeAll(keepingCapacity: true) }
        let entry = makeEntry(address, port)
        entries[key] = entry
        return entry
    }

    private func makeEntry(_ address: IPAddress, _ port: UInt16) -> Entry {
        guard let name = localPod(at: address) ?? addresses.name(of: address, port: port) else { return Entry() }
        var entry = Entry()
        if forTerminal {
            var text = TerminalText(escaping: name.namespace)
            text.append("/" as String)
            text.append(TerminalText(escaping: name.name))
            entry.text = text
        } else {
            var buffer = OutputBuffer()
            buffer.append(name)
            entry.json = buffer.withBytes { Array($0) }
        }
        return entry
    }

    private func localPod(at address: IPAddress) -> NamedAddress? {
        guard let names = owners.pod(at: address), !names.namespace.isEmpty, !names.pod.isEmpty
        else { return nil }
        return NamedAddress(.pod, namespace: names.namespace, name: names.pod)
    }
}
