extension OutputBuffer {
    /// Holders as a JSON array, the contract's `holders`: the largest, then what nobody is known for.
    ///
    /// - Parameters:
    ///   - whole: what the shares are of, and what all sum up to.
    ///   - most: how many are named at most; those left out are part of the rest.
    ///   - owners: tells the owners' names; made for NDJSON.
    mutating func append(holders: [Holder], of whole: UInt64, most: Int, owners: inout OwnerCache) {
        append(byte: UInt8(ascii: "["))
        var named: UInt64 = 0
        var isFirst = true
        var left = most
        for holder in holders where left > 0 {
            let names = owners.entry(for: holder.owner.key).holderJSON
            if names.isEmpty, holder.owner.process == nil { continue }
            append(isFirst ? "{" : ",{")
            isFirst = false
            left -= 1
            // Each of them begins with a comma.
            append(Array(names.dropFirst()))
            if let process = holder.owner.process { append(process, isFirst: names.isEmpty) }
            append(",\"count\":")
            append(holder.count, of: whole)
            append(holder.isInferred ? ",\"inferred\":true}" : "}")
            named += holder.count
        }
        if named < whole {
            append(isFirst ? "{\"unknown\":true,\"count\":" : ",{\"unknown\":true,\"count\":")
            append(whole - named, of: whole)
            append(byte: UInt8(ascii: "}"))
        }
        append(byte: UInt8(ascii: "]"))
    }

    private mutating func append(_ process: HoldingProcess, isFirst: Bool) {
        append(isFirst ? "\"proc\":{\"pid\":" : ",\"proc\":{\"pid\":")
        append(decimal: UInt64(process.pid))
        append(",\"comm\":\"")
        process.comm.withBytes { append(escapedForJSON: $0) }
        append("\"}")
    }

    /// A count and its share, a fraction from 0 to 1 with at most four decimals.
    private mutating func append(_ count: UInt64, of whole: UInt64) {
        append(decimal: count)
        append(",\"share\":")
        let share = whole == 0 ? 0 : (Double(min(count, whole)) / Double(whole) * 10_000).rounded()
        var (units, decimals) = UInt64(share).quotientAndRemainder(dividingBy: 10_000)
        append(decimal: units)
        guard decimals > 0 else { return }
        append(byte: UInt8(ascii: "."))
        units = 4
        while decimals % 10 == 0 {
            decimals /= 10
            units -= 1
        }
        append(decimal: decimals, digits: Int(units))
    }
}

extension HolderOwner {
    /// What its names are known by.
    var key: OwnerKey {
        OwnerKey(cgroupID: cgroupID, namespace: cgroupID == 0 ? namespace : nil, isHost: isHost)
    }
}
