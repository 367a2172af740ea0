import CLinux
import Glibc
import PortTraceNode

/// Standard output, which a slow reader may block: while it waits, it listens to the interrupts, and after a stop it
/// waits for no more than 2 s in which nothing is taken.
///
/// Waiting holds up the whole stream, which is meant: what the kernel counts meanwhile stays in its maps.
final class StandardOutput {
    enum State: Equatable {
        case open
        /// The reader has closed its end.
        case closed
        /// Nothing was taken for 2 s after the stop.
        case stalled
        /// A write failed with this errno.
        case failed(Int32)
    }

    /// What became of it; what is written once it is not open any more is dropped, and counted.
    private(set) var state = State.open
    private(set) var droppedBytes = 0
    private(set) var droppedLines = 0

    private static let patience: Int64 = 2_000_000_000
    private let interrupts: Interrupts
    private let isFile: Bool

    init(interrupts: Interrupts) {
        self.interrupts = interrupts
        var status = stat()
        isFile = fstat(STDOUT_FILENO, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The exit status that it makes, said on standard error where it is not 0.
    func exitStatus() -> Int32 {
        let dropped = "\(droppedLines) lines (\(droppedBytes) bytes) are not written"
        switch state {
        case .open, .closed:
            return 0
        case .stalled:
            StandardError.write(
                line: "standard output took nothing for 2 s after the stop: \(dropped) (its reader must go on reading)")
        case .failed(let code):
            StandardError.write(
                line: "cannot write standard output: \(String(cString: strerror(code))): \(dropped) "
                    + (code == ENOSPC || code == EDQUOT ? "(make room, or write elsewhere)" : "(write elsewhere)"))
        }
        return 1
    }

    /// What to poll to learn that the reader has gone: it comes as an error, whatever is asked for.
    var polled: pollfd { pollfd(fd: STDOUT_FILENO, events: 0, revents: 0) }

    /// To be told of a poll's answer to ``polled``.
    func update(_ answer: pollfd) {
        if state == .open, Int32(answer.revents) & (POLLERR | POLLHUP | POLLNVAL) != 0 { state = .closed }
    }

    /// Writes all of it, or drops the rest where it cannot be written: see ``state``.
    func write(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        var lastProgress = KernelClock.monotonicNow()
        while !rest.isEmpty, state == .open {
            guard waitUntilWritable(since: lastProgress) else { break }
            let piece = isFile ? rest : rest.prefix(wholeLinesIn: Int(PIPE_BUF))
            let count = Glibc.write(STDOUT_FILENO, UnsafeRawBufferPointer(rebasing: piece).baseAddress, piece.count)
            if count >= 0 {
                rest = rest.dropFirst(count)
                lastProgress = KernelClock.monotonicNow()
            } else if errno == EPIPE {
                state = .closed
            } else if errno != EINTR && errno != EAGAIN {
                state = .failed(errno)
            }
        }
        if case .failed = state, isFile { takeBack(bytes[..<rest.startIndex]) }
        droppedBytes += rest.count
        droppedLines += rest.reduce(0) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
    }

    /// Takes the beginning of a line that could not be written whole off the end of the file, if it still is the end.
    private func takeBack(_ written: Slice<UnsafeRawBufferPointer>) {
        let count = written.reversed().prefix { $0 != UInt8(ascii: "\n") }.count
        var status = stat()
        let place = lseek(STDOUT_FILENO, 0, SEEK_CUR)
        guard count > 0, fstat(STDOUT_FILENO, &status) == 0, status.st_size == place else { return }
        if ftruncate(STDOUT_FILENO, place - count) == 0 { droppedBytes += count }
    }

    /// Waits until a write of PIPE_BUF bytes does not block; false where that is not to be expected any more.
    private func waitUntilWritable(since lastProgress: Int64) -> Bool {
        if isFile { return true }
        while true {
            let timeout = remainingPatience(since: lastProgress)
            if let timeout, timeout <= 0 {
                state = .stalled
                return false
            }
            var polled = [pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)] + interrupts.polled
            // Once stopped nothing else is waited for.
            let count = timeout == nil ? polled.count : 1
            guard poll(&polled, nfds_t(count), timeout.map { Int32($0 / 1_000_000) + 1 } ?? -1) >= 0 else { continue }
            if Int32(polled[0].revents) & POLLERR != 0 {
                state = .closed
                return false
            }
            if Int32(polled[0].revents) & POLLOUT != 0 { return true }
            interrupts.update()
        }
    }

    /// Nanoseconds left after a stop; nil without one.
    private func remainingPatience(since lastProgress: Int64) -> Int64? {
        interrupts.stoppedAt.map { max($0, lastProgress) + Self.patience - KernelClock.monotonicNow() }
    }
}

extension Slice<UnsafeRawBufferPointer> {
    /// As many whole lines as fit in `limit` bytes, or that many bytes of a longer one.
    fileprivate func prefix(wholeLinesIn limit: Int) -> SubSequence {
        guard count > limit else { return self }
        let piece = prefix(limit)
        guard let end = piece.lastIndex(of: UInt8(ascii: "\n")) else { return piece }
        return self[startIndex...end]
    }
}
