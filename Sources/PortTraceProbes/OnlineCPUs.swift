internal import Glibc

/// The CPUs that run now.
enum OnlineCPUs {
    static func current() -> [UInt32] {
        TextFile.read("/sys/devices/system/cpu/online").flatMap { list(parsing: $0) }
            ?? Array(0..<UInt32(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1)))
    }

    /// The kernel's form of a list, as `0-3,8`; nil for anything else.
    static func list(parsing text: String) -> [UInt32]? {
        var cpus: [UInt32] = []
        for item in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            let ends = item.split(separator: "-", omittingEmptySubsequences: false).map { UInt32($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last,
                last < 65_536
            else { return nil }
            cpus += first...last
        }
        return cpus.isEmpty ? nil : cpus
    }
}
