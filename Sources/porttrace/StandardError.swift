import CLinux
import Glibc

/// Standard error: messages for people, a line each.
enum StandardError {
    static let isTerminal = isatty(STDERR_FILENO) == 1

    /// Returns to the beginning of the terminal's line and clears it: a ``StatusLine`` may stand there.
    static let clearLine = "\r\u{1b}[K"

    static func write(line: String) {
        write("\(isTerminal ? clearLine : "")porttrace: \(line)\n")
    }

    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
