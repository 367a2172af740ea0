/// Where the paths of cgroups come from.
public protocol CgroupPathSource {
    /// The path of a cgroup as seen from the host's cgroup root, beginning with `/`, any bytes, no NUL; nil while
    /// it is not known. Must not hold up its caller.
    ///
    /// - Parameter id: the id in the cgroup2 hierarchy, not 0.
    func path(ofCgroup id: UInt64) -> [UInt8]?
}
