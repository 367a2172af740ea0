import CLinux
import Glibc

/// Signals that are about the terminal, as a descriptor to poll.
final class TerminalSignals {
    let descriptor: Int32

    /// Takes them from now on: SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT and those that stop. Threads that are begun later leave
    /// them to this one.
    init(stops: [Int32]) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT] + stops { sigaddset(&set, signal) }
        sigprocmask(SIG_BLOCK, &set, nil)
        descriptor = signalfd(-1, &set, Int32(SFD_CLOEXEC | SFD_NONBLOCK))
    }

    /// The next one that has come; nil: none is left.
    func next() -> Int32? {
        var information = signalfd_siginfo()
        guard read(descriptor, &information, MemoryLayout.size(ofValue: information)) > 0 else { return nil }
        return Int32(information.ssi_signo)
    }

    /// Stops this process as SIGTSTP does, and returns when it goes on. Where nobody would let it go on (an orphaned
    /// process group) the kernel does not stop it.
    static func stop() {
        // ncurses has a handler of its own.
        signal(SIGTSTP, SIG_DFL)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTSTP)
        kill(getpid(), SIGTSTP)
        sigprocmask(SIG_UNBLOCK, &set, nil)
        sigprocmask(SIG_BLOCK, &set, nil)
    }
}
