import CLinux
import Glibc

/// Standard error: messages for people, a line each.
enum StandardError {
    static let isTerminal = isatty(STDERR_FILENO) == 1

    static func write(line: String) {
        write("porttrace: \(line)\n")
    }

    static func write(_ text: String) {
        var text = text
        text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
