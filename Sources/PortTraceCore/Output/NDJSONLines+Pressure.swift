extension NDJSONLines {
    /// Holders that a line names.
    private static let mostHolders = 5

    /// Adds a `pressure` line.
    ///
    /// - Parameter time: UTC in nanoseconds.
    mutating func append(
        _ crossing: PressureCrossing, at time: Int64, names: inout NameCaches, to output: inout OutputBuffer
    ) {
        let occupancy = crossing.occupancy
        let endpoint = occupancy.resource.destination
        appendStart(.pressure, at: time, to: &output)
        output.append(",\"detail\":{\"resource\":")
        output.append(
            occupancy.resource, used: occupancy.used, limit: occupancy.limit,
            destination: names.destinations.entry(for: endpoint?.address, endpoint?.port ?? 0, at: nil).json)
        output.append(",\"threshold\":")
        output.append(crossing.threshold.name)
        output.append(",\"direction\":\"")
        output.append(crossing.direction.name)
        output.append(byte: UInt8(ascii: "\""))
        if let eta = crossing.eta {
            output.append(",\"eta_s\":")
            output.append(tenths: Double(eta) / 1e9)
        }
        output.append(",\"holders\":")
        output.append(holders: occupancy.holders, of: occupancy.used, most: Self.mostHolders, owners: &names.owners)
        output.append("}}\n")
    }
}
