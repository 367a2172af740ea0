// porttrace: see Help.swift for what it does, ARCHITECTURE.md for how.

import Glibc
import PortTraceProbes

// Where one of these was closed, the next file to be opened would take its place.
for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
    _ = open("/dev/null", O_RDWR)
}

/// Prints what was asked for instead of work.
func show(_ text: String) throws(ProbeError) {
    print(text, terminator: "")
    guard fflush(nil) != 0 else { return }
    throw ProbeError(
        "cannot write standard output: \(String(cString: strerror(errno)))", hint: "make room, or write elsewhere")
}

do {
    switch try Arguments.parse() {
    case .help(let command):
        try show(Help.text(for: command))
    case .version:
        try show("porttrace \(Version.number)\n")
    case .trace(let options, let format):
        exit(try TraceCommand.run(options, format: format))
    case .check(let options, let format):
        exit(CheckCommand.run(options, format: format))
    case .top(let options, let format):
        exit(try TopCommand.run(options, format: format))
    }
} catch let error as UsageError {
    StandardError.write(line: "\(error.message); see porttrace --help")
    exit(2)
} catch let error as ProbeError {
    StandardError.write(line: error.description)
    exit(1)
}
