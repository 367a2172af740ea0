internal import CLinux
internal import Glibc
internal import PortTraceCore

/// Where the node's processes are seen, and what procfs is made of.
enum NodeProc {
    /// The host's procfs below a host root, which shows all processes also where this one's own shows a container's;
    /// this process's own where there is none.
    static func path(hostRoot: String) -> String {
        let path = hostRoot == "/" ? "/proc" : "\(hostRoot)/proc"
        return access("\(path)/1/ns/net", F_OK) == 0 ? path : "/proc"
    }

    /// The process ids below a procfs, as their folders are named; none where it cannot be read.
    static func processes(_ proc: String) -> [String] {
        guard let folder = opendir(proc) else { return [] }
        defer { closedir(folder) }
        var processes: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let first = name.utf8.first, (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(first) {
                processes.append(name)
            }
        }
        return processes
    }

    /// Calls `body` with the owner that each line of a file like /proc/PID/cgroup tells by its path, until it returns false.
    static func forEachCgroup(of path: String, _ body: (CgroupOwner) -> Bool) {
        forEachLine(of: path) { line in
            // hierarchy:controllers:path, cgroups(7)
            let fields = line.dropLast()
                .split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
            return fields.count == 3 ? body(CgroupOwner(path: Array(fields[2]))) : true
        }
    }

    /// Calls `body` with each line of a file, with its line feed, until it returns false; with none where the file cannot
    /// be read.
    static func forEachLine(of path: String, _ body: (UnsafeRawBufferPointer) -> Bool) {
        guard let file = fopen(path, "re") else { return }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while true {
            let count = getline(&line, &capacity, file)
            guard count > 0, let line, body(UnsafeRawBufferPointer(start: line, count: count)) else { return }
        }
    }
}
