internal import CPortTraceWire
internal import Glibc

/// A cgroup v1 hierarchy in which containers may have their cgroups, by a controller that it has.
public enum CgroupHierarchy: String, CaseIterable, Sendable {
    // The order in which one is chosen: runtimes put containers into all of them, but not every host has each.
    case memory
    case pids
    case cpu
    case devices

    /// The one of this node; nil where all controllers are in v2 or in none: proc(5), /proc/cgroups.
    static func inUse() -> CgroupHierarchy? {
        guard let file = fopen("/proc/cgroups", "re") else { return nil }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var controllers: Set<CgroupHierarchy> = []
        while getline(&line, &capacity, file) > 0, let line {
            if let controller = controller(line: String(cString: line)) { controllers.insert(controller) }
        }
        return allCases.first { controllers.contains($0) }
    }

    /// The controller of a line, if a v1 hierarchy has it: its name, the hierarchy's number (0: none, or v2), how many
    /// cgroups there are, whether it is enabled.
    static func controller(line: String) -> CgroupHierarchy? {
        let fields = line.split(whereSeparator: \.isWhitespace)
        guard fields.count == 4, fields[1] != "0", fields[3] == "1" else { return nil }
        return CgroupHierarchy(rawValue: String(fields[0]))
    }

    /// `enum pt_v1`.
    var wire: UInt32 {
        switch self {
        case .memory: PT_V1_MEMORY.rawValue
        case .pids: PT_V1_PIDS.rawValue
        case .cpu: PT_V1_CPU.rawValue
        case .devices: PT_V1_DEVICES.rawValue
        }
    }
}
