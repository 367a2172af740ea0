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
    /// Thousandths of a limit from which on it is near.
    private static let near: UInt64 = 500

    private let census: NodeCensus
    private let stream: EventStream
    private let isVerbose: Bool
    private var pressure = Pressure()
    private var next: UInt64 = 0
    private var hasComplained = false

    init(_ census: NodeCensus, _ stream: EventStream, verbose: Bool) {
        self.census = census
        self.stream = stream
        isVerbose = verbose
    }

    /// Looks where that is due; to be called each second at least. What cannot be seen is said once, and only where more is
    /// to be said: the stream of failures goes on without it.
    func update() {
        let now = UInt64(KernelClock.monotonicNow())
        guard now >= next else { return }
        do throws(ProbeError) {
            try census.refresh(by: pressure)
            if !census.seesPorts { complain("the kernel refuses the programs that look at them") }
        } catch {
            complain(error.message)
        }
        let looks = census.takeLooks(at: now)
        for look in looks {
            for crossing in pressure.look(look.occupancies, at: look.time, covers: look.covers) {
                stream.pressure(crossing, at: look.time)
            }
        }
        let isQuiet = pressure.urgency { _ in true } < Self.near
        next = now + (isQuiet ? Self.quietPeriod : Self.period)
        // The code that looks take is 1.5 MB; it comes back from the page cache for the next ones.
        if isQuiet || looks.contains(where: { $0.sort != .tables }) { linux_release_code() }
    }

    /// Lets the next ``update()`` take what has come, whenever that is.
    func hurry() { next = 0 }

    private func complain(_ reason: String) {
        if isVerbose, !hasComplained {
            StandardError.write(line: "no pressure of ports is told: \(reason)")
        }
        hasComplained = true
    }
}
