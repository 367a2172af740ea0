internal import PortTraceCore

/// One runtime's way of keeping containers on disk.
protocol ContainerSource: AnyObject {
    /// The file below a container's folder that tells about it.
    var file: String { get }

    /// Reads a container.
    ///
    /// - Parameters:
    ///   - folder: The one that has a folder for each container.
    ///   - group: The name of that folder, where there are several of them.
    func read(_ id: ContainerID, in folder: HostFolder, group: String) -> ContainerReading
}

enum ContainerReading: Equatable {
    case record(ContainerRecord)
    /// There is nothing to be read, or nothing whole yet.
    case notYet
    /// Another source knows better.
    case elsewhere
}

/// Where containers are, on the host.
struct ContainerPlace {
    /// An absolute path.
    var path: String
    /// Whether there is one more level: folders that have the containers' folders.
    var hasGroups: Bool
    var source: any ContainerSource
}
