/// The names of destinations, ready to be written: of the pod of this node that has the address, else from the user's
/// list.
///
/// Addresses move from pod to pod: whose one is, is asked for each line. A line may be about failures that were before
/// that, so it bears a pod's name only where the address was that pod's then.
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

    /// Whose an address was when it was last asked, and since when it is known to be.
    private struct Place {
        var namespace: NamespaceIdentity
        /// CLOCK_MONOTONIC, nanoseconds.
        var since: UInt64
    }

    private static let mostEntries = 4_096
    /// Nanoseconds for which an address is taken to have been where it is first found: a failure is told sooner, and no
    /// pod is removed and another one made within them.
    private static let grace: UInt64 = 100_000_000

    private let owners: any OwnerSource
    private let forTerminal: Bool
    var addresses: NamedAddresses { didSet { listed.removeAll() } }
    /// From the user's list.
    private var listed: [Key: Entry] = [:]
    private var pods: [NamespaceIdentity: Entry] = [:]
    /// The owners' version when `pods` was filled.
    private var version: UInt64 = 0
    private var places: [IPAddress: Place] = [:]

    init(owners: any OwnerSource, addresses: NamedAddresses, forTerminal: Bool) {
        self.owners = owners
        self.addresses = addresses
        self.forTerminal = forTerminal
    }

    /// What is known of a destination.
    ///
    /// - Parameters:
    ///   - port: in host byte order; 0: the protocol has none.
    ///   - time: of the first failure of the line, CLOCK_MONOTONIC, nanoseconds, 0 where that is not known; nil: the
    ///     line is about now.
    mutating func entry(for address: IPAddress?, _ port: UInt16, at time: UInt64?) -> Entry {
        guard let address else { return Entry() }
        guard let place = place(of: address) else { return listedEntry(address, port) }
        if let time, time < place.since { return Entry() }
        let pod = podEntry(place.namespace)
        return pod.json.isEmpty && pod.text == nil ? listedEntry(address, port) : pod
    }

    /// Asks whose an address is, for lines about this moment that will come later.
    mutating func note(_ address: IPAddress?) {
        if let address { _ = place(of: address) }
    }

    /// Asks again whose the addresses are that pods had, so that it is known since when another one has it.
    mutating func refresh() {
        for address in places.keys { note(address) }
    }

    private mutating func place(of address: IPAddress) -> Place? {
        guard let (namespace, time) = owners.podNamespace(at: address) else { return nil }
        let known = places[address]
        if let known, known.namespace == namespace { return known }
        if places.count == Self.mostEntries { places.removeAll(keepingCapacity: true) }
        let place = Place(namespace: namespace, since: known == nil ? time - min(time, Self.grace) : time)
        places[address] = place
        return place
    }

    private mutating func podEntry(_ namespace: NamespaceIdentity) -> Entry {
        if version != owners.version || pods.count == Self.mostEntries { pods.removeAll(keepingCapacity: true) }
        if let known = pods[namespace] { return known }
        version = owners.version
        guard let names = owners.names(of: namespace), !names.namespace.isEmpty, !names.pod.isEmpty else {
            return Entry()
        }
        let entry = makeEntry(NamedAddress(.pod, namespace: names.namespace, name: names.pod))
        pods[namespace] = entry
        return entry
    }

    private mutating func listedEntry(_ address: IPAddress, _ port: UInt16) -> Entry {
        let key = Key(address: address, port: port)
        if let known = listed[key] { return known }
        if listed.count == Self.mostEntries { listed.removeAll(keepingCapacity: true) }
        let entry = addresses.name(of: address, port: port).map { makeEntry($0) } ?? Entry()
        listed[key] = entry
        return entry
    }

    private func makeEntry(_ name: NamedAddress) -> Entry {
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
}
