extension NodeSample {
    /// Leaves out resources that have nothing to do with what the options ask for: none of whom they ask for holds a part of
    /// it, and no failure that has passed wanted it.
    public mutating func narrow(
        to filter: Filter, paths: any CgroupPathSource, owners: any OwnerSource, addresses: NamedAddresses
    ) {
        if filter.isEmpty { return }
        isNarrowed = true
        var cache = OwnerCache(paths: paths, owners: owners, addresses: addresses, filter: filter, forTerminal: true)
        let failures = failures
        func concerns(_ occupancy: Occupancy, orMay: Bool = false) -> Bool {
            if failures.contains(where: { NodeView.fits(occupancy.resource, $0.resource) }) { return true }
            guard occupancy.resource.kind.types.contains(where: { filter.allows($0) }) else { return false }
            return (orMay && occupancy.holders.isEmpty)
                || occupancy.holders.contains { holder in
                    let owner = cache.entry(for: holder.owner.key).verdict
                    let verdict = filter.evaluate(holder, of: occupancy.resource, owner: owner)
                    return verdict == .pass || (orMay && verdict == .undecided)
                }
        }
        // Who holds entries is known by their addresses alone, and the node's own table is everybody's.
        func concerns(_ table: TableCensus) -> Bool {
            let isAskedFor = table.table.resource.kind.types.contains { filter.allows($0) }
            return (table.isHost && isAskedFor) || !table.translations.isEmpty || concerns(table.table, orMay: true)
        }
        ports?.occupancies.removeAll { !concerns($0) }
        let known = Set((ports?.occupancies ?? []).map(\.resource.namespace))
        ports?.namespaces.removeAll { namespace in
            !known.contains(namespace.id)
                && !failures.contains { $0.resource.namespace.inode == namespace.id.inode }
        }
        for index in tables.indices { tables[index].translations.removeAll { !concerns($0) } }
        tables.removeAll { !concerns($0) }
        unreadTables.removeAll {
            !concerns(Occupancy(Resource(.conntrack, in: $0.namespace), used: 0, limit: nil, holders: []), orMay: true)
        }
        for index in tablesBefore.indices { tablesBefore[index].translations.removeAll { !concerns($0) } }
        tablesBefore.removeAll { !concerns($0) }
        // What they count beyond the failures that have passed may be anybody's.
        for index in counters.indices { counters[index].moved = NamespaceCounters.Values() }
    }
}
