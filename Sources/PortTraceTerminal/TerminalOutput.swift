import CLinux
import Glibc

/// What is drawn, on its way to the terminal, which may take it slowly or not at all: nothing here blocks, but for
/// ``finish()``, and that for a second in which nothing is taken.
final class TerminalOutput {
    private static let patience: Int32 = 1_000
    /// Milliseconds.
    private static let pause: Int32 = 10

    /// What ncurses writes to: a file in memory, which takes all at once.
    let drawing: Int32
    /// The terminal, opened again so as not to block: that of standard output is the shell's too. Where it may not be opened
    /// it is that one, and a write may block.
    private let descriptor: Int32
    /// What was drawn and is not written yet.
    private var rest: ArraySlice<UInt8> = []

    /// - Returns: nil where there is no memory for it.
    init?() {
        drawing = linux_memory_file("screen")
        guard drawing >= 0 else { return nil }
        let again = open("/proc/self/fd/\(STDOUT_FILENO)", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        descriptor = again >= 0 ? again : STDOUT_FILENO
    }

    /// Whether something is left, to be written when the terminal takes more.
    var waits: Bool { !rest.isEmpty }

    /// To be polled for writing while it ``waits``.
    var polled: pollfd { pollfd(fd: waits ? descriptor : -1, events: Int16(POLLOUT), revents: 0) }

    /// Writes what was drawn, as far as the terminal takes it now.
    func write() {
        take()
        while waits, isReady {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno != EINTR {
                // Without a reader there is nobody to write for.
                if errno != EAGAIN { rest = [] }
                return
            }
        }
    }

    /// Writes what was drawn, and waits until the terminal has taken all. What it does not take is dropped.
    ///
    /// - Returns: false: something was.
    @discardableResult
    func finish() -> Bool {
        var (waited, former) = (Int32(0), Int.max)
        while true {
            write()
            var queued: Int32 = 0
            linux_terminal_queue(STDOUT_FILENO, &queued)
            let left = rest.count + Int(queued)
            if left == 0 { return true }
            waited = left < former ? 0 : waited + Self.pause
            former = left
            guard waited < Self.patience else { break }
            poll(nil, 0, Self.pause)
        }
        rest = []
        tcflush(STDOUT_FILENO, TCOFLUSH)
        return false
    }

    private var isReady: Bool {
        var polled = polled
        return poll(&polled, 1, 0) == 1 && Int32(polled.revents) & POLLOUT != 0
    }

    /// Takes what ncurses has written since the last time.
    private func take() {
        let size = Int(lseek(drawing, 0, SEEK_CUR))
        guard size > 0 else { return }
        rest += [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = max(pread(drawing, buffer.baseAddress, size, 0), 0)
        }
        lseek(drawing, 0, SEEK_SET)
        ftruncate(drawing, 0)
    }
}
