internal import CLinux

/// What the kernel has counted in one conntrack table since its namespace was made: `struct ip_conntrack_stat`, all
/// CPUs' together, as ctnetlink gives it (`ctnetlink_ct_stat_cpu_fill_info()`).
struct TableStatistics: Equatable {
    var drop: UInt64 = 0
    var insertFailed: UInt64 = 0
    var earlyDrop: UInt64 = 0

    /// Adds the CPUs of a datagram. Messages with another sequence number are passed over.
    ///
    /// - Parameter isComplete: Set by the answer's end.
    /// - Throws: ``NetlinkError``: `system` for the kernel's error, `malformed`.
    mutating func add(
        _ bytes: UnsafeRawBufferPointer, sequence: UInt32, isComplete: inout Bool
    ) throws(NetlinkError) {
        var sum = self
        var ended = isComplete
        try NetlinkMessage.forEach(in: bytes) { message throws(NetlinkError) in
            guard message.sequence == sequence, try !message.isControl(&ended) else { return }
            guard Int32(message.type) == ConntrackRequest.cpuStatistics else { throw .malformed }
            try sum.add(message.payload)
        }
        (self, isComplete) = (sum, ended)
    }

    private mutating func add(_ payload: UnsafeRawBufferPointer) throws(NetlinkError) {
        let headerSize = MemoryLayout<nfgenmsg>.size
        guard payload.count >= headerSize else { throw .malformed }
        var sum = self
        try NetlinkAttribute.forEach(
            in: UnsafeRawBufferPointer(rebasing: payload[headerSize...])
        ) { attribute throws(NetlinkError) in
            switch ctattr_stats_cpu(UInt32(attribute.type)) {
            case CTA_STATS_DROP: sum.drop += UInt64(try attribute.bigEndian(as: UInt32.self))
            case CTA_STATS_INSERT_FAILED: sum.insertFailed += UInt64(try attribute.bigEndian(as: UInt32.self))
            case CTA_STATS_EARLY_DROP: sum.earlyDrop += UInt64(try attribute.bigEndian(as: UInt32.self))
            default: break
            }
        }
        self = sum
    }
}
