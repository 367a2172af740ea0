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

    /// The last folder that is there on the way to ``path``, and the path that is missing then; nil where none is.
    func wayEnd(in root: HostFolder) -> (above: HostFolder, missing: String)? {
        guard var above = root.resolved("/") else { return nil }
        var path = ""
        for name in self.path.split(separator: "/") {
            path += "/\(name)"
            guard let folder = root.resolved(path) else { return (above, path) }
            above = folder
        }
        return nil
    }

    /// Whose containers it has; nil where its entries are none.
    var containers: (any ContainerSource)? {
        if case .containers(let source) = role { source } else { nil }
    }
}
