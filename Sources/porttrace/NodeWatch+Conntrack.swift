import CLinux
import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

// Conntrack's part of the stream: what its counters know beyond the packets, and who holds a NAT port.
extension NodeWatch {
    /// Reports what the kernel has counted and no hook has seen.
    func report(_ unclaimed: [UnclaimedFailures]) {
        let now = KernelClock.utcNow()
        let limit = session.conntrack?.limit
        for table in unclaimed {
            func count(_ type: EventType, _ cause: Cause, _ count: UInt64, limit: UInt32? = nil) {
                stream.counted(type, cause: cause, netnsID: table.netnsID, count: count, at: now, limit: limit)
            }
            count(.conntrackTableFull, .tableFull, table.tableFull, limit: limit)
            count(.conntrackEvicted, .tableFull, table.evicted, limit: limit)
            count(.conntrackInsertFailed, .race, table.race)
            count(.conntrackInsertFailed, .chainTooLong, table.chainTooLong)
            count(.conntrackInsertFailed, .dying, table.dying)
            count(.timeWaitOverflow, .timeWaitBuckets, table.timeWaitOverflow)
        }
    }

    /// Hands on what is known of NAT ports by now.
    func takeAnswers() {
        for (clash, evidence) in conntrack.takeAnswers() {
            stream.answer(clash, evidence, at: UInt64(KernelClock.monotonicNow()))
        }
        write()
    }

    /// Waits for the evidence that lines wait for, 2 s at most.
    func awaitAnswers() {
        let end = KernelClock.monotonicNow() + 2_000_000_000
        takeAnswers()
        while stream.awaitsAnswers, output.state == .open {
            let left = end - KernelClock.monotonicNow()
            var polled = pollfd(fd: conntrack.descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&polled, 1, Int32(left / 1_000_000) + 1) >= 0 else { return }
            takeAnswers()
        }
    }

    /// Whether a hook stands.
    private func stands(_ hook: Hook) -> Bool {
        session.states.contains { $0.hook == hook && $0.attachment != nil }
    }

    /// A hook's tier as the contract writes it.
    func tier(of state: HookState) -> String {
        let isIdle = state.hook == .conntrack && state.attachment != nil && session.conntrack?.isIdle ?? false
        return isIdle ? "idle" : state.text
    }

    var movements: [KernelMovement] {
        let readsTimeWait = stands(.timeWait)
        return (session.conntrack?.movements() ?? []).map {
            KernelMovement(
                netnsID: $0.netnsID, drop: $0.drop, insertFailed: $0.insertFailed, earlyDrop: $0.earlyDrop,
                twOverflow: readsTimeWait ? $0.timeWaitOverflow : nil)
        }
    }

    /// Names the drops in the kernel's counters that no event stands for.
    func nameOtherDrops() {
        for movement in session.conntrack?.movements() ?? [] where movement.notOurs > 0 {
            StandardError.write(
                line: "\(movement.notOurs) of conntrack's drops in netns \(movement.netnsID) are no full table: "
                    + "the protocol's own check or sequence numbers refused the packets")
        }
    }
}
