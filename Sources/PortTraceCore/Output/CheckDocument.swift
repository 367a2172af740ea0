/// Writes a verdict as one JSON document, schema 1.
struct CheckDocument {
    /// The node's name; empty: none.
    let node: [UInt8]
    /// UTC in nanoseconds.
    let time: Int64
    var owners: OwnerCache
    var destinations: DestinationNames

    private static let mostHolders = 20

    /// Adds the document, as one line.
    mutating func append(_ diagnosis: NodeDiagnosis, to output: inout OutputBuffer) {
        output.append("{\"schema\":1,\"timestamp\":\"")
        var timestamps = TimestampCache()
        timestamps.append(max(time, 0), to: &output)
        if !node.isEmpty {
            output.append("\",\"node\":\"")
            node.withUnsafeBytes { output.append(escapedForJSON: $0) }
        }
        output.append("\",\"status\":\"")
        output.append(Array(diagnosis.status.rawValue.utf8))
        output.append("\",\"findings\":[")
        for (index, finding) in diagnosis.findings.enumerated() {
            if index > 0 { output.append(byte: UInt8(ascii: ",")) }
            append(finding, to: &output)
        }
        output.append("],\"not_visible\":")
        output.append(strings: diagnosis.notVisible)
        output.append("}\n")
    }

    private mutating func append(_ finding: Finding, to output: inout OutputBuffer) {
        let occupancy = finding.occupancy
        let destination = occupancy.resource.destination
        output.append("{\"problem\":\"")
        output.append(Array(finding.problem.rawValue.utf8))
        output.append("\",\"severity\":\"")
        output.append(Array(finding.severity.rawValue.utf8))
        output.append("\",\"resource\":")
        output.append(
            occupancy.resource, used: finding.isMeasured ? occupancy.used : nil, limit: occupancy.limit,
            destination: destinations.entry(for: destination?.address, destination?.port ?? 0, at: nil).json)
        output.append(",\"culprits\":")
        let whole =
            switch finding.blame {
            case .holders: finding.isMeasured ? occupancy.used : 0
            case .senders: finding.failures
            case .nobody: 0 as UInt64
            }
        output.append(holders: finding.culprits, of: whole, most: CheckDocument.mostHolders, owners: &owners)
        output.append(",\"victims\":")
        output.append(
            holders: finding.victims, of: finding.failures, most: CheckDocument.mostHolders, owners: &owners)
        output.append(",\"evidence\":")
        output.append(strings: finding.evidence)
        output.append(",\"fixes\":[")
        for (index, fix) in finding.fixes.enumerated() {
            output.append(index > 0 ? ",{\"when\":" : "{\"when\":")
            output.append(string: fix.when.rawValue)
            output.append(",\"why\":")
            output.append(string: fix.why)
            if let command = fix.command {
                output.append(",\"command\":")
                output.append(string: command)
            }
            if let persist = fix.persist {
                output.append(",\"persist\":")
                output.append(string: persist)
            }
            output.append(",\"risk\":")
            output.append(string: fix.risk)
            output.append(byte: UInt8(ascii: "}"))
        }
        output.append("]}")
    }
}

extension OutputBuffer {
    /// A JSON string.
    fileprivate mutating func append(string: String) {
        append(byte: UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { append(escapedForJSON: UnsafeRawBufferPointer($0)) }
        append(byte: UInt8(ascii: "\""))
    }

    /// A JSON array of strings.
    fileprivate mutating func append(strings: [String]) {
        append(byte: UInt8(ascii: "["))
        for (index, string) in strings.enumerated() {
            if index > 0 { append(byte: UInt8(ascii: ",")) }
            append(string: string)
        }
        append(byte: UInt8(ascii: "]"))
    }
}
