import Glibc
import PortTraceCore
import PortTraceProbes

/// `porttrace trace`: failures on standard output, as they happen.
enum TraceCommand {
    /// - Returns: The exit status.
    /// - Throws: ``ProbeError`` where nothing can be attached, or a file of the options cannot be read.
    static func run(_ options: WatchOptions, format: OutputFormat) throws(ProbeError) -> Int32 {
        let watch = try NodeWatch(options, format: format)
        defer { watch.close() }
        try watch.run()
        return watch.stream.undecodable == 0 ? watch.output.exitStatus() : 1
    }
}
