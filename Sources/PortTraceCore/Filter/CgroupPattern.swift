/// A cgroup and all under it: what `--cgroup` asks for.
public struct CgroupPattern: Equatable, Sendable {
    /// The path below the cgroup root, beginning with `/` but for the root itself, which is empty.
    let path: [UInt8]
    /// The path where cgroup v1 is in use: `/sys/fs/cgroup/memory` is a mount there, and a cgroup elsewhere.
    let pathWithV1: [UInt8]

    private static let root = Array("/sys/fs/cgroup".utf8)
    /// Where v2 is mounted beside v1.
    private static let unified = Array("/sys/fs/cgroup/unified".utf8)
    /// Controllers that v1 can have, by which its mounts are named, and systemd's own hierarchy. One mount of several,
    /// `cpu,cpuacct`, has a symbolic link for each; a comma ends the option's value.
    private static let controllers: [StaticString] = [
        "memory", "pids", "cpu", "cpuacct", "devices", "cpuset", "freezer", "blkio", "hugetlb", "net_cls", "net_prio",
        "perf_event", "rdma", "misc", "systemd",
    ]

    /// Reads a path, with or without the mount's prefix.
    ///
    /// - Throws: ``OptionError`` where it does not begin with `/` or has `.` or `..` as a part.
    public init(parsing text: some Collection<UInt8>) throws(OptionError) {
        let slash = UInt8(ascii: "/")
        guard text.first == slash else {
            throw OptionError(text, "is not a cgroup's path: it begins with '/'")
        }
        let parts = text.split(separator: slash)
        if parts.contains(where: { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) {
            throw OptionError(text, "is not a cgroup's path: it has no '.' or '..'")
        }
        let whole = parts.flatMap { [slash] + $0 }
        let mount = [CgroupPattern.unified, CgroupPattern.root].first { CgroupPattern.isAtOrUnder(whole, $0) }
        path = Array(whole.dropFirst(mount?.count ?? 0))
        let top = path.dropFirst().prefix { $0 != slash }
        pathWithV1 = mount == CgroupPattern.root && CgroupPattern.isMount(top) ? Array(path[top.endIndex...]) : path
    }

    /// Whether a cgroup is this one or below it.
    ///
    /// - Parameters:
    ///   - cgroup: its path from the root of its hierarchy, beginning with `/`.
    ///   - hasV1: whether there are hierarchies of cgroup v1.
    func matches(_ cgroup: [UInt8], hasV1: Bool) -> Bool {
        CgroupPattern.isAtOrUnder(cgroup, hasV1 ? pathWithV1 : path)
    }

    /// Whether a folder in `/sys/fs/cgroup` is a hierarchy of v1.
    private static func isMount(_ name: ArraySlice<UInt8>) -> Bool {
        controllers.contains { name.equals($0) }
    }

    private static func isAtOrUnder(_ path: [UInt8], _ parent: [UInt8]) -> Bool {
        path.starts(with: parent) && (path.count == parent.count || path[parent.count] == UInt8(ascii: "/"))
    }
}
