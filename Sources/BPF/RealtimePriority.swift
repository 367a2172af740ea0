internal import Glibc

/// SCHED_FIFO, where this process may have it (CAP_SYS_NICE), for the time of a map's system call.
///
/// While such a call works in the kernel, no kprobe and no tracepoint program runs on that CPU (bpf_prog_active,
/// kernel/bpf/syscall.c); on a preemptible kernel the thread may be switched away there, and the programs of everybody
/// else are skipped until it is back.
enum RealtimePriority {
    /// What the process was started with.
    private static let own: (policy: Int32, priority: Int32) = {
        var parameters = sched_param()
        sched_getparam(0, &parameters)
        return (sched_getscheduler(0), parameters.sched_priority)
    }()

    /// Leaves errno as the call has set it.
    static func during(_ call: () -> Int32) -> Int32 {
        if own.policy == SCHED_FIFO || own.policy == SCHED_RR { return call() }
        set(SCHED_FIFO, priority: 1)
        let result = call()
        let code = errno
        set(own.policy, priority: own.priority)
        errno = code
        return result
    }

    private static func set(_ policy: Int32, priority: Int32) {
        var parameters = sched_param(sched_priority: priority)
        sched_setscheduler(0, policy, &parameters)
    }
}
