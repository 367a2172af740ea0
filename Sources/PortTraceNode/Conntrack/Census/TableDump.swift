internal import CLinux
internal import PortTraceCore

/// A dump of a whole table, datagram by datagram.
enum TableDump {
    /// Adds the entries of a datagram up. Messages with another sequence number are passed over.
    ///
    /// - Parameter isComplete: Set by the dump's end.
    /// - Throws: ``NetlinkError``: `system` for the kernel's error, `malformed`.
    static func add(
        _ bytes: UnsafeRawBufferPointer, sequence: UInt32, to tally: TableTally, isComplete: inout Bool
    ) throws(NetlinkError) {
        let size = MemoryLayout<nlmsghdr>.size
        guard let start = bytes.baseAddress else { return }
        var entry = TableEntry()
        var offset = 0
        while offset < bytes.count {
            guard bytes.count - offset >= size else { throw .malformed }
            let header = bytes.loadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
            let length = Int(header.nlmsg_len)
            guard length >= size, length <= bytes.count - offset else { throw .malformed }
            if header.nlmsg_seq == sequence {
                if Int32(header.nlmsg_type) == ConntrackRequest.newEntry {
                    guard entry.read(start + offset + size, length: length - size) else { throw .malformed }
                    tally.add(entry)
                } else {
                    let message = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
                    try ConntrackReply.forEachEntry(in: message, sequence: sequence, isComplete: &isComplete) { _ in }
                }
            }
            offset += Netlink.aligned(length)
        }
    }
}
