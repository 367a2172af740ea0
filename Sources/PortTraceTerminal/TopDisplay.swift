public import CLinux
import Glibc
public import PortTraceCore

/// `porttrace top` on a terminal: draws pictures of a node, and does what keys and signals ask for.
///
/// How to drive it, on one thread: make it before other threads begin; ``open(_:)``; poll ``polled``, then ``update()``, which
/// says whether to go on; ``show(_:)`` for each new picture; ``close()`` on every way out.
public final class TopDisplay {
    private let terminal: Terminal
    private let signals: TerminalSignals
    private var messages: HeldMessages?
    private var screen: TopScreen?
    /// Whether the terminal has not taken all of what was drawn, or was to be.
    private var isBehind = false

    /// Finds out what the terminal can do, and takes its signals; nothing is drawn yet.
    ///
    /// - Parameter stops: signals that ask for the end, beside SIGQUIT; they are taken from who else wants them.
    /// - Throws: ``TerminalError``.
    public init(wantsColour: Bool, stops: [Int32] = []) throws(TerminalError) {
        terminal = try Terminal(wantsColour: wantsColour)
        signals = TerminalSignals(stops: stops)
    }

    /// Takes the terminal and draws the first picture.
    ///
    /// - Throws: ``TerminalError/unable(_:)``.
    public func open(_ node: TopNode, _ picture: TopPicture) throws(TerminalError) {
        let messages = HeldMessages()
        self.messages = messages
        linux_remember_terminal(messages.descriptor, messages.original)
        try terminal.open()
        screen = TopScreen(node, picture, isUnicode: terminal.isUnicode)
        draw()
    }

    /// Gives the terminal back.
    public func close() {
        terminal.close()
        linux_forget_terminal()
        messages?.close()
        messages = nil
    }

    /// What to poll, with ``update()`` to follow.
    public var polled: [pollfd] {
        // From the background the kernel would stop this process for reading.
        let keys = terminal.isAway ? -1 : STDIN_FILENO
        let read = [keys, signals.descriptor, messages?.descriptor ?? -1].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        return read + [terminal.polled]
    }

    /// Draws a new picture.
    public func show(_ picture: TopPicture) {
        screen?.show(picture)
        draw()
    }

    /// Does what signals and keys ask for, as many as there are. To be called each second at least: a shell that puts this
    /// process into the foreground does not say so where it has not stood still.
    ///
    /// - Returns: Whether to go on.
    public func update() -> Bool {
        var isChanged = false
        // Those that ask for the end have lower numbers than SIGCONT, and come first.
        while let signal = signals.next() {
            switch signal {
            case SIGWINCH: terminal.fit()
            case SIGTSTP: stop()
            case SIGCONT: terminal.lose()
            default: return false
            }
            isChanged = true
        }
        if terminal.comeBack() { isChanged = true }
        if let message = messages?.take() {
            screen?.say(message)
            isChanged = true
        }
        while !terminal.isAway, let key = terminal.key() {
            guard screen?.press(key) ?? false else { return false }
            isChanged = true
        }
        if isChanged || isBehind { draw() }
        return !isGone
    }

    private func stop() {
        if !terminal.isAway { terminal.leave() }
        TerminalSignals.stop()
    }

    /// Whether the other end of the terminal has been closed: nobody looks any more, and no key will come.
    private var isGone: Bool {
        var polled = pollfd(fd: STDIN_FILENO, events: 0, revents: 0)
        return poll(&polled, 1, 0) == 1 && Int32(polled.revents) & (POLLHUP | POLLERR | POLLNVAL) != 0
    }

    private func draw() {
        isBehind = !terminal.send()
        guard !isBehind, var screen else { return }
        let frame = screen.frame(columns: terminal.columns, rows: terminal.rows)
        self.screen = screen
        terminal.draw(frame)
        isBehind = !terminal.send()
    }
}
