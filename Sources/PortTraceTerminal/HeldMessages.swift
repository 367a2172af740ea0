import Glibc

/// What this process says on standard error while the screen is drawn, where both are the same terminal: it is held, and
/// written when the screen is gone. 64 KiB at most; what comes then is lost.
final class HeldMessages {
    private static let most = 64 << 10
    /// Where the messages can be read from; -1: nothing is held.
    let descriptor: Int32
    /// Where they go in the end; -1 likewise.
    let original: Int32
    private var held: [UInt8] = []

    init() {
        var ends: [Int32] = [-1, -1]
        guard isatty(STDERR_FILENO) == 1, pipe(&ends) == 0 else {
            (descriptor, original) = (-1, -1)
            return
        }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        original = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
        dup2(ends[1], STDERR_FILENO)
        Glibc.close(ends[1])
        descriptor = ends[0]
    }

    /// Takes what was said.
    ///
    /// - Returns: Its last line; nil: nothing was.
    func take() -> [UInt8]? {
        guard descriptor >= 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        var isNew = false
        while true {
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0 else { break }
            isNew = true
            held += bytes[..<min(count, max(Self.most - held.count, 0))]
        }
        guard isNew, let line = held.split(separator: UInt8(ascii: "\n")).last else { return nil }
        return Array(line)
    }

    /// Gives standard error back, and writes what was held.
    func close() {
        guard descriptor >= 0 else { return }
        _ = take()
        dup2(original, STDERR_FILENO)
        Glibc.close(original)
        Glibc.close(descriptor)
        _ = write(STDERR_FILENO, held, held.count)
        held = []
    }
}
