internal import CPortTraceWire

/// Which processes have the open sockets of some resources: what a census of the sockets themselves does not tell.
public struct SocketHolders: Sendable {
    private struct Row {
        /// The sockets' cgroup, as the census has it; 0: not known.
        var cgroupID: UInt64
        var owner: HolderOwner
        var count: UInt64
    }

    private var rows: [Resource: [Row]] = [:]
    /// Whether all open files were looked at.
    public var isComplete: Bool

    public init(isComplete: Bool = true) {
        self.isComplete = isComplete
    }

    /// Takes a `pt_census_key` and its `pt_census_count`. What cannot be read is left out: its sockets stay their cgroup's.
    public mutating func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        guard let row = try? CensusRow(key: key, value: value), let resource = row.resource, row.owner.process != nil
        else { return }
        var owner = row.owner
        if row.ownCgroupID != 0 { owner.cgroupID = row.ownCgroupID }
        rows[resource, default: []].append(Row(cgroupID: row.owner.cgroupID, owner: owner, count: row.count))
    }

    /// The same with the processes named, of each cgroup the largest first. A cgroup's sum stays what it was: sockets that have
    /// come since it was taken are left out, those that have gone stay the cgroup's.
    public func naming(_ occupancy: Occupancy) -> Occupancy {
        guard let rows = rows[occupancy.resource] else { return occupancy }
        var named = occupancy
        var unowned = occupancy.used - min(occupancy.used, occupancy.holders.reduce(0) { $0 + $1.count })
        for row in rows.sorted(by: { ($0.count, $1.owner.process!.pid) > ($1.count, $0.owner.process!.pid) }) {
            var owner = row.owner
            let source = named.holders.firstIndex { $0.owner.process == nil && $0.owner.cgroupID == row.cgroupID }
            let count = min(row.count, source.map { named.holders[$0].count } ?? (row.cgroupID == 0 ? unowned : 0))
            guard count > 0 else { continue }
            if let source {
                named.holders[source].count -= count
                if owner.cgroupID == 0 { owner.namespace = named.holders[source].owner.namespace }
            } else {
                unowned -= count
            }
            if let known = named.holders.firstIndex(where: { $0.owner == owner }) {
                named.holders[known].count += count
            } else {
                named.holders.append(Holder(owner, count: count))
            }
        }
        named.holders.removeAll { $0.count == 0 }
        named.holders.sort(by: Holder.isLarger)
        return named
    }
}

extension Holder {
    /// The order of holders: the largest first, then by what tells them apart.
    static func isLarger(_ left: Holder, _ right: Holder) -> Bool {
        (left.count, right.owner.cgroupID, right.owner.process?.pid ?? .max)
            > (right.count, left.owner.cgroupID, left.owner.process?.pid ?? .max)
    }
}

extension Resource {
    /// `ports` or `bind_ports` as the programs are asked about it: a `pt_census_key` without an owner.
    public var censusKey: [UInt8] {
        var key = pt_census_key()
        key.netns_id = namespace.inode
        key.netns_mix = namespace.mix
        key.kind = UInt8((kind == .ports ? PT_CENSUS_PORTS : PT_CENSUS_BIND_PORTS).rawValue)
        key.proto = proto
        if kind == .ports, let source, let destination {
            key.family = source.family.rawValue
            key.dst_port_be16 = destination.port.bigEndian
            source.write(to: &key.src_addr)
            destination.address.write(to: &key.dst_addr)
        }
        return withUnsafeBytes(of: key) { Array($0) }
    }
}

extension IPAddress {
    /// As records have it: in network byte order, IPv4 in the first four bytes.
    fileprivate func write<Bytes>(to bytes: inout Bytes) {
        withUnsafeMutableBytes(of: &bytes) { bytes in
            switch family {
            case .ipv4: bytes.storeBytes(of: UInt32(truncatingIfNeeded: low).bigEndian, as: UInt32.self)
            case .ipv6:
                bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
        }
    }
}
