/// Where the path of a cgroup comes from.
public protocol CgroupPathSource {
    /// The raw bytes of the path, `/` for the root; nil where it is not known.
    func path(ofCgroup id: UInt64) -> [UInt8]?
}
