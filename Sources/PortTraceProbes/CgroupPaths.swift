internal import BPF
internal import CPortTraceWire
public import PortTraceCore

/// The cgroups' paths as the BPF programs noted them at a failure (pt_cgroups), so that one that has gone by now still
/// has its name.
public struct CgroupPaths: CgroupPathSource {
    let map: Map
    let hierarchy: CgroupHierarchy?

    public var hierarchyName: String { hierarchy?.rawValue ?? "" }

    public func path(ofCgroup id: UInt64) -> [UInt8]? {
        var id = id
        let names = [UInt8](unsafeUninitializedCapacity: Int(PT_CGROUP_PATH_LEN)) { buffer, count in
            count = map.read(&id, into: buffer.baseAddress!) ? buffer.count : 0
        }
        return names.isEmpty ? nil : Self.path(of: names)
    }

    /// Joins names that stand in the order from the cgroup up to the root's child, each ended by a NUL, the last one
    /// empty. The root's own path is `/`.
    static func path(of names: [UInt8]) -> [UInt8] {
        var path: [UInt8] = []
        for name in names.split(separator: 0, omittingEmptySubsequences: false).prefix(while: { !$0.isEmpty })
            .reversed()
        {
            path.append(UInt8(ascii: "/"))
            path += name
        }
        return path.isEmpty ? [UInt8(ascii: "/")] : path
    }
}
