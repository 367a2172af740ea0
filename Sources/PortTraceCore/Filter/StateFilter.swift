internal import CPortTraceWire

/// What of a filter the kernel itself can apply to changes of state: struct pt_state_filter.
///
/// An option with more values than there is room for is left to user space.
public struct StateFilter: Sendable {
    /// The record's bytes.
    public let bytes: [UInt8]

    init(pids: [UInt32], destinations: [DestinationPattern]) {
        var record = pt_state_filter()
        let most = Int(PT_STATE_FILTERS)
        if pids.count <= most {
            record.pids = UInt32(pids.count)
            withUnsafeMutableBytes(of: &record.pid) { bytes in
                pids.withUnsafeBytes { bytes.copyMemory(from: $0) }
            }
        }
        if destinations.count <= most {
            record.destinations = UInt32(destinations.count)
            withUnsafeMutableBytes(of: &record.destination) { bytes in
                let size = bytes.count / most
                for (index, pattern) in destinations.enumerated() {
                    pattern.write(to: UnsafeMutableRawBufferPointer(rebasing: bytes[index * size..<(index + 1) * size]))
                }
            }
        }
        bytes = withUnsafeBytes(of: record) { Array($0) }
    }
}

extension DestinationPattern {
    /// Writes it as one `destination` of struct pt_state_filter, which is all zero.
    fileprivate func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes.storeBytes(of: port.bigEndian, toByteOffset: 32, as: UInt16.self)
        guard let network else { return }
        let all = IPAddress(ipv6High: .max, low: .max).masked(to: network.length)
        let (high, low) =
            network.address.family == .ipv4
            ? (network.address.low << 32, 0) : (network.address.high, network.address.low)
        bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
        bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        bytes.storeBytes(of: all.high.bigEndian, toByteOffset: 16, as: UInt64.self)
        bytes.storeBytes(of: all.low.bigEndian, toByteOffset: 24, as: UInt64.self)
        bytes.storeBytes(of: network.address.family.rawValue, toByteOffset: 34, as: UInt8.self)
    }
}
