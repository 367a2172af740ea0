/// Makes a ``PortCensus`` of what the kernel has counted, in bounded memory: of many resources those of which the most is
/// used are kept, and these exactly.
///
/// First the namespaces, then where there are many keys ``estimate(key:value:)`` for each, then ``add(key:value:)`` for
/// each of all.
public struct PortCensusBuilder {
    /// `ports` that are kept.
    static let mostResources = 1_000
    /// Numbers that the shares are estimated in.
    private static let cells = 1 << 15
    /// A share of 1 in an estimate.
    private static let whole: UInt64 = 1 << 20

    private var namespaces: [NamespaceIdentity: CensusNamespaceRow] = [:]
    /// Cells of sums of shares: a resource's cell has at least its own.
    private var estimates: [UInt32] = []
    /// A resource is kept if its cell has as much.
    private var threshold: UInt32 = 0
    private var parts: [Resource: Parts] = [:]
    private var folded: UInt64 = 0
    private var unreadable = 0

    /// What is known of one resource so far.
    private struct Parts {
        var used: UInt64 = 0
        var timeWait: UInt64 = 0
        var halfClosed: UInt64 = 0
        /// In any order, an owner more than once.
        var rows: [(owner: HolderOwner, count: UInt64, isTimeWait: Bool)] = []
    }

    public init() {}

    /// Bytes of the records.
    public static var keySize: Int { CensusRow.keySize }
    public static var valueSize: Int { CensusRow.valueSize }
    public static var namespaceSize: Int { CensusNamespaceRow.size }
    /// Keys from which on they are to be estimated first.
    public static let fewKeys = mostResources

    /// Takes a `pt_census_net`.
    public mutating func addNamespace(_ bytes: UnsafeRawBufferPointer, isHost: Bool) {
        guard let row = try? CensusNamespaceRow(decoding: bytes, isHost: isHost) else {
            unreadable += 1
            return
        }
        namespaces[row.namespace.id] = row
    }

    /// Takes a row into account for the choice of what is kept.
    public mutating func estimate(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        guard let row = try? CensusRow(key: key, value: value), let resource = row.resource else { return }
        if estimates.isEmpty { estimates = [UInt32](repeating: 0, count: Self.cells) }
        let share = row.count * Self.whole / UInt64(max(usablePorts(in: row.namespace), 1))
        let cell = cell(of: resource)
        estimates[cell] = UInt32(min(UInt64(estimates[cell]) + share, UInt64(UInt32.max)))
    }

    /// Ends the estimating: makes the choice.
    public mutating func choose() {
        guard !estimates.isEmpty else { return }
        threshold = estimates.sorted(by: >)[Self.mostResources - 1]
    }

    /// Takes a `pt_census_key` and its `pt_census_count`.
    public mutating func add(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        guard let row = try? CensusRow(key: key, value: value) else {
            unreadable += 1
            return
        }
        guard let resource = row.resource else {
            folded += row.count
            return
        }
        if row.kind == .ports, !estimates.isEmpty, estimates[cell(of: resource)] < threshold { return }
        parts[resource, default: Parts()].used += row.count
        if row.isTimeWait { parts[resource]!.timeWait += row.count }
        if row.isHalfClosed { parts[resource]!.halfClosed += row.count }
        parts[resource]!.rows.append((row.owner, row.count, row.isTimeWait))
    }

    /// - Parameters:
    ///   - time: When it was begun.
    ///   - isOnePods: Whether a namespace that has these owners' sockets is one pod's alone.
    public consuming func census(
        time: UInt64, isOnePods: (NamespaceIdentity, Set<HolderOwner>) -> Bool = { _, _ in false }
    ) -> PortCensus {
        var owners: [NamespaceIdentity: Set<HolderOwner>] = [:]
        for (resource, parts) in parts {
            for row in parts.rows where row.owner != .unknown {
                owners[resource.namespace, default: []].insert(row.owner)
            }
        }
        let shared = TimeWaitShares(
            namespaces: namespaces.values.filter { !$0.namespace.isHost }.map(\.namespace.id), owners: owners, isOnePods
        )
        var census = PortCensus(time: time, namespaces: namespaces.values.map(\.namespace))
        for (resource, parts) in parts where resource.kind == .ports {
            guard let limit = namespaces[resource.namespace]?.namespace.usablePorts else { continue }
            var occupancy = Self.occupancy(
                resource, parts, used: parts.used, timeWait: parts.timeWait, UInt64(limit), shared)
            occupancy.halfClosed = parts.halfClosed
            census.occupancies.append(occupancy)
        }
        for row in namespaces.values { census.occupancies += occupancies(of: row, shared) }
        for index in census.occupancies.indices { census.occupancies[index].time = time }
        if folded > 0 {
            census.notVisible.append(
                NotVisible(
                    .other, "\(folded) TCP sockets towards destinations with few sockets each",
                    why: "too many to tell apart"))
        }
        if unreadable > 0 {
            census.notVisible.append(
                NotVisible(.ports, "\(unreadable) records of the census of ports", why: "unreadable"))
        }
        return census
    }

    /// What a namespace has once.
    private func occupancies(of row: CensusNamespaceRow, _ shared: TimeWaitShares) -> [Occupancy] {
        let namespace = row.namespace
        let range = UInt64(namespace.portRange.high) - UInt64(namespace.portRange.low) + 1
        let bindable = range - min(range, UInt64(namespace.reservedPorts))
        var found: [Occupancy] = []
        for (proto, used) in [(TransportProtocol.tcp, row.tcpPorts), (TransportProtocol.udp, row.udpPorts)]
        where used > 0 {
            let resource = Resource(.bindPorts, in: namespace.id, proto: proto)
            let parts = parts[resource] ?? Parts()
            found.append(Self.occupancy(resource, parts, used: UInt64(used), timeWait: nil, bindable, shared))
        }
        if namespace.timeWait > 0 {
            let resource = Resource(.timeWait, in: namespace.id, proto: TransportProtocol.tcp)
            let used = UInt64(namespace.timeWait)
            found.append(
                Self.occupancy(
                    resource, parts[resource] ?? Parts(), used: used, timeWait: used,
                    namespace.timeWaitLimit > 0 ? UInt64(namespace.timeWaitLimit) : nil, shared))
        }
        return found
    }

    private static func occupancy(
        _ resource: Resource, _ parts: Parts, used: UInt64, timeWait: UInt64?, _ limit: UInt64?,
        _ shared: TimeWaitShares
    ) -> Occupancy {
        var held: [HolderOwner: UInt64] = [:]
        var closed: [HolderOwner: UInt64] = [:]
        for row in parts.rows where row.owner != .unknown {
            held[row.owner, default: 0] += row.count
            if row.isTimeWait { closed[row.owner, default: 0] += row.count }
        }
        let known = closed.values.reduce(0, +)
        let holders = shared.holders(
            held, of: resource, closed: closed, unowned: (timeWait ?? known) - min(timeWait ?? known, known),
            rest: used - min(used, held.values.reduce(0, +)))
        return Occupancy(resource, used: used, limit: limit, holders: holders, timeWait: timeWait)
    }

    private func usablePorts(in namespace: NamespaceIdentity) -> UInt32 {
        namespaces[namespace]?.namespace.usablePorts ?? 1
    }

    private func cell(of resource: Resource) -> Int {
        Int(UInt(bitPattern: resource.hashValue) % UInt(Self.cells))
    }
}
