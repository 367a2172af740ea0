internal import PortTraceCore

/// A folder whose entries are containers, groups of them, or the kubelet's logs.
final class WatchedFolder {
    enum Role {
        case groups(any ContainerSource)
        case containers(any ContainerSource)
        /// Pods' log directories.
        case pods
    }

    /// Absolute, on the host; symbolic links in it are followed.
    let path: String
    /// The name of a folder below, of a group; empty: none.
    let group: String
    let role: Role

    /// nil while it is not there, or the kernel gives no watch.
    var watch: Inotify.Watch?
    var isThere = false

    init(path: String, group: String = "", role: Role) {
        self.path = path
        self.group = group
        self.role = role
    }

    /// All of a node, in the order in which they are asked.
    static func all(of root: HostFolder) -> [WatchedFolder] {
        [WatchedFolder(path: KubeletPodLogs.path, role: .pods)]
            + ContainerPlaces.places(of: root).map { place in
                WatchedFolder(
                    path: place.path, role: place.hasGroups ? .groups(place.source) : .containers(place.source))
            }
    }

    func opened(in root: HostFolder) -> HostFolder? {
        let folder = root.resolved(path)
        return group.isEmpty ? folder : folder?.folder(group)
    }

    /// How far one gets on the way to a folder.
    enum WayEnd {
        case there
        /// The last folder that is there, and the path that is missing then.
        case above(HostFolder, missing: String)
        /// Nobody can tell, for this errno.
        case failed(Int32)
    }

    /// How far one gets on the way to ``path``.
    func wayEnd(in root: HostFolder) -> WayEnd {
        var above = root
        var path = ""
        for name in self.path.split(separator: "/") {
            path += "/\(name)"
            switch root.resolve(path) {
            case .folder(let folder): above = folder
            case .absent: return .above(above, missing: path)
            case .failed(let code): return .failed(code)
            }
        }
        return .there
    }

    /// Whose containers it has; nil where its entries are none.
    var containers: (any ContainerSource)? {
        if case .containers(let source) = role { source } else { nil }
    }
}
