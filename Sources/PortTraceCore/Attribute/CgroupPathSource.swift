/// Where the paths of cgroups come from.
public protocol CgroupPathSource {
    /// The path of a cgroup as seen from its hierarchy's root, beginning with `/`, any bytes, no NUL; nil while
    /// it is not known. Must not hold up its caller.
    ///
    /// - Parameter id: as recorded, not 0: with `PT_CGROUP_V1` it is one of cgroup v1.
    func path(ofCgroup id: UInt64) -> [UInt8]?

    /// The controller by which the hierarchy of cgroup v1 is known; empty where there is none.
    var hierarchyName: String { get }
}

extension CgroupPathSource {
    public var hierarchyName: String { "" }
}
