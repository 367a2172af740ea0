extension PortCensus {
    /// What is known of one resource; nil where nothing holds it, or so little that it was left out.
    ///
    /// - Parameters:
    ///   - netnsID: The namespace's inode.
    ///   - source: `ports`, as `destination`.
    public func occupancy(
        _ kind: Resource.Kind, netnsID: UInt32, proto: UInt8, source: IPAddress? = nil, destination: Endpoint? = nil
    ) -> Occupancy? {
        occupancies.first {
            $0.resource.kind == kind && $0.resource.namespace.inode == netnsID && $0.resource.proto == proto
                && $0.resource.source == source && $0.resource.destination == destination
        }
    }
}
