import CLinux
import Glibc
import PortTraceNode

/// What may end the stream or ask for a flush from outside: signals and timers, as descriptors to poll.
final class Interrupts {
    private let signals: Int32
    private let duration: Int32
    private let interval: Int32

    /// When the stop was asked for, CLOCK_MONOTONIC nanoseconds; nil while nobody has.
    private(set) var stoppedAt: Int64?

    /// Whether a flush is due: the interval has passed or SIGUSR1 came. Reset by who flushes.
    var flushIsDue = false

    /// Whether files are to be read again: SIGHUP came. Reset by who reads them.
    var reloadIsDue = false

    /// Whether SIGHUP asks for files to be read again; else it stops.
    private let reloads: Bool

    /// Takes SIGINT, SIGTERM, SIGUSR1 and SIGHUP from now on, so that one which comes early is not lost; a SIGHUP that
    /// would stop not where nohup has started this. The timers begin with ``start(interval:duration:)``.
    init(reloads: Bool) {
        self.reloads = reloads
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGINT, SIGTERM, SIGUSR1] { sigaddset(&set, signal) }
        // A blocked signal arrives although it is ignored.
        var hangup = sigaction()
        sigaction(SIGHUP, nil, &hangup)
        if reloads
            || unsafeBitCast(hangup.__sigaction_handler.sa_handler, to: Int.self)
                != unsafeBitCast(SIG_IGN, to: Int.self)
        {
            sigaddset(&set, SIGHUP)
        }
        sigprocmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
        signals = signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
        duration = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
        interval = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_CLOEXEC | TFD_NONBLOCK))
    }

    /// - Parameters:
    ///   - interval: Nanoseconds between flushes.
    ///   - duration: Nanoseconds until the stop; nil for none.
    func start(interval: Int64, duration: Int64?) {
        set(self.interval, first: interval, period: interval)
        if let duration { set(self.duration, first: duration, period: 0) }
    }

    /// What to poll, with ``update()`` to follow.
    var polled: [pollfd] {
        [signals, duration, interval].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    }

    /// Takes note of what has happened.
    func update() {
        var information = signalfd_siginfo()
        while read(signals, &information, MemoryLayout.size(ofValue: information)) > 0 {
            switch Int32(information.ssi_signo) {
            case SIGUSR1: flushIsDue = true
            case SIGHUP where reloads: reloadIsDue = true
            default: stop()
            }
        }
        if expired(duration) { stop() }
        if expired(interval) { flushIsDue = true }
    }

    private func stop() {
        if stoppedAt == nil { stoppedAt = KernelClock.monotonicNow() }
    }

    private func expired(_ timer: Int32) -> Bool {
        var times: UInt64 = 0
        return read(timer, &times, MemoryLayout.size(ofValue: times)) > 0
    }

    private func set(_ timer: Int32, first: Int64, period: Int64) {
        var time = itimerspec(it_interval: timespec(nanoseconds: period), it_value: timespec(nanoseconds: first))
        timerfd_settime(timer, 0, &time, nil)
    }
}

extension timespec {
    fileprivate init(nanoseconds: Int64) {
        self.init(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    }
}
