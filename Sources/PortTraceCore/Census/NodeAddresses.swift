/// Whose the addresses of a node's network namespaces were at one moment.
public struct NodeAddresses: Sendable {
    /// Addresses that are kept at most; further ones are nobody's, and ``isComplete`` says so.
    private static let most = 65_536

    /// Whether no address of this node is missing.
    public var isComplete: Bool
    /// Each with the index of its owner in `special`.
    private var addresses = GroupCounts(most: most)
    /// The networks of addresses that belong to pods, see ``isNearPod(_:)``.
    private var networks = GroupCounts(most: most)
    private(set) var namespaces: [NamespaceIdentity] = []
    private var indices: [NamespaceIdentity: Int] = [:]

    /// Who has an address, as an index: 0 nobody; 1 several, or it is not known; 2 the host; from 3 on `namespaces`.
    enum Owner {
        static let nobody = 0
        static let unsure = 1
        static let host = 2
        static let firstNamespace = 3
    }

    /// - Parameter isComplete: Whether those that will be inserted are all that there are.
    public init(isComplete: Bool) {
        self.isComplete = isComplete
    }

    /// Takes an address; `unknown`: several have it.
    public mutating func insert(_ address: IPAddress, _ place: AddressPlace) {
        let owner: Int
        switch place {
        case .unknown: owner = Owner.unsure
        case .host: owner = Owner.host
        case .namespace(let namespace): owner = index(of: namespace)
        }
        let hasRoom = addresses.update(GroupCounts.Key(address, rest: 0)) { group in
            // Another one's as well.
            group.special = UInt64(group.count == 0 || group.special == owner ? owner : Owner.unsure)
            group.count += 1
        }
        if hasRoom == nil { isComplete = false }
        if owner >= Owner.firstNamespace, !address.isLinkLocal {
            _ = networks.update(GroupCounts.Key(address.network, rest: 0)) { $0.count += 1 }
        }
    }

    private mutating func index(of namespace: NamespaceIdentity) -> Int {
        if let index = indices[namespace] { return index }
        namespaces.append(namespace)
        let index = Owner.firstNamespace + namespaces.count - 1
        indices[namespace] = index
        return index
    }

    /// The index of a namespace that has an address.
    func owner(_ namespace: NamespaceIdentity) -> Int? { indices[namespace] }

    /// Who has an address: see ``Owner``.
    func owner(of address: IPAddress) -> Int {
        guard let index = addresses.index(of: GroupCounts.Key(address, rest: 0)) else { return Owner.nobody }
        return Int(addresses.groups[index].special)
    }

    /// Whose an address is; unknown also where nobody has it.
    public func place(of address: IPAddress) -> AddressPlace {
        switch owner(of: address) {
        case Owner.nobody, Owner.unsure: .unknown
        case Owner.host: .host
        case let index: .namespace(namespaces[index - Owner.firstNamespace])
        }
    }

    /// Whether nobody has an address, for sure.
    public func isKnownToHaveNone(_ address: IPAddress) -> Bool {
        isComplete && owner(of: address) == Owner.nobody
    }

    /// Whether it is in the /24 (IPv6: the /64) of an address that some pod has, and nobody has it.
    func isNearPod(_ address: IPAddress) -> Bool {
        networks.index(of: GroupCounts.Key(address.network, rest: 0)) != nil && owner(of: address) == Owner.nobody
    }
}

extension IPAddress {
    /// Its /24, or of IPv6 its /64.
    fileprivate var network: IPAddress { masked(to: family == .ipv4 ? 24 : 64) }

    /// 169.254.0.0/16, fe80::/10: every link has them.
    fileprivate var isLinkLocal: Bool {
        switch family {
        case .ipv4: low >> 16 == 0xa9fe
        case .ipv6: high >> 54 == 0x3fa
        }
    }

    /// 127.0.0.0/8, ::1: the namespace's own.
    var isLoopback: Bool {
        switch family {
        case .ipv4: low >> 24 == 127
        case .ipv6: high == 0 && low == 1
        }
    }
}
