extension NDJSONLines {
    /// Adds `detail`; nothing where there is none.
    ///
    /// - Parameter holders: their ``HolderLists/Entry/json``.
    static func appendDetail(_ failure: Failure, holders: [UInt8], to output: inout OutputBuffer) {
        if failure.folding != .none {
            output.append(",\"detail\":{\"folded\":true}")
        } else if failure.type.isConntrack {
            appendConntrackDetail(failure, holders: holders, to: &output)
        } else if let change = failure.change {
            output.append(",\"detail\":{\"old\":\"")
            output.append(change.old.name)
            output.append("\",\"new\":\"")
            output.append(change.new.name)
            output.append("\"}")
        } else {
            var members = DetailMembers()
            if let range = failure.portRange, failure.type != .connectConflict {
                members.append("port_range\":[", to: &output)
                output.append(decimal: UInt64(range.low))
                output.append(byte: UInt8(ascii: ","))
                output.append(decimal: UInt64(range.high))
                output.append(byte: UInt8(ascii: "]"))
            }
            members.append(whole: holders, to: &output)
            members.end(to: &output)
        }
    }

    private static func appendConntrackDetail(
        _ failure: Failure, holders: [UInt8], to output: inout OutputBuffer
    ) {
        var members = DetailMembers()
        if let icmp = failure.icmp {
            members.append("icmp\":{\"type\":", to: &output)
            output.append(decimal: UInt64(icmp.type))
            output.append(",\"code\":")
            output.append(decimal: UInt64(icmp.code))
            output.append(",\"id\":")
            output.append(decimal: UInt64(icmp.id))
            output.append(byte: UInt8(ascii: "}"))
        }
        if let direction = failure.direction {
            members.append("direction\":\"", to: &output)
            output.append(direction.name)
            output.append(byte: UInt8(ascii: "\""))
        }
        if failure.zone != 0 {
            members.append("zone\":", to: &output)
            output.append(decimal: UInt64(failure.zone))
        }
        if failure.limit != 0 {
            members.append("limit\":", to: &output)
            output.append(decimal: UInt64(failure.limit))
        }
        if let nat = failure.nat, failure.type == .snatExhausted {
            members.append("nat\":", to: &output)
            append(nat, to: &output)
        }
        if let backend = failure.backend {
            members.append("backend\":", to: &output)
            append(backend, to: &output)
        }
        if let evidence = failure.evidence {
            members.append("evidence\":\"", to: &output)
            output.append(evidence.name)
            output.append(byte: UInt8(ascii: "\""))
        }
        members.append(whole: holders, to: &output)
        members.end(to: &output)
    }

    private static func append(_ endpoint: Endpoint, to output: inout OutputBuffer) {
        output.append("{\"addr\":\"")
        output.append(endpoint.address)
        output.append(byte: UInt8(ascii: "\""))
        if endpoint.port != 0 {
            output.append(",\"port\":")
            output.append(decimal: UInt64(endpoint.port))
        }
        output.append(byte: UInt8(ascii: "}"))
    }
}

/// The members of a `detail` of which none may be there.
private struct DetailMembers {
    private var isBegun = false

    /// Begins a member.
    ///
    /// - Parameter start: its name, without the quote before it.
    mutating func append(_ start: StaticString, to output: inout OutputBuffer) {
        output.append(isBegun ? ",\"" : ",\"detail\":{\"")
        output.append(start)
        isBegun = true
    }

    /// Adds a member with its name and value; nothing where it is empty.
    mutating func append(whole member: [UInt8], to output: inout OutputBuffer) {
        guard !member.isEmpty else { return }
        output.append(isBegun ? "," : ",\"detail\":{")
        output.append(member)
        isBegun = true
    }

    func end(to output: inout OutputBuffer) {
        if isBegun { output.append(byte: UInt8(ascii: "}")) }
    }
}
