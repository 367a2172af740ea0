import PortTraceCore
import PortTraceProbes

enum CheckCommand {
    static func run(_ options: WatchOptions, format: ReportFormat) throws(ProbeError) -> Int32 {
        let watch = try NodeWatch(options, format: nil)
        defer { watch.close() }
        try watch.run()
        for tally in watch.stream.tallies { print(tally) }
        return 0
    }
}
