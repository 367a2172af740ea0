/// A cgroup and all under it: what `--cgroup` asks for.
public struct CgroupPattern: Equatable, Sendable {
    /// The path below the cgroup root, beginning with `/` but for the root itself, which is empty.
    let path: [UInt8]

    private static let mounts: [[UInt8]] = [
        Array("/sys/fs/cgroup/unified".utf8), Array("/sys/fs/cgroup".utf8),
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
        let mount = CgroupPattern.mounts.first { CgroupPattern.isAtOrUnder(whole, $0) }
        path = Array(whole.dropFirst(mount?.count ?? 0))
    }

    /// Whether a cgroup is this one or below it.
    ///
    /// - Parameter cgroup: its path from the cgroup root, beginning with `/`.
    func matches(_ cgroup: [UInt8]) -> Bool {
        CgroupPattern.isAtOrUnder(cgroup, path)
    }

    private static func isAtOrUnder(_ path: [UInt8], _ parent: [UInt8]) -> Bool {
        path.starts(with: parent) && (path.count == parent.count || path[parent.count] == UInt8(ascii: "/"))
    }
}
