internal import JSON
internal import PortTraceCore

/// Docker's own files: ROOT/containers/ID/config.v2.json. Kubernetes' names are labels there.
///
/// An image may bring labels of any name along. So they count only for a container that dockershim or cri-dockerd has
/// named, `k8s_…`: that name is the caller's alone.
final class DockerContainers: ContainerSource {
    let file = "config.v2.json"

    func read(_ id: ContainerID, entry: [UInt8], in folder: HostFolder, group: String) -> ContainerReading {
        guard let bytes = folder.file("\(id.string)/\(file)"),
            let text = try? JSONText(bytes, limit: HostFolder.largestFile),
            let parts = text.members(["ID", "Name", "Config", "NetworkSettings"]),
            let ownID = try? parts[0]?.value().string, ownID == id.digits
        else { return .notYet }
        var record = ContainerRecord(id: id.digits, runtime: .docker, source: .docker)
        let name = (try? parts[1]?.value().string) ?? []
        if let image = try? parts[2]?.members(["Image"])?[0]?.value().string, image.isName(NameLimit.image) {
            record.image = image
        }
        if let key = try? parts[3]?.members(["SandboxKey"])?[0]?.value().string,
            key.isName(NameLimit.path), key.first == UInt8(ascii: "/")
        {
            record.netnsPath = key
        }
        if name.starts(with: "/k8s_".utf8), let labels = try? parts[2]?.members(["Labels"])?[0]?.value() {
            record.isSandbox = labels["io.kubernetes.docker.type"]?.string == Array("podsandbox".utf8)
            record.namespace = labels.name("io.kubernetes.pod.namespace", NameLimit.namespace)
            record.pod = labels.name("io.kubernetes.pod.name", NameLimit.pod)
            record.podUID = labels.name("io.kubernetes.pod.uid", NameLimit.podUID)
            if !record.isSandbox { record.container = labels.name("io.kubernetes.container.name", NameLimit.container) }
        }
        let bare = name.first == UInt8(ascii: "/") ? name.dropFirst() : name[...]
        if !record.hasPod, bare.isName(NameLimit.name) { record.name = Array(bare) }
        return .record(record)
    }
}
