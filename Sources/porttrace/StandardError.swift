import CLinux
import Glibc
import Synchronization

/// Standard error: messages for people, a line each; on a terminal also a status, which gives way to them.
enum StandardError {
    static let isTerminal = isatty(STDERR_FILENO) == 1

    /// Returns to the beginning of the terminal's line and clears it.
    private static let clearLine = "\r\u{1b}[K"
    private static let hasStatus = Atomic(false)

    static func write(line: String) {
        clearStatus()
        write("porttrace: \(line)\n")
    }

    /// Shows a line that the next message replaces; for a terminal.
    static func show(status: String) {
        hasStatus.store(true, ordering: .relaxed)
        write("\(clearLine)\(status)")
    }

    static func clearStatus() {
        if hasStatus.exchange(false, ordering: .relaxed) { write(clearLine) }
    }

    private static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
