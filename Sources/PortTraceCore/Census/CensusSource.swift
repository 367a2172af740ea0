/// Where the stream learns who holds what a failure wanted. A call may take a look at the node, which is paced by what that
/// costs, and waits for nothing.
public protocol CensusSource {
    /// The resource as of the last look; nil: it is not known.
    ///
    /// - Parameter resource: of its namespace the inode alone may be known: the mix is 0 then.
    func occupancy(of resource: Resource) -> Occupancy?
}
