internal import JSON
internal import PortTraceCore

/// containerd's task state: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json, which is there before the
/// container's cgroup is.
///
/// The CRI plugin annotates sandboxes and containers. The names of pod and namespace came with 1.4 and later, the
/// pod's UID with 1.6.11 (github.com/containerd/containerd/pull/7735); before, a container has its sandbox's id, and
/// the sandbox its log directory, whose name has all three.
final class ContainerdTasks: ContainerSource {
    let file = "config.json"

    func read(_ id: ContainerID, entry: [UInt8], in folder: HostFolder, group: String) -> ContainerReading {
        // Docker's: it knows their names itself.
        if group == "moby" { return .elsewhere }
        guard let spec = spec(id, in: folder) else { return .notYet }
        var record = record(id, spec)
        if !record.isSandbox, !record.hasPod || record.podUID.isEmpty,
            let sandboxID = ContainerID(spec.annotations.name("io.kubernetes.cri.sandbox-id", 64)), sandboxID != id,
            let sandbox = self.spec(sandboxID, in: folder)
        {
            record.fill(from: self.record(sandboxID, sandbox))
        }
        return .record(record)
    }

    private func spec(_ id: ContainerID, in folder: HostFolder) -> RuntimeSpec? {
        folder.file("\(id.string)/\(file)").flatMap(RuntimeSpec.init)
    }

    private func record(_ id: ContainerID, _ spec: RuntimeSpec) -> ContainerRecord {
        let annotations = spec.annotations
        var record = ContainerRecord(id: id.digits, runtime: .containerd, source: .containerd)
        record.isSandbox = annotations["io.kubernetes.cri.container-type"]?.string == Array("sandbox".utf8)
        record.namespace = annotations.name("io.kubernetes.cri.sandbox-namespace", NameLimit.namespace)
        record.pod = annotations.name("io.kubernetes.cri.sandbox-name", NameLimit.pod)
        record.podUID = annotations.name("io.kubernetes.cri.sandbox-uid", NameLimit.podUID)
        if !record.isSandbox {
            record.container = annotations.name("io.kubernetes.cri.container-name", NameLimit.container)
        }
        record.image = annotations.name("io.kubernetes.cri.image-name", NameLimit.image)
        record.name = annotations.name("nerdctl/name", NameLimit.name)
        record.netnsPath = spec.netnsPath
        if record.isSandbox, !record.hasPod || record.podUID.isEmpty {
            let directory = annotations.name("io.kubernetes.cri.sandbox-log-directory", NameLimit.path)
            if let last = directory.split(separator: UInt8(ascii: "/")).last, let names = PodLogName(last) {
                if !record.hasPod { (record.namespace, record.pod) = (names.namespace, names.pod) }
                if record.podUID.isEmpty { record.podUID = names.podUID }
            }
        }
        return record
    }
}
