extension TopNode {
    /// Holders that a row names.
    private static let mostHolders = 5

    /// Gives the `snapshot` line of a picture; the buffer lives as long as the call. The node's names must be for NDJSON.
    ///
    /// - Parameter time: UTC in nanoseconds.
    public func withSnapshot(of picture: TopPicture, at time: Int64, _ body: (UnsafeRawBufferPointer) -> Void) {
        var output = OutputBuffer()
        var timestamps = TimestampCache()
        output.append("{\"schema\":1,\"timestamp\":\"")
        timestamps.append(max(time, 0), to: &output)
        if !picture.facts.node.isEmpty {
            output.append("\",\"node\":\"")
            picture.facts.node.withUnsafeBytes { output.append(escapedForJSON: $0) }
        }
        output.append("\",\"type\":\"snapshot\",\"rows\":[")
        for (index, row) in picture.rows.enumerated() {
            if index > 0 { output.append(byte: UInt8(ascii: ",")) }
            append(row, to: &output)
        }
        output.append("]}\n")
        output.withBytes(body)
    }

    private func append(_ row: TopRow, to output: inout OutputBuffer) {
        let occupancy = row.occupancy
        let endpoint = occupancy.resource.destination
        output.append("{\"resource\":")
        output.append(
            occupancy.resource, used: row.isMeasured ? occupancy.used : nil, limit: occupancy.limit,
            destination: names.destinations.entry(for: endpoint?.address, endpoint?.port ?? 0, at: nil).json)
        if let rate = row.rate {
            output.append(",\"rate_per_s\":")
            output.append(rate: rate)
        }
        output.append(",\"failures_per_s\":")
        output.append(tenths: row.failuresPerSecond)
        if let eta = row.eta {
            output.append(",\"eta_s\":")
            output.append(tenths: Double(eta) / 1e9)
        }
        if row.isMeasured {
            output.append(",\"holders\":")
            output.append(
                holders: occupancy.holders, of: occupancy.used, most: Self.mostHolders, owners: &names.owners)
        }
        output.append(byte: UInt8(ascii: "}"))
    }
}
