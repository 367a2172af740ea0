import CPortTraceWire
import Testing

@testable import PortTraceCore

/// What the kernel is given of the filter options.
@Suite struct StateFilterTests {
    private func record(_ filter: Filter) -> pt_state_filter {
        filter.stateFilter.bytes.withUnsafeBytes { $0.loadUnaligned(as: pt_state_filter.self) }
    }

    private func destinations(_ filter: Filter) -> [[UInt8]] {
        let record = record(filter)
        return withUnsafeBytes(of: record.destination) { bytes in
            let size = MemoryLayout<pt_state_destination>.size
            return (0..<Int(record.destinations)).map { Array(bytes[$0 * size..<($0 + 1) * size]) }
        }
    }

    @Test func nothing() {
        #expect(Filter().stateFilter.bytes == [UInt8](repeating: 0, count: MemoryLayout<pt_state_filter>.size))
    }

    @Test func pids() throws {
        var filter = Filter()
        try filter.addPIDs(parsing: "17,4711".utf8)
        let record = record(filter)
        #expect(record.pids == 2 && record.pid.0 == 17 && record.pid.1 == 4711)
    }

    @Test func addressesAndPorts() throws {
        var filter = Filter()
        try filter.addDestinations(parsing: "10.1.2.3/20:80,[2001:db8::1/33]:443,:53,10.0.0.1".utf8)
        let zeros = { (count: Int) in [UInt8](repeating: 0, count: count) }
        #expect(
            destinations(filter) == [
                [10, 1, 0, 0] + zeros(12) + [255, 255, 240, 0] + zeros(12) + [0, 80, 4, 0],
                [0x20, 1, 0x0d, 0xb8] + zeros(12) + [255, 255, 255, 255, 128] + zeros(11) + [1, 0xbb, 6, 0],
                zeros(32) + [0, 53, 0, 0],
                [10, 0, 0, 1] + zeros(12) + [255, 255, 255, 255] + zeros(12) + [0, 0, 4, 0],
            ])
    }

    /// With more than there is room for the kernel does not filter.
    @Test func tooMany() throws {
        var filter = Filter()
        let ports = (1...17).map { ":\($0)" }.joined(separator: ",")
        try filter.addDestinations(parsing: ports.utf8)
        try filter.addPIDs(parsing: (1...17).map { "\($0)" }.joined(separator: ",").utf8)
        #expect(record(filter).destinations == 0 && record(filter).pids == 0)
    }
}
