import CLinux
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// The warnings before a failure: has the census refreshed as the distance to the limits wants it, and hands to the stream
/// what has crossed a threshold.
final class NodePressure {
    /// Nanoseconds between two looks at least, near a limit and far from all: a little less than whole seconds, so that who
    /// comes each second looks each time.
    private static let period: UInt64 = 900_000_000
    private static let quietPeriod: UInt64 = 4_900_000_000
    /// Nanoseconds that a reading of tables is waited for.
    private static let longestWait: UInt64 = 5_000_000_000
    /// Thousandths of a limit from which on it is near.
    private static let near: UInt64 = 500

    private let census: NodeCensus
    private let stream: EventStream
    /// Whether what cannot be seen is said.
    private let complains: Bool
    private var pressure = Pressure()
    private var next: UInt64 = 0
    private var hasComplained = false
    private var hasSaidUntold = false
    /// Until when tables wait for who holds them; nil: they do not.
    private var waitEnd: UInt64?

    /// - Parameter complains: Whether what cannot be seen is said, once.
    init(_ census: NodeCensus, _ stream: EventStream, complains: Bool) {
        self.census = census
        self.stream = stream
        self.complains = complains
    }

    /// Looks where that is due; to be called each second at least. The stream of failures goes on whatever cannot be seen.
    func update() {
        let now = UInt64(KernelClock.monotonicNow())
        guard now >= next else { return }
        census.refresh(by: pressure)
        if let refusal = census.portsRefusal { complain(refusal) }
        let looks = census.takeLooks(at: now)
        let waits = waitsForHolders(at: now)
        for look in looks where !(waits && look.sort == .tables) {
            for crossing in pressure.look(look.occupancies, at: look.time, covers: look.covers) {
                stream.pressure(crossing, at: look.time)
            }
            sayUntold()
        }
        let isQuiet = pressure.urgency { _ in true } < Self.near
        next = now + (isQuiet ? Self.quietPeriod : Self.period)
        // The code that looks take is 1.5 MB; it comes back from the page cache for the next ones.
        if isQuiet || looks.contains(where: { $0.sort != .tables }) { linux_release_code() }
    }

    /// Lets the next ``update()`` take what has come, whenever that is.
    func hurry() { next = 0 }

    /// A crossing is told once: where a reading of a table that is near its limit is under way, that is waited for, so that
    /// the line has its holders, and passes the filters for them.
    private func waitsForHolders(at now: UInt64) -> Bool {
        guard census.isLearningHolders else {
            waitEnd = nil
            return false
        }
        let end = waitEnd ?? now + Self.longestWait
        waitEnd = end
        return now < end
    }

    /// A node with more resources near their limits than can be followed: said once.
    private func sayUntold() {
        guard pressure.untold > 0, !hasSaidUntold else { return }
        hasSaidUntold = true
        StandardError.write(
            line: "\(pressure.count) resources are near their limits: of \(pressure.untold) more no crossing is told")
    }

    private func complain(_ reason: String) {
        if complains, !hasComplained {
            StandardError.write(line: "no pressure of ports is told: \(reason)")
        }
        hasComplained = true
    }
}
