internal import PortTraceCore

/// A folder whose entries are containers, groups of them, or the kubelet's logs.
final class WatchedFolder {
    enum Role {
        case groups(any ContainerSource)
        case containers(any ContainerSource)
        /// Pods' log directories.
        case pods
        /// Links to containers' logs.
        case links
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
        ContainerPlaces.places(of: root).map { place in
            WatchedFolder(
                path: place.path, role: place.hasGroups ? .groups(place.source) : .containers(place.source))
        } + [
            WatchedFolder(path: KubeletLogs.pods, role: .pods), WatchedFolder(path: KubeletLogs.links, role: .links),
        ]
    }

    func opened(in root: HostFolder) -> HostFolder? {
        let folder = root.resolved(path)
        return group.isEmpty ? folder : folder?.folder(group)
    }

    /// Whose containers it has; nil where its entries are none.
    var containers: (any ContainerSource)? {
        if case .containers(let source) = role { source } else { nil }
    }
}
