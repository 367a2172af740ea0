/// Where `porttrace top` gets what it shows.
public protocol TopSource: AnyObject {
    var node: TopNode { get }

    /// Brings the node up to date: failures, and what has been found since the last call.
    ///
    /// - Parameter time: CLOCK_MONOTONIC, nanoseconds.
    func refresh(at time: UInt64)
}
