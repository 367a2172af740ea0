/// Adds up the entries of one conntrack table while they are read, and keeps none of them.
///
/// Whose an entry is: who has the address that it was opened from; where nobody here has, the pod to which its replies
/// belong, after destination NAT. Of the host's own, whose addresses name nobody, ``TableCensus/naming(_:)`` tells the owners
/// whose sockets are known.
///
/// Groups are found in the order of the dump, which is that of the hash table. So a destination that has a share worth
/// telling is met long before there is no room for further ones, and its figures are exact from then on.
public final class TableTally {
    /// Destinations, translations and addresses of strangers that are told apart: 1.5 MB each at most.
    private static let mostGroups = 16_384
    /// Shares of owners in translations.
    private static let mostShares = 32_768
    /// TCP's states, see `enum tcp_conntrack`; what is beyond is counted as the last.
    private static let states = 16

    private let addresses: NodeAddresses
    /// What knows the ports that source NAT chooses from; it outlives the dump.
    private let ranges: NATRanges?
    /// The table's own namespace, as an index of owners.
    private let home: Int
    private var census: TableCensus
    private var protocols = [UInt64](repeating: 0, count: 256)
    private var tcpStates = [UInt64](repeating: 0, count: TableTally.states)
    /// By index of ``NodeAddresses/Owner``, and `home` last.
    private var owners: [UInt64]
    private var destinations = GroupCounts(most: mostGroups)
    /// The host's connections of TCP, those that it has opened: from, to. `rest`: the port.
    private var connections = GroupCounts(most: mostGroups)
    private var translations = GroupCounts(most: mostGroups)
    /// `rest`: translation << 32 | owner.
    private var shares = GroupCounts(most: mostShares)
    /// Near pods, but nobody's. `rest`: 0 the opener's address, 1 where destination NAT leads.
    private var strangers = GroupCounts(most: mostGroups)

    /// - Parameters:
    ///   - census: what is known of the table before its entries.
    ///   - ranges: where translations' limits come from; nil: they have none.
    public init(_ census: TableCensus, addresses: NodeAddresses, ranges: NATRanges? = nil) {
        self.census = census
        self.addresses = addresses
        self.ranges = ranges
        let beyond = NodeAddresses.Owner.firstNamespace + addresses.namespaces.count
        home = census.isHost ? NodeAddresses.Owner.host : addresses.owner(census.namespace) ?? beyond
        owners = Array(repeating: 0, count: beyond + 1)
    }

    public func add(_ entry: borrowing TableEntry) {
        census.table.used += 1
        protocols[Int(entry.proto)] += 1
        let isReplied = entry.has(TableEntry.Status.seenReply)
        if entry.has(TableEntry.Status.assured) { census.assured += 1 }
        if !isReplied { census.unreplied += 1 }
        if entry.proto == TransportProtocol.tcp { tcpStates[min(Int(entry.tcpState), Self.states - 1)] += 1 }

        let opener = owner(of: entry.source)
        let isStrangers = attribute(entry, opener: opener)
        _ = destinations.update(
            GroupCounts.Key(entry.destination, rest: UInt64(entry.proto) << 16 | UInt64(entry.port))
        ) { group in
            group.count += 1
            if !isReplied { group.special += 1 }
        }
        guard entry.has(TableEntry.Status.translated) else { return }
        census.translated += 1
        if entry.has(TableEntry.Status.sourceNAT) { translate(entry, opener: opener) }
        if !isStrangers, entry.has(TableEntry.Status.destinationNAT), addresses.isNearPod(entry.replySource) {
            note(stranger: entry.replySource, rest: 1, timeout: entry.timeout)
        }
    }

    private func owner(of address: IPAddress) -> Int {
        address.isLoopback ? home : addresses.owner(of: address)
    }

    /// - Returns: Whether it was noted as a stranger's.
    private func attribute(_ entry: borrowing TableEntry, opener: Int) -> Bool {
        if opener != NodeAddresses.Owner.nobody {
            owners[opener] += 1
            if opener == NodeAddresses.Owner.host, entry.proto == TransportProtocol.tcp {
                let key = GroupCounts.Key(entry.source, entry.destination, rest: UInt64(entry.port))
                _ = connections.update(key) { $0.count += 1 }
            }
            return false
        }
        let server = owner(of: entry.replySource)
        owners[server] += 1
        if server != NodeAddresses.Owner.nobody {
            census.inbound += 1
        } else if addresses.isNearPod(entry.source) {
            note(stranger: entry.source, rest: 0, timeout: entry.timeout)
            return true
        }
        return false
    }

    private func note(stranger: IPAddress, rest: UInt64, timeout: UInt32) {
        _ = strangers.update(GroupCounts.Key(stranger, rest: rest)) { group in
            group.count += 1
            group.special = max(group.special, UInt64(timeout))
        }
    }

