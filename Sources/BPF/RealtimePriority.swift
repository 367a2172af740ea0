internal import Glibc

/// SCHED_FIFO, where this process may have it, for the time of a map's system call.
///
/// While such a call works in the kernel, no kprobe and no tracepoint program runs on that CPU (bpf_prog_active,
/// kernel/bpf/syscall.c); on a preemptible kernel the thread may be switched away there, and the programs of everybody
/// else are skipped until it is back.
enum RealtimePriority {
    /// Leaves errno as the call has set it.
    static func during(_ call: () -> Int32) -> Int32 {
        set(SCHED_FIFO, priority: 1)
        let result = call()
        let code = errno
        set(SCHED_OTHER, priority: 0)
        errno = code
        return result
    }

    private static func set(_ policy: Int32, priority: Int32) {
        var parameters = sched_param(sched_priority: priority)
        sched_setscheduler(0, policy, &parameters)
    }
}
