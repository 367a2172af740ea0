internal import PortTraceCore

/// The name of a pod's log directory: NAMESPACE_NAME_UID. None of the three can have an underscore.
struct PodLogName: Equatable {
    let namespace: [UInt8]
    let pod: [UInt8]
    /// A static pod's is the hash of its file.
    let podUID: [UInt8]

    init?(_ name: some Collection<UInt8>) {
        let parts = name.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty && $0.isLog }),
            parts[0].isName(NameLimit.namespace), parts[1].isName(NameLimit.pod), parts[2].isName(NameLimit.podUID)
        else { return nil }
        (namespace, pod, podUID) = (Array(parts[0]), Array(parts[1]), Array(parts[2]))
    }
}

/// The name of a link to a container's log: POD_NAMESPACE_CONTAINER-ID.log.
struct ContainerLogName: Equatable {
    let id: ContainerID
    let namespace: [UInt8]
    let pod: [UInt8]
    let container: [UInt8]

    init?(_ name: some BidirectionalCollection<UInt8>) {
        let suffix = 1 + 64 + 4
        guard name.count > suffix, name.suffix(4).elementsEqual(".log".utf8) else { return nil }
        let rest = name.dropLast(suffix)
        let tail = name.suffix(suffix)
        guard tail.first == UInt8(ascii: "-"), let id = ContainerID(Array(tail.dropFirst().dropLast(4))) else {
            return nil
        }
        let parts = rest.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty && $0.isLog }),
            parts[0].isName(NameLimit.pod), parts[1].isName(NameLimit.namespace),
            parts[2].isName(NameLimit.container)
        else { return nil }
        self.id = id
        (pod, namespace, container) = (Array(parts[0]), Array(parts[1]), Array(parts[2]))
    }
}

extension Collection<UInt8> {
    /// Whether all are characters of Kubernetes' names: any program may have made a directory there.
    fileprivate var isLog: Bool {
        allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
        }
    }
}

/// Pods' log directories, which name pods whatever the runtime. Nothing in them is read: a log's file does not tell its
/// container's id.
enum KubeletPodLogs {
    static let path = "/var/log/pods"

    /// The names of a pod: a look through all directories.
    static func pod(_ uid: [UInt8], in folder: HostFolder) -> PodLogName? {
        var found: PodLogName?
        folder.forEachName { name in
            guard name.count > uid.count, name.suffix(uid.count).elementsEqual(uid), let pod = PodLogName(name),
                pod.podUID == uid
            else { return true }
            found = pod
            return false
        }
        return found
    }
}

/// The kubelet's links to containers' logs. Nothing is read of them but their names and where they lead:
/// …/NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log.
final class KubeletLogs: ContainerSource {
    static let path = "/var/log/containers"

    let file = ""

    func container(ofEntry name: some BidirectionalCollection<UInt8>) -> ContainerID? { ContainerLogName(name)?.id }

    /// - Complexity: O(links)
    func entry(of id: ContainerID, in folder: HostFolder) -> [UInt8]? {
        let suffix = Array("-\(id.string).log".utf8)
        var found: [UInt8]?
        folder.forEachName { name in
            guard name.suffix(suffix.count).elementsEqual(suffix), ContainerLogName(name) != nil else { return true }
            found = Array(name)
            return false
        }
        return found
    }

    func read(_ id: ContainerID, entry: [UInt8], in folder: HostFolder, group: String) -> ContainerReading {
        guard let name = ContainerLogName(entry), let target = folder.link(String(decoding: entry, as: UTF8.self))
        else { return .elsewhere }
        var record = ContainerRecord(id: id.digits, runtime: nil, source: .logs)
        (record.namespace, record.pod, record.container) = (name.namespace, name.pod, name.container)
        let parts = target.split(separator: UInt8(ascii: "/"))
        if parts.count >= 3, let pod = PodLogName(parts[parts.count - 3]), pod.namespace == name.namespace,
            pod.pod == name.pod
        {
            record.podUID = pod.podUID
        }
        return .record(record)
    }
}