    private func translate(_ entry: borrowing TableEntry, opener: Int) {
        let rest = UInt64(entry.proto) << 16 | UInt64(entry.peerPort)
        let natPort = entry.natPort
        let key = GroupCounts.Key(entry.replyDestination, entry.replySource, rest: rest)
        let translation = translations.update(key) { group in
            group.count += 1
            group.low = min(group.low, natPort)
            group.high = max(group.high, natPort)
        }
        if let translation {
            _ = shares.update(GroupCounts.Key(rest: UInt64(translation) << 32 | UInt64(opener))) { $0.count += 1 }
        }
        if natPort != entry.sourcePort {
            let source = NATRanges.Source(
                namespace: census.namespace, address: entry.replyDestination, proto: entry.proto)
            ranges?.note(natPort, of: source)
        }
    }

    // MARK: What it comes to

    /// The census of all entries that were added.
    ///
    /// - Parameters:
    ///   - most: destinations and addresses of pods that are gone; translations and the host's connections four times as many.
    ///     The largest.
    ///   - isGone: whether an address that nobody here has, although it is near to pods', is one that only pods of this
    ///     node can have. Asked of few.
    public func census(most: Int = 64, isGone: (IPAddress) -> Bool = { _ in false }) -> TableCensus {
        var census = census
        for (proto, count) in protocols.enumerated() where count > 0 { census.protocols[UInt8(proto)] = count }
        for (state, count) in tcpStates.enumerated() where count > 0 { census.tcpStates[UInt8(state)] = count }
        census.own = owners[NodeAddresses.Owner.host]
        census.table.holders = holders(owners.enumerated().map { ($0.offset, $0.element) })
        for group in largest(connections, most * 4) {
            let resource = Resource(
                .ports, in: census.namespace, proto: TransportProtocol.tcp, source: group.key.first,
                destination: Endpoint(address: group.key.second, port: UInt16(truncatingIfNeeded: group.key.rest)))
            census.ownConnections[resource] = group.count
        }
        census.destinations = largest(destinations, most).map { group in
            TableCensus.Destination(
                proto: UInt8(group.key.rest >> 16),
                endpoint: Endpoint(address: group.key.first, port: UInt16(truncatingIfNeeded: group.key.rest)),
                count: group.count, unreplied: group.special)
        }
        // Of an incomplete list of addresses it cannot be said that nobody has one.
        if addresses.isComplete {
            census.stale = largest(strangers, most).filter { isGone($0.key.first) }.map { group in
                TableCensus.Stale(
                    address: group.key.first, isBackend: group.key.rest == 1, count: group.count,
                    longestTimeout: UInt32(truncatingIfNeeded: group.special))
            }
        }
        census.translations = occupancies(most * 4)
        return census
    }

    /// The largest groups, largest first.
    private func largest(_ counts: GroupCounts, _ most: Int) -> ArraySlice<GroupCounts.Group> {
        counts.groups.sorted { $0.count > $1.count }.prefix(most)
    }

    /// Largest first. Strangers' are left out.
    private func holders(_ counts: [(owner: Int, count: UInt64)]) -> [Holder] {
        var holders: [Holder] = []
        for (owner, count) in counts where count > 0 {
            if owner == NodeAddresses.Owner.host { holders.append(Holder(.host, count: count)) }
            let index = owner - NodeAddresses.Owner.firstNamespace
            guard index >= 0 else { continue }
            let namespace = index < addresses.namespaces.count ? addresses.namespaces[index] : census.namespace
            holders.append(Holder(HolderOwner(namespace: namespace), count: count))
        }
        return holders.sorted { $0.count > $1.count }
    }

    private func occupancies(_ most: Int) -> [Occupancy] {
        let chosen = translations.groups.enumerated().sorted { $0.element.count > $1.element.count }.prefix(most)
        var owned = [Int: [(owner: Int, count: UInt64)]](minimumCapacity: chosen.count)
        for (index, _) in chosen { owned[index] = [] }
        for share in shares.groups {
            owned[Int(share.key.rest >> 32)]?.append(
                (Int(UInt32(truncatingIfNeeded: share.key.rest)), share.count))
        }
        return chosen.map { index, group in
            let proto = UInt8(group.key.rest >> 16)
            let resource = Resource(
                .snat, in: census.namespace, proto: proto, source: group.key.first,
                destination: Endpoint(address: group.key.second, port: UInt16(truncatingIfNeeded: group.key.rest)))
            let limit = ranges?.ports(
                of: .init(namespace: census.namespace, address: group.key.first, proto: proto),
                around: group.low, group.high)
            var occupancy = Occupancy(resource, used: group.count, limit: limit, holders: holders(owned[index] ?? []))
            occupancy.time = census.time
            return occupancy
        }
    }
}
