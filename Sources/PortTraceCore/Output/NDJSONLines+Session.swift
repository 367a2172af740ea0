extension NDJSONLines {
    /// Adds a `lost` line.
    mutating func append(
        lost place: LossPlace, count: UInt64, at time: Int64, to output: inout OutputBuffer
    ) {
        appendStart(.lost, at: time, to: &output)
        output.append(",\"count\":")
        output.append(decimal: count)
        output.append(",\"detail\":{\"where\":\"")
        output.append(place.name)
        output.append("\"}}\n")
    }

    /// Adds the `summary` line.
    mutating func append(
        summary accounts: RunAccounts, of facts: SessionFacts, at time: Int64, to output: inout OutputBuffer
    ) {
        appendStart(.summary, at: time, to: &output)
        output.append(",\"detail\":{\"totals\":{")
        let shown = EventType.counted.filter { accounts.totals[$0] > 0 || facts.attachedTypes.contains($0) }
        NDJSONLines.append(accounts.totals, of: shown, to: &output)
        output.append(accounts.isExact ? "},\"exact\":true" : "},\"exact\":false")
        output.append(",\"lost\":{\"ring\":")
        output.append(decimal: accounts.lostInRing)
        output.append(",\"missed_runs\":")
        output.append(decimal: accounts.missedRuns)
        output.append("},\"probes\":{")
        for (index, (hook, tier)) in facts.hooks.enumerated() {
            if index > 0 { output.append(byte: UInt8(ascii: ",")) }
            NDJSONLines.append(string: hook, to: &output)
            output.append(byte: UInt8(ascii: ":"))
            NDJSONLines.append(string: tier, to: &output)
        }
        output.append("},\"undecided\":{")
        NDJSONLines.append(
            accounts.undecided, of: EventType.allCases.filter { accounts.undecided[$0] > 0 }, to: &output)
        output.append("},\"kernel\":[")
        for (index, movement) in facts.kernel.enumerated() {
            if index > 0 { output.append(byte: UInt8(ascii: ",")) }
            NDJSONLines.append(movement, to: &output)
        }
        output.append("]}}\n")
    }

    private static func append(_ movement: KernelMovement, to output: inout OutputBuffer) {
        var separator: StaticString = "{\""
        func append(_ name: StaticString, _ number: UInt64) {
            output.append(separator)
            output.append(name)
            output.append("\":")
            output.append(decimal: number)
            separator = ",\""
        }
        if movement.netnsID != 0 { append("netns_id", UInt64(movement.netnsID)) }
        for (name, moved) in movement.counters { append(name, moved) }
        output.append(movement.netnsID == 0 && movement.counters.isEmpty ? "{}" : "}")
    }

    private static func append(_ counts: TypeCounts, of types: [EventType], to output: inout OutputBuffer) {
        for (index, type) in types.enumerated() {
            output.append(index == 0 ? "\"" : ",\"")
            output.append(type.name)
            output.append("\":")
            output.append(decimal: counts[type])
        }
    }

    private static func append(string: String, to output: inout OutputBuffer) {
        output.append(byte: UInt8(ascii: "\""))
        Array(string.utf8).withUnsafeBytes { output.append(escapedForJSON: $0) }
        output.append(byte: UInt8(ascii: "\""))
    }
}
