internal import BPF
internal import Glibc

/// Kprobes made through tracefs, which unlike perf's own lets a kretprobe's instances be set. They are no programs
/// and do nothing while nothing is attached; what a killed porttrace has left is removed by the next one.
final class KprobeEvents {
    /// Concurrent calls that a kretprobe can follow, the kernel's most (KRETPROBE_MAXACTIVE_MAX,
    /// kernel/trace/trace_kprobe.c). inet_hash_connect() sleeps in its search, so that many may be in it.
    private static let instances = 4096
    private static let prefix = "porttrace_"

    /// The tracefs group of the events: every porttrace has its own.
    let group: String
    private(set) var events: [String]
    private let eventsFile: Descriptor
    private let profileFile: Descriptor

    /// A group for a porttrace process. Process ids are unique in a pid namespace only, and tracefs is the node's.
    static func group(of process: pid_t) -> String {
        "\(prefix)\(process)_\(String(UInt32.random(in: 0 ... .max), radix: 16))"
    }

    /// Opens tracefs's files, and removes what processes that have gone have left; nil where there are none.
    init?(tracefs: TraceFS, group: String) {
        let events = open("\(tracefs.path)/kprobe_events", O_RDWR | O_APPEND | O_CLOEXEC)
        guard events >= 0 else { return nil }
        eventsFile = Descriptor(events)
        let profile = open("\(tracefs.path)/kprobe_profile", O_RDONLY | O_CLOEXEC)
        guard profile >= 0 else { return nil }
        profileFile = Descriptor(profile)
        self.group = group
        self.events = []
        removeLeftovers()
    }

    /// Takes over from the process that made the events, and removes them in the end. nil without its files.
    init?(handedOver files: [Descriptor], group: String, events: [String]) {
        guard files.count == 2 else { return nil }
        (eventsFile, profileFile) = (files[0], files[1])
        self.group = group
        self.events = events
    }

    var descriptors: [Int32] { [eventsFile.number, profileFile.number] }

    /// Makes an event at a function's entry or return and gives its name in ``group``.
    ///
    /// - Parameter module: The loadable module of the function: the event then outlives its unloading.
    func add(_ function: String, of module: String? = nil, atReturn: Bool) throws(BPFError) -> String {
        // A part that the compiler has made of a function has dots in its name.
        let name = function.split(separator: ".").joined(separator: "_")
        let event = "\(group)_\(name)\(atReturn ? "_ret" : "")"
        let kind = atReturn ? "r\(Self.instances)" : "p"
        let code = command("\(kind):\(group)/\(event) \(module.map { "\($0):" } ?? "")\(function)\n")
        guard code == 0 else { throw BPFError("make a kprobe of", function, code: code) }
        events.append(event)
        return event
    }

    /// Removes the events; what is still attached stays.
    func removeAll() {
        for event in events { _ = command("-:\(group)/\(event)\n") }
        events = []
    }

    /// Whether a kprobe can be made.
    static func probe(_ function: String, tracefs: TraceFS?, group: String) -> KernelFeatures.Outcome {
        guard let tracefs else { return .refused("no tracefs") }
        guard let events = KprobeEvents(tracefs: tracefs, group: group) else {
            return .refused("the kernel has no kprobes")
        }
        do {
            _ = try events.add(function, atReturn: false)
            events.removeAll()
            return .works
        } catch {
            return .refused(error.code == ENOENT ? "no function \(function)" : error.reason)
        }
    }

    /// Calls that found no free instance, or another kprobe running, since the events were made; of the functions of
    /// hooks that are not audited (``Hook/isAudited``).
    func missedRuns() -> UInt64 {
        let events = events.filter { event in !Hook.auditedFunctions.contains { event.hasSuffix($0) } }
        if events.isEmpty { return 0 }
        // A line is: event, hits, misses (kernel/trace/trace_kprobe.c, probes_profile_seq_show()), without the
        // group: that is why the event's name has it too.
        var missed: UInt64 = 0
        // By bytes: the file has the kprobes of everybody, and is read at each flush.
        for line in TextFile.readAll(profileFile.number)?.utf8.split(separator: UInt8(ascii: "\n")) ?? [] {
            let fields = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map(Substring.init)
            guard fields.count == 3, events.contains(String(fields[0])) else { continue }
            missed += UInt64(fields[2]) ?? 0
        }
        return missed
    }

    /// Writes a command; 0 or the errno.
    private func command(_ text: String) -> Int32 {
        var text = text
        return text.withUTF8 { write(eventsFile.number, $0.baseAddress, $0.count) == $0.count ? 0 : errno }
    }

    private static func process(of group: Substring) -> pid_t? {
        guard group.hasPrefix(prefix) else { return nil }
        return pid_t(group.dropFirst(prefix.count).prefix { $0 != "_" })
    }

    private func removeLeftovers() {
        // A line is: p:group/event function
        for line in TextFile.readAll(eventsFile.number)?.split(separator: "\n") ?? [] {
            guard let name = line.split(separator: " ").first?.split(separator: ":").last else { continue }
            let parts = name.split(separator: "/")
            guard parts.count == 2, parts[0] != group, let owner = Self.process(of: parts[0]),
                owner == Self.process(of: group[...]) || (kill(owner, 0) != 0 && errno == ESRCH)
            else { continue }
            // The kernel keeps those that are attached: of a porttrace in another pid namespace.
            _ = command("-:\(name)\n")
        }
    }
}
