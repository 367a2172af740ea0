/// Where the stream learns who holds what a failure wanted. A call may take a look at the node's sockets, some milliseconds and
/// about 1 µs for each; how often is paced by what that costs. It waits for no other thread.
public protocol CensusSource {
    /// The resource as of the last look; nil: it is not known.
    ///
    /// - Parameter resource: of its namespace the inode alone may be known: the mix is 0 then.
    func occupancy(of resource: Resource) -> Occupancy?
}
