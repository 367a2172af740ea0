/// Writes events as NDJSON, schema 1.
struct NDJSONLines {
    /// `,"node":"…"`; empty where the node has no name.
    private let node: [UInt8]
    private var timestamps = TimestampCache()

    init(node name: [UInt8]) {
        var buffer = OutputBuffer()
        if !name.isEmpty {
            buffer.append(",\"node\":\"")
            name.withUnsafeBytes { buffer.append(escapedForJSON: $0) }
            buffer.append(byte: UInt8(ascii: "\""))
        }
        node = buffer.withBytes { Array($0) }
    }

    /// Adds the line of a failure, or of several.
    ///
    /// - Parameters:
    ///   - count: how many it stands for.
    ///   - first: when the first of them happened, UTC in nanoseconds.
    ///   - last: the last of them, nil where it is the first.
    ///   - owner: its ``OwnerCache/Entry/json``.
    ///   - destination: its ``DestinationNames/Entry/json``.
    ///   - holders: of what it wanted, their ``HolderLists/Entry/json``.
    mutating func append(
        _ failure: Failure, count: UInt64, first: Int64, last: Int64?, owner: [UInt8], destination: [UInt8],
        holders: [UInt8], to output: inout OutputBuffer
    ) {
        output.append("{\"schema\":1,\"timestamp\":\"")
        timestamps.append(first, to: &output)
        if let last {
            output.append("\",\"last_timestamp\":\"")
            timestamps.append(last, to: &output)
        }
        output.append(byte: UInt8(ascii: "\""))
        output.append(node)
        output.append(",\"type\":\"")
        output.append(failure.type.name)
        if let cause = failure.cause {
            output.append("\",\"cause\":\"")
            output.append(cause.name)
        }
        output.append("\",\"count\":")
        output.append(decimal: count)
        NDJSONLines.appendError(failure.error, to: &output)
        NDJSONLines.appendSocket(failure, to: &output)
        output.append(owner)
        if let process = failure.process { NDJSONLines.append(process, to: &output) }
        NDJSONLines.append(endpoint: ",\"src\":{", failure.source, failure.sourcePort, to: &output)
        NDJSONLines.append(
            endpoint: ",\"dst\":{", failure.destination, failure.destinationPort, names: destination, to: &output)
        if failure.hasOwner, let attribution = failure.attribution {
            output.append(",\"attribution\":\"")
            output.append(attribution.name)
            output.append(byte: UInt8(ascii: "\""))
        }
        if let probe = failure.probe {
            output.append(",\"probe\":\"")
            output.append(probe.name)
            output.append(byte: UInt8(ascii: "\""))
        }
        NDJSONLines.appendDetail(failure, holders: holders, to: &output)
        output.append("}\n")
    }

    /// Begins a line that stands for no failure, up to its type.
    mutating func appendStart(_ type: EventType, at time: Int64, to output: inout OutputBuffer) {
        output.append("{\"schema\":1,\"timestamp\":\"")
        timestamps.append(max(time, 0), to: &output)
        output.append(byte: UInt8(ascii: "\""))
        output.append(node)
        output.append(",\"type\":\"")
        output.append(type.name)
        output.append(byte: UInt8(ascii: "\""))
    }
}

extension NDJSONLines {
    private static func appendError(_ error: UInt16, to output: inout OutputBuffer) {
        if error == 0 { return }
        if error == ErrorNumber.addressNotAvailable {
            output.append(",\"error\":\"EADDRNOTAVAIL\",\"error_raw\":99")
            return
        }
        if let name = ErrorNumber.name(of: error) {
            output.append(",\"error\":\"")
            output.append(name)
            output.append(byte: UInt8(ascii: "\""))
        }
        output.append(",\"error_raw\":")
        output.append(decimal: UInt64(error))
    }

    private static func appendSocket(_ failure: Failure, to output: inout OutputBuffer) {
        if failure.proto != 0 {
            output.append(",\"proto\":\"")
            if let name = TransportProtocol.name(of: failure.proto) {
                output.append(name)
            } else {
                output.append(decimal: UInt64(failure.proto))
            }
            output.append(byte: UInt8(ascii: "\""))
        }
        switch failure.family {
        case .ipv4: output.append(",\"family\":\"ipv4\"")
        case .ipv6: output.append(",\"family\":\"ipv6\"")
        case nil: break
        }
        if failure.netnsID != 0 {
            output.append(",\"netns_id\":")
            output.append(decimal: UInt64(failure.netnsID))
        }
    }

    private static func append(_ process: FailingProcess, to output: inout OutputBuffer) {
        output.append(",\"proc\":{\"pid\":")
        output.append(decimal: UInt64(process.pid))
        if process.tid != 0 {
            output.append(",\"tid\":")
            output.append(decimal: UInt64(process.tid))
        }
        output.append(",\"comm\":\"")
        process.comm.withBytes { output.append(escapedForJSON: $0) }
        output.append("\",\"uid\":")
        output.append(decimal: UInt64(process.uid))
        output.append(byte: UInt8(ascii: "}"))
    }

    @inline(__always)
    private static func append(
        endpoint start: StaticString, _ address: IPAddress?, _ port: UInt16, names: [UInt8] = [],
        to output: inout OutputBuffer
    ) {
        if address == nil, port == 0 { return }
        output.append(start)
        if let address {
            output.append("\"addr\":\"")
            output.append(address)
            output.append(byte: UInt8(ascii: "\""))
        }
        if port != 0 {
            if address != nil { output.append(byte: UInt8(ascii: ",")) }
            output.append("\"port\":")
            output.append(decimal: UInt64(port))
        }
        output.append(names)
        output.append(byte: UInt8(ascii: "}"))
    }
}
