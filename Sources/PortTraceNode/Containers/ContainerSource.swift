internal import PortTraceCore

/// One way in which containers are told about on disk: a folder that has an entry for each of them.
protocol ContainerSource: AnyObject {
    /// The file below a container's entry that tells about it; empty: the entry itself does.
    var file: String { get }

    /// The container that an entry is of; nil for other entries.
    func container(ofEntry name: some BidirectionalCollection<UInt8>) -> ContainerID?

    /// A container's entry; nil where there is none.
    func entry(of id: ContainerID, in folder: HostFolder) -> [UInt8]?

    /// Reads a container.
    ///
    /// - Parameters:
    ///   - entry: Its entry.
    ///   - folder: The one that has the entries.
    ///   - group: The name of that folder, where there are several of them.
    func read(_ id: ContainerID, entry: [UInt8], in folder: HostFolder, group: String) -> ContainerReading
}

/// Runtimes have folders for entries, and call them by the containers' ids.
extension ContainerSource {
    func container(ofEntry name: some BidirectionalCollection<UInt8>) -> ContainerID? { ContainerID(name) }

    func entry(of id: ContainerID, in folder: HostFolder) -> [UInt8]? {
        folder.folder(id.string).map { _ in id.digits }
    }
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
