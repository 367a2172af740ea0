extension OutputBuffer {
    /// A resource as a JSON object, the contract's `{kind, netns_id, proto, src, dst, used, limit}`, without what is not
    /// known.
    ///
    /// - Parameters:
    ///   - used: nil: not known.
    ///   - destination: the names of its destination, ``DestinationNames/Entry/json``.
    mutating func append(_ resource: Resource, used: UInt64?, limit: UInt64?, destination: [UInt8] = []) {
        append("{\"kind\":\"")
        append(Array(resource.kind.rawValue.utf8))
        append(byte: UInt8(ascii: "\""))
        if resource.namespace.inode != 0 {
            append(",\"netns_id\":")
            append(decimal: UInt64(resource.namespace.inode))
        }
        if resource.proto != 0 {
            append(",\"proto\":\"")
            if let name = TransportProtocol.name(of: resource.proto) {
                append(name)
            } else {
                append(decimal: UInt64(resource.proto))
            }
            append(byte: UInt8(ascii: "\""))
        }
        if let source = resource.source {
            append(",\"src\":{\"addr\":\"")
            append(source)
            append("\"}")
        }
        if let endpoint = resource.destination {
            append(",\"dst\":{\"addr\":\"")
            append(endpoint.address)
            append(byte: UInt8(ascii: "\""))
            if endpoint.port != 0 {
                append(",\"port\":")
                append(decimal: UInt64(endpoint.port))
            }
            append(destination)
            append(byte: UInt8(ascii: "}"))
        }
        if let used {
            append(",\"used\":")
            append(decimal: used)
        }
        if let limit {
            append(",\"limit\":")
            append(decimal: limit)
        }
        append(byte: UInt8(ascii: "}"))
    }
}
