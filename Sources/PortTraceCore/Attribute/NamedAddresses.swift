/// What the user calls an address: a pod or a service.
public struct NamedAddress: Equatable, Sendable {
    public enum Kind: UInt8, Sendable {
        case pod, service
    }

    public var kind: Kind
    /// Any bytes, not empty, as is the name.
    public var namespace: [UInt8]
    public var name: [UInt8]

    public init(_ kind: Kind, namespace: [UInt8], name: [UInt8]) {
        self.kind = kind
        self.namespace = namespace
        self.name = name
    }
}

/// Names by address and port, to be looked up for each line.
public struct NamedAddresses: Sendable {
    /// Most that are kept: about 30 MB, and the text of the names.
    public static let most = 200_000

    private struct Key: Hashable {
        /// With its host bits cleared.
        var address: IPAddress
        /// Host byte order; 0: any.
        var port: UInt16
        /// Bits of the address that count.
        var length: UInt8
    }

    /// A name within `texts`: the namespace, and right after it the name.
    private struct Entry {
        var start: UInt32
        var namespaceCount: UInt8
        var nameCount: UInt8
        var kind: NamedAddress.Kind
    }

    private var positions: [Key: UInt32] = [:]
    private var entries: ContiguousArray<Entry> = []
    private var texts: [UInt8] = []
    // The lengths that keys have, longest first.
    private var ipv4Lengths: [UInt8] = []
    private var ipv6Lengths: [UInt8] = []

    /// Most that are kept here.
    let most: Int

    public init() {
        self.init(most: NamedAddresses.most)
    }

    init(most: Int) {
        self.most = most
    }

    public var count: Int { entries.count }

    /// Adds a name; of two for the same addresses and port the first stays.
    ///
    /// - Parameter port: in host byte order; 0: any.
    /// - Returns: false where there is no room for it.
    /// - Precondition: neither part of the name has more than 255 bytes.
    mutating func insert(_ name: NamedAddress, for network: DestinationPattern.Network, port: UInt16) -> Bool {
        let key = Key(address: network.address, port: port, length: UInt8(network.length))
        if positions[key] != nil { return true }
        guard count < most, let start = UInt32(exactly: texts.count) else { return false }
        texts += name.namespace
        texts += name.name
        positions[key] = UInt32(count)
        entries.append(
            Entry(
                start: start, namespaceCount: UInt8(name.namespace.count), nameCount: UInt8(name.name.count),
                kind: name.kind))
        switch key.address.family {
        case .ipv4: NamedAddresses.insert(key.length, into: &ipv4Lengths)
        case .ipv6: NamedAddresses.insert(key.length, into: &ipv6Lengths)
        }
        return true
    }

    /// The name of an address, as a destination: of the longest prefix, and of two with the same prefix the one with
    /// the port.
    ///
    /// Two look-ups for each length of prefix that there is.
    ///
    /// - Parameter port: in host byte order; 0: the protocol has none.
    public func name(of address: IPAddress, port: UInt16) -> NamedAddress? {
        for length in address.family == .ipv4 ? ipv4Lengths : ipv6Lengths {
            var key = Key(address: address.masked(to: Int(length)), port: port, length: length)
            if let position = positions[key] { return name(at: position) }
            key.port = 0
            if port != 0, let position = positions[key] { return name(at: position) }
        }
        return nil
    }

    /// The names of the pod that has an address; nil where there is none, or it is a service or one of a prefix.
    func pod(at address: IPAddress) -> OwnerNames? {
        let key = Key(address: address, port: 0, length: UInt8(address.family.bits))
        guard let position = positions[key] else { return nil }
        let name = name(at: position)
        guard name.kind == .pod else { return nil }
        var names = OwnerNames()
        (names.namespace, names.pod) = (name.namespace, name.name)
        return names
    }

    private func name(at position: UInt32) -> NamedAddress {
        let entry = entries[Int(position)]
        let middle = Int(entry.start) + Int(entry.namespaceCount)
        return NamedAddress(
            entry.kind, namespace: Array(texts[Int(entry.start)..<middle]),
            name: Array(texts[middle..<middle + Int(entry.nameCount)]))
    }

    private static func insert(_ length: UInt8, into lengths: inout [UInt8]) {
        if lengths.contains(length) { return }
        lengths.insert(length, at: lengths.firstIndex { $0 < length } ?? lengths.endIndex)
    }
}
