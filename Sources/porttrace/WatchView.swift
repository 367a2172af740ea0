import Glibc
import PortTraceProbes

/// What a command shows beside the stream's bytes while ``NodeWatch`` runs, on its thread.
protocol WatchView: AnyObject {
    /// The hooks stand, and that was said.
    func begin() throws(ProbeError)
    /// What to poll, with ``update()`` to follow.
    var polled: [pollfd] { get }
    /// Does what has come.
    ///
    /// - Returns: Whether to go on.
    func update() -> Bool
    /// An interval is over, its failures are counted.
    func flushed()
    /// The run is over, but for what was not counted yet.
    func end()
}
