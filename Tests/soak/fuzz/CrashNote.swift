import Glibc

/// A line on standard error when the process crashes.
enum CrashNote {
    private nonisolated(unsafe) static let text = UnsafeMutablePointer<CChar>.allocate(capacity: 256)

    static func set(_ line: String) {
        let bytes = Array(line.utf8.prefix(255)).map { CChar(bitPattern: $0) } + [0]
        text.update(from: bytes, count: bytes.count)
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
            signal(number) { number in
                _ = write(STDERR_FILENO, CrashNote.text, strlen(CrashNote.text))
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}
