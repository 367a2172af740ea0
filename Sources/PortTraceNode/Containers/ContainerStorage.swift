internal import JSON
internal import PortTraceCore

/// The containers' storage of CRI-O and podman: DRIVER-containers/ID/userdata/config.json, below the run root or the
/// graph root.
///
/// CRI-O writes its own annotations first, over them a pod's own by any name, and the kubelet's labels last, as plain
/// keys (server/sandbox_run_linux.go, internal/factory/container/container.go). So only the plain keys are the kubelet's
/// for sure. Where there are none, an old CRI-O has the kubelet's labels in `io.kubernetes.cri-o.Labels` alone; it gives
/// a container no annotations of the pod's.
final class ContainerStorage: ContainerSource {
    private static let labels = "io.kubernetes.cri-o.Labels"
    private static let pod = ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"]
    /// What CRI-O calls a sandbox's container; no container of a pod's can be called that.
    private static let infra = Array("POD".utf8)

    let file = "userdata/config.json"
    private let index = StorageIndex()

    func read(_ id: ContainerID, entry: [UInt8], in folder: HostFolder, group: String) -> ContainerReading {
        guard let spec = folder.file("\(id.string)/\(file)").flatMap(RuntimeSpec.init) else { return .notYet }
        let annotations = spec.annotations
        // A pod may say the first, but cannot take away what CRI-O writes always.
        let isPodman =
            annotations["io.container.manager"]?.string == Array("libpod".utf8)
            && annotations[Self.labels] == nil
        var record = ContainerRecord(id: id.digits, runtime: isPodman ? .podman : .crio, source: .storage)
        record.netnsPath = spec.netnsPath
        if isPodman {
            if let entry = index.entry(id, in: folder) { (record.name, record.image) = (entry.name, entry.image) }
        } else {
            name(&record, annotations)
        }
        return .record(record)
    }

    private func name(_ record: inout ContainerRecord, _ annotations: JSONValue) {
        let isPlain = Self.pod.allSatisfy { annotations[$0] != nil }
        guard let labels = isPlain ? annotations : Self.copiedLabels(annotations) else { return }
        record.namespace = labels.name(Self.pod[0], NameLimit.namespace)
        record.pod = labels.name(Self.pod[1], NameLimit.pod)
        record.podUID = labels.name(Self.pod[2], NameLimit.podUID)
        let container = labels.name("io.kubernetes.container.name", NameLimit.container)
        record.isSandbox =
            container == Self.infra
            || annotations["io.kubernetes.cri-o.ContainerType"]?.string == Array("sandbox".utf8)
        // What a sandbox's annotations say of its image may be the pod's own words.
        if record.isSandbox { return }
        record.container = container
        record.image = annotations.name("io.kubernetes.cri-o.ImageName", NameLimit.image)
        if record.image.isEmpty { record.image = annotations.name("io.kubernetes.cri-o.Image", NameLimit.image) }
    }

    private static func copiedLabels(_ annotations: JSONValue) -> JSONValue? {
        annotations[labels]?.string.flatMap { try? JSONText($0, limit: HostFolder.largestFile).value() }
    }
}

/// Names and images of podman's containers, which their own files lack: DRIVER-containers/containers.json, and
/// volatile-containers.json for those that do not outlive a boot.
private final class StorageIndex {
    private static let files = ["containers.json", "volatile-containers.json"]
    /// Of both files together.
    private static let mostEntries = 8_192

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
        text.forEachElement { element in
            add(element)
            return entries.count < Self.mostEntries
        }
    }

    private func add(_ element: JSONText) {
        guard let parts = element.members(["id", "names", "metadata"]),
            let id = (try? parts[0]?.value().string).flatMap({ ContainerID($0) })
        else { return }
        var entry = Entry([], [])
        if let name = try? parts[1]?.value().elements.first(where: { _ in true })?.string, name.isName(NameLimit.name) {
            entry.name = name
        }
        // JSON inside a string: image-name, image-id, name and more.
        if let metadata = try? parts[2]?.value().string, let value = try? JSONText(metadata, limit: 1 << 20).value() {
            entry.image = value.name("image-name", NameLimit.image)
        }
        entries[id] = entry
    }
}
