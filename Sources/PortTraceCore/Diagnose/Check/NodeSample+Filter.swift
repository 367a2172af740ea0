extension NodeSample {
    /// Leaves out resources that have nothing to do with what the options ask for: none of whom they ask for holds a part of
    /// it, and no failure that has passed wanted it.
    public mutating func narrow(
        to filter: Filter, paths: any CgroupPathSource, owners: any OwnerSource, addresses: NamedAddresses
    ) {
        if filter.isEmpty { return }
        var cache = OwnerCache(paths: paths, owners: owners, addresses: addresses, filter: filter, forTerminal: true)
        let failures = failures
        func concerns(_ occupancy: Occupancy) -> Bool {
            if failures.contains(where: { NodeView.fits(occupancy.resource, $0.resource) }) { return true }
            return occupancy.resource.kind.failures.contains { filter.allows($0) }
                && occupancy.holders.contains { holder in
                    let owner = cache.entry(for: holder.owner.key).verdict
                    return filter.evaluate(holder, of: occupancy.resource, owner: owner) == .pass
                }
        }
        ports?.occupancies.removeAll { !concerns($0) }
        let known = Set((ports?.occupancies ?? []).map(\.resource.namespace))
        ports?.namespaces.removeAll { namespace in
            !known.contains(namespace.id)
                && !failures.contains { $0.resource.namespace.inode == namespace.id.inode }
        }
        for index in tables.indices { tables[index].translations.removeAll { !concerns($0) } }
        tables.removeAll { $0.translations.isEmpty && !concerns($0.table) }
        for index in tablesBefore.indices { tablesBefore[index].translations.removeAll { !concerns($0) } }
        tablesBefore.removeAll { $0.translations.isEmpty && !concerns($0.table) }
        // What they count beyond the failures that have passed may be anybody's.
        for index in counters.indices { counters[index].moved = NamespaceCounters.Values() }
    }
}

extension Resource.Kind {
    /// What happens for want of it.
    fileprivate var failures: [EventType] {
        switch self {
        case .ports: [.connectExhausted, .connectConflict]
        case .bindPorts: [.bindExhausted]
        case .conntrack: [.conntrackTableFull, .conntrackEvicted, .conntrackInsertFailed]
        case .snat: [.snatExhausted]
        case .timeWait: [.timeWaitOverflow]
        }
    }
}
