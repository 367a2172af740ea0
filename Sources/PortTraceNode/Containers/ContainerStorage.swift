internal import JSON
internal import PortTraceCore

/// The containers' storage of CRI-O and podman: DRIVER-containers/ID/userdata/config.json, below the run root or the
/// graph root.
///
/// Whose a container is, the annotation `io.container.manager` says. Of the names in CRI-O's annotations those in its
/// copy of the kubelet's labels count first: a pod's own annotations stand beside them, by any name.
final class ContainerStorage: ContainerSource {
    let file = "userdata/config.json"
    private let index = StorageIndex()

    func read(_ id: ContainerID, in folder: HostFolder, group: String) -> ContainerReading {
        guard let spec = folder.file("\(id.string)/\(file)").flatMap(RuntimeSpec.init) else { return .notYet }
        let annotations = spec.annotations
        let isPodman = annotations["io.container.manager"]?.string == Array("libpod".utf8)
        var record = ContainerRecord(id: id.digits, runtime: isPodman ? .podman : .crio, source: .storage)
        record.isSandbox = annotations["io.kubernetes.cri-o.ContainerType"]?.string == Array("sandbox".utf8)
        record.netnsPath = spec.netnsPath
        if isPodman {
            if let entry = index.entry(id, in: folder) { (record.name, record.image) = (entry.name, entry.image) }
        } else {
            name(&record, annotations)
        }
        return .record(record)
    }

    private func name(_ record: inout ContainerRecord, _ annotations: JSONValue) {
        let labels = annotations["io.kubernetes.cri-o.Labels"]?.string
            .flatMap { try? JSONText($0, limit: 1 << 20).value() }
        func name(_ key: String, _ limit: Int) -> [UInt8] {
            if let labels, labels[key] != nil { return labels.name(key, limit) }
            return annotations.name(key, limit)
        }
        record.namespace = name("io.kubernetes.pod.namespace", NameLimit.namespace)
        record.pod = name("io.kubernetes.pod.name", NameLimit.pod)
        record.podUID = name("io.kubernetes.pod.uid", NameLimit.podUID)
        if !record.isSandbox { record.container = name("io.kubernetes.container.name", NameLimit.container) }
        record.image = annotations.name("io.kubernetes.cri-o.ImageName", NameLimit.image)
        if record.image.isEmpty { record.image = annotations.name("io.kubernetes.cri-o.Image", NameLimit.image) }
    }
}

/// Names and images of podman's containers, which their own files lack: DRIVER-containers/containers.json, and
/// volatile-containers.json for those that do not outlive a boot.
private final class StorageIndex {
    private static let files = ["containers.json", "volatile-containers.json"]

    typealias Entry = (name: [UInt8], image: [UInt8])

    /// As it was read last; changes of a file have it read again.
    private var entries: [ContainerID: Entry] = [:]
    private var stamps: [FileStamp?] = []

    func entry(_ id: ContainerID, in folder: HostFolder) -> Entry? {
        let stamps = Self.files.map { folder.stamp(ofFile: $0) }
        if stamps != self.stamps {
            entries = [:]
            for file in Self.files { read(folder.file(file)) }
            self.stamps = stamps
        }
        return entries[id]
    }

    private func read(_ bytes: [UInt8]?) {
        guard let bytes, let text = try? JSONText(bytes, limit: HostFolder.largestFile) else { return }
        for element in text.elements ?? [] {
            guard let parts = element.members(["id", "names", "metadata"]),
                let id = (try? parts[0]?.value().string).flatMap({ ContainerID($0) })
            else { continue }
            var entry = Entry([], [])
            if let name = try? parts[1]?.value().elements.first(where: { _ in true })?.string,
                name.isName(NameLimit.name)
            {
                entry.name = name
            }
            // JSON inside a string: image-name, image-id, name and more.
            if let metadata = try? parts[2]?.value().string,
                let value = try? JSONText(metadata, limit: 1 << 20).value()
            {
                entry.image = value.name("image-name", NameLimit.image)
            }
            entries[id] = entry
        }
    }
}
