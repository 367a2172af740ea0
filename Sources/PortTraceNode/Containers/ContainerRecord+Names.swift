internal import JSON
internal import PortTraceCore

/// The longest names that are taken, in bytes, as Kubernetes has them; longer ones are left out, not cut.
enum NameLimit {
    static let namespace = 63
    static let pod = 253
    static let podUID = 64
    static let container = 63
    static let image = 512
    static let name = 253
    static let path = 4095
}

extension JSONValue {
    /// The string of a member, if it has any bytes, none of them NUL, and not more than `limit`; else none.
    func name(_ key: String, _ limit: Int) -> [UInt8] {
        guard let name = self[key]?.string else { return [] }
        return name.isName(limit) ? name : []
    }
}

extension Collection<UInt8> {
    func isName(_ limit: Int) -> Bool { count <= limit && !contains(0) }
}

extension ContainerRecord {
    /// Whether a pod's namespace and name are known.
    var hasPod: Bool { !namespace.isEmpty && !pod.isEmpty }

    /// Takes over from its sandbox what is not known of its pod.
    mutating func fill(from sandbox: ContainerRecord) {
        if !hasPod { (namespace, pod) = (sandbox.namespace, sandbox.pod) }
        if podUID.isEmpty { podUID = sandbox.podUID }
        if netnsPath.isEmpty { netnsPath = sandbox.netnsPath }
    }
}
