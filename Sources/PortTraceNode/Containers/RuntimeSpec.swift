internal import JSON
internal import PortTraceCore

/// What is wanted of an OCI runtime's config.json: annotations, and the mount of the network namespace.
///
/// https://github.com/opencontainers/runtime-spec
struct RuntimeSpec {
    let annotations: JSONValue
    let netnsPath: [UInt8]

    /// nil where that is no such file, or not a whole one.
    init?(_ bytes: [UInt8]) {
        guard let text = try? JSONText(bytes, limit: HostFolder.largestFile),
            let parts = text.members(["ociVersion", "annotations", "linux"]), parts[0] != nil
        else { return nil }
        guard let annotations = try? (parts[1]?.value() ?? JSONValue(parsing: Array("{}".utf8), limit: 2)) else {
            return nil
        }
        self.annotations = annotations
        netnsPath = Self.netnsPath(parts[2]?.members(["namespaces"])?[0])
    }

    private static func netnsPath(_ namespaces: JSONText?) -> [UInt8] {
        guard let namespaces = try? namespaces?.value() else { return [] }
        for namespace in namespaces.elements where namespace["type"]?.string == Array("network".utf8) {
            return namespace.path("path")
        }
        return []
    }
}

extension JSONValue {
    /// An absolute path.
    func path(_ key: String) -> [UInt8] {
        let path = name(key, NameLimit.path)
        return path.first == UInt8(ascii: "/") ? path : []
    }
}
