internal import CLinux
internal import Glibc

/// The clocks behind event times: the kernel's records have CLOCK_MONOTONIC, events have UTC.
public enum KernelClock {
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, in nanoseconds. It changes when the clock is set or slewed, so that it
    /// wants measuring again now and then.
    public static func utcOffset() -> Int64 {
        // Of some tries the one least disturbed: the two monotonic readings around it lie closest together.
        var best: (width: Int64, offset: Int64) = (.max, 0)
        for _ in 0..<5 {
            let before = now(CLOCK_MONOTONIC)
            let utc = now(CLOCK_REALTIME)
            let after = now(CLOCK_MONOTONIC)
            if after - before < best.width { best = (after - before, utc - (before + (after - before) / 2)) }
        }
        return best.offset
    }

    /// Nanoseconds since the epoch, UTC.
    public static func utcNow() -> Int64 { now(CLOCK_REALTIME) }

    /// Nanoseconds of CLOCK_MONOTONIC.
    public static func monotonicNow() -> Int64 { now(CLOCK_MONOTONIC) }

    /// Nanoseconds of CPU time that the calling thread has used, the kernel's work for it included.
    public static func threadTime() -> Int64 { now(CLOCK_THREAD_CPUTIME_ID) }

    private static func now(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
