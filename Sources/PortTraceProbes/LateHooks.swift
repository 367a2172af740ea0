internal import CLinux
internal import Glibc

/// The hooks of a module that is not loaded: a child process waits until it is told that the module has come, attaches
/// them, hands them over and ends. It is started while this process has one thread, and waits at no cost.
final class LateHooks {
    let module: String
    private let channel: HandoverChannel
    private let process: pid_t
    private var isUnderWay = false

    /// nil where no process can be started: the hooks then stay away.
    init?(module: String, loader: HookLoader, maps: [SharedMap: Int32]) {
        guard let ends = try? HandoverChannel.pair() else { return nil }
        let streaming = getpid()
        let process = linux_fork()
        guard process >= 0 else { return nil }
        if process == 0 {
            linux_die_with_parent()
            if getppid() != streaming { _exit(0) }
            close(STDOUT_FILENO)
            let child = ends.child
            if child.waitForWord() { loader.loadLate(module: module, maps: maps) { child.send($0) } }
            _exit(0)
        }
        (self.module, self.process, channel) = (module, process, ends.parent)
    }

    /// The hooks of the module as they were, with what went wrong.
    func failure(_ error: ProbeError, of states: [HookState]) -> Handover {
        let mine = states.filter { $0.hook.module == module }.map { state in
            var state = state
            state.refusals = state.refusals.map { .init(attachment: $0.attachment, reason: error.message) }
            return state
        }
        return Handover(states: mine, linkCounts: [], kprobeEvents: [], descriptors: [])
    }

    deinit {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }

    /// What was attached, once: nil before the module has come and the hooks are loaded. Does not wait.
    ///
    /// - Throws: ``ProbeError`` where the other process has ended without a word.
    func handover() throws(ProbeError) -> Handover? {
        if !isUnderWay, KernelModule.isPresent(module) {
            isUnderWay = true
            channel.sendWord()
        }
        return channel.isReadable ? try channel.receive() : nil
    }
}
