extension TableCensus {
    /// The same with the host's own entries given to those whose sockets they are, as far as a census of the ports tells: a
    /// connection that the host has opened has an entry in its table, and a socket from that address to that destination.
    ///
    /// What is left stays the host's: connections that it was addressed with, other protocols, sockets that have gone before
    /// their entries. Where there are more sockets than entries, as some have ended since they were counted, each owner has its
    /// share of the entries, which is concluded.
    public func naming(_ ports: PortCensus) -> TableCensus {
        guard let host = table.holders.firstIndex(where: { $0.owner == .host }) else { return self }
        var named: [HolderOwner: Holder] = [:]
        var left = table.holders[host].count
        for sockets in ports.occupancies {
            guard let entries = ownConnections[sockets.resource] else { continue }
            let held = sockets.holders.reduce(0) { $0 + $1.count }
            for holder in sockets.holders {
                let (high, low) = holder.count.multipliedFullWidth(by: entries)
                let count = min(left, held > entries ? held.dividingFullWidth((high, low)).quotient : holder.count)
                guard count > 0 else { continue }
                // An owner whose cgroup is known is that one, whichever of its processes has closed the connection.
                let cgroup = holder.owner.cgroupID
                let owner = cgroup == 0 ? holder.owner : HolderOwner(cgroupID: cgroup)
                named[owner, default: Holder(owner, count: 0)].count += count
                if holder.isInferred || held > entries { named[owner]!.isInferred = true }
                left -= count
            }
        }
        guard !named.isEmpty else { return self }
        var census = self
        census.table.holders[host].count = left
        census.table.holders.removeAll { $0.count == 0 }
        census.table.holders = (census.table.holders + named.values).sorted(by: Holder.isLarger)
        return census
    }
}
