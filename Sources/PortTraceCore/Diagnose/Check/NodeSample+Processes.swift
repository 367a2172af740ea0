extension NodeSample {
    /// Resources whose processes are worth to be looked for.
    private static let mostUnnamed = 8

    /// Resources of ports that are short, or about to be, and that are held by somebody whose process is not known: the worst
    /// first, a few.
    public var unnamed: [Resource] {
        let troubles = NodeView(self) { _ in "" }.troubles().filter { trouble in
            let (holders, used) = (trouble.occupancy.holders, trouble.occupancy.used)
            let named = holders.reduce(0) { $0 + ($1.owner.process == nil ? 0 : $1.count) }
            let isOfPorts = trouble.resource.kind == .ports || trouble.resource.kind == .bindPorts
            return isOfPorts && trouble.problem != .tupleConflict && trouble.isMeasured && named < used
        }
        var resources: [Resource] = []
        for trouble in troubles where !resources.contains(trouble.resource) { resources.append(trouble.resource) }
        return Array(resources.prefix(NodeSample.mostUnnamed))
    }

    /// Names the processes that hold sockets, in the later look at the ports and in those at what failed.
    public mutating func name(_ holders: SocketHolders) {
        for index in failures.indices { failures[index].occupancy = failures[index].occupancy.map(holders.naming) }
        guard let occupancies = ports?.occupancies else { return }
        ports?.occupancies = occupancies.map { holders.naming($0) }
    }
}
