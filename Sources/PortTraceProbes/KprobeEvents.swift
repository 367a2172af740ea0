internal import CLinux
internal import Glibc

/// Kprobes made through tracefs, which unlike perf's own lets a kretprobe's instances be set. They are no programs
/// and do nothing while nothing is attached; what a killed porttrace has left is removed by the next one.
final class KprobeEvents {
    /// Concurrent calls that a kretprobe can follow, the kernel's most (KRETPROBE_MAXACTIVE_MAX,
    /// include/linux/kprobes.h). inet_hash_connect() sleeps in its search, so that many may be in it.
    private static let instances = 4096
    private static let prefix = "porttrace_"

    let group = "\(prefix)\(getpid())"
    private let tracefs: TraceFS
    private var events: [String] = []

    init(tracefs: TraceFS) {
        self.tracefs = tracefs
        removeLeftovers()
    }

    deinit {
        for event in events { remove(group: group, event: event) }
    }

    /// Makes an event at a function's entry or return and gives its name in ``group``; or throws its errno.
    func add(_ function: String, atReturn: Bool) throws(Failure) -> String {
        let event = "\(group)_\(function)\(atReturn ? "_ret" : "")"
        let kind = atReturn ? "r\(Self.instances)" : "p"
        let code = TextFile.append("\(kind):\(group)/\(event) \(function)\n", to: path)
        guard code == 0 else { throw Failure(function: function, code: code) }
        events.append(event)
        return event
    }

    struct Failure: Error {
        var function: String
        var code: Int32

        var reason: String {
            code == ENOENT ? "the kernel has no kprobes, or no function \(function)" : String(cString: strerror(code))
        }
    }

    /// Whether a kprobe can be made.
    static func probe(_ function: String, tracefs: TraceFS?) -> KernelFeatures.Outcome {
        guard let tracefs else { return .refused("no tracefs") }
        guard access("\(tracefs.path)/kprobe_events", W_OK) == 0 else { return .refused("the kernel has no kprobes") }
        do {
            _ = try KprobeEvents(tracefs: tracefs).add(function, atReturn: false)
            return .works
        } catch {
            return .refused(error.reason)
        }
    }

    /// Calls that found no free instance, or another kprobe running, since the events were made.
    func missedRuns() -> UInt64 {
        // A line is: event, hits, misses (kernel/trace/trace_kprobe.c, probes_profile_seq_show()), without the
        // group: that is why the event's name has it too.
        guard let profile = TextFile.read("\(tracefs.path)/kprobe_profile") else { return 0 }
        var missed: UInt64 = 0
        for line in profile.split(separator: "\n") {
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count == 3, events.contains(String(fields[0])) else { continue }
            missed += UInt64(fields[2]) ?? 0
        }
        return missed
    }

    private var path: String { "\(tracefs.path)/kprobe_events" }

    private func remove(group: String, event: String) {
        _ = TextFile.append("-:\(group)/\(event)\n", to: path)
    }

    private func removeLeftovers() {
        // A line is: p:group/event function
        for line in TextFile.read(path)?.split(separator: "\n") ?? [] {
            guard let name = line.split(separator: " ").first?.split(separator: ":").last else { continue }
            let parts = name.split(separator: "/")
            guard parts.count == 2, parts[0].hasPrefix(Self.prefix), let owner = pid_t(parts[0].dropFirst(Self.prefix.count)),
                kill(owner, 0) != 0, errno == ESRCH
            else { continue }
            remove(group: String(parts[0]), event: String(parts[1]))
        }
    }
}
