import PortTraceCore
import PortTraceProbes

/// What the command line asks for.
enum Invocation {
    case help(Command?)
    case version
    case trace(WatchOptions, OutputFormat)
    case check(WatchOptions, CheckReport.Format)
    case top(WatchOptions, OutputFormat)
}

/// The commands that there are.
enum Command: String {
    case trace
    case check
    case top
}

/// What to watch, and how: the options that all commands share, and some of `trace` alone.
struct WatchOptions {
    /// Nanoseconds; nil: until a signal.
    var duration: Int64?
    /// Nanoseconds between flushes.
    var interval: Int64 = 1_000_000_000
    var filter = Filter()
    /// Where the host's filesystem is seen; begins with `/`.
    var hostRoot = "/"
    /// A file with the names of addresses.
    var names: String?
    var node: String?
    var mode = ProbeMode.auto
    var btf: String?
    var each = false
    var states = false
    var verbose = false
    /// Whether a terminal may be told that nothing has failed yet.
    var showsStatus = true
}

/// A command line that cannot be used: exit status 2.
struct UsageError: Error {
    /// One line that names the argument.
    var message: String
}
