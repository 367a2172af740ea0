import Glibc

/// What the environment has to say.
enum Environment {
    /// Whether text may be bright: on a terminal, and nobody said NO_COLOR (https://no-color.org).
    static var allowsColour: Bool {
        isatty(STDOUT_FILENO) == 1 && (value("NO_COLOR") ?? "").isEmpty && value("TERM") != "dumb"
    }

    /// PORTTRACE_RING_BYTES, for tests of what a full ring does.
    static var ringSize: UInt32? {
        value("PORTTRACE_RING_BYTES").flatMap { UInt32($0) }
    }

    /// PORTTRACE_CONNTRACK_TABLES, for tests of what happens when there is no room.
    static var conntrackTables: UInt32? {
        value("PORTTRACE_CONNTRACK_TABLES").flatMap { UInt32($0) }
    }

    private static func value(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
