internal import CLinux
internal import Glibc
internal import PortTraceCore

/// The conntrack table of one network namespace, through a socket that was opened inside it. The open socket keeps the
/// namespace from being removed.
final class ConntrackTable {
    /// Holders that are kept of one answer; as many as there are ports.
    static let mostHolders = 65_536

    /// CLOCK_MONOTONIC, nanoseconds.
    let opened: Int64

    private let socket: NetlinkSocket
    /// Whether the kernel filters dumps; nil while that is not known.
    private var kernelFilters: Bool?

    /// The table of the network namespace that the calling thread is in.
    ///
    /// - Throws: ``NetlinkError/system(_:)``: EPROTONOSUPPORT where the kernel has no netfilter.
    static func ofThisThread() throws(NetlinkError) -> ConntrackTable {
        ConntrackTable(try NetlinkSocket.ofThisThread(NETLINK_NETFILTER))
    }

    private init(_ socket: NetlinkSocket) {
        self.socket = socket
        opened = KernelClock.monotonicNow()
    }

    /// What the table has to say of a clash.
    ///
    /// - Parameter isOver: Asked between messages: whether to give up.
    /// - Throws: ``NetlinkError``; the table cannot be used after it.
    func evidence(of clash: NATClash, isOver: () -> Bool) throws(NetlinkError) -> NATClashEvidence {
        NATClashEvidence(
            hasOriginal: try hasOriginal(clash, isOver: isOver), holders: try holders(clash, isOver: isOver))
    }

    /// Whether there is an entry with the clash's original tuple as its own original tuple.
    private func hasOriginal(_ clash: NATClash, isOver: () -> Bool) throws(NetlinkError) -> Bool {
        let sequence = socket.nextSequence()
        var found = false
        do throws(NetlinkError) {
            let request = ConntrackRequest.get(clash.original, zone: clash.pair.zone, sequence: sequence)
            // The kernel finds an entry by its reply tuple as well (ctnetlink_get_conntrack()).
            try exchange(request, sequence: sequence, isOver: isOver) { found = $0.original == clash.original }
        } catch {
            guard error == .system(ENOENT) else { throw error }
        }
        return found
    }

    /// - Parameter filtered: Whether the kernel leaves out what it can; nil: where it works.
    func holders(
        _ clash: NATClash, filtered: Bool? = nil, isOver: () -> Bool
    ) throws(NetlinkError) -> [NATClashEvidence.Holder] {
        let filtered = if let filtered { filtered } else { try kernelFilters(isOver: isOver) }
        let sequence = socket.nextSequence()
        var holders: [NATClashEvidence.Holder] = []
        let request = ConntrackRequest.dump(clash.pair, filtered: filtered, sequence: sequence)
        try exchange(request, sequence: sequence, isOver: isOver) { entry in
            if holders.count < Self.mostHolders, let holder = clash.holder(entry) { holders.append(holder) }
        }
        return holders
    }

    private func kernelFilters(isOver: () -> Bool) throws(NetlinkError) -> Bool {
        if let kernelFilters { return kernelFilters }
        let sequence = socket.nextSequence()
        var isRefused = false
        do throws(NetlinkError) {
            try exchange(
                ConntrackRequest.filterProbe(sequence: sequence), sequence: sequence, isOver: isOver
            ) { _ in }
        } catch {
            guard error == .system(EINVAL) else { throw error }
            isRefused = true
        }
        kernelFilters = isRefused
        return isRefused
    }

    /// Bytes of a whole dump that are received at once: some 80 entries, for which the kernel keeps softirqs off.
    private static let dumpChunk = 16 << 10

    /// Adds up all entries, of both families. Takes 2 to 4 µs of CPU time an entry, three quarters of it the kernel's.
    ///
    /// - Parameter isOver: Asked between messages: whether to give up.
    /// - Throws: ``NetlinkError``; the table cannot be used after it.
    func dump(into tally: TableTally, isOver: () -> Bool) throws(NetlinkError) {
        let sequence = socket.nextSequence()
        try socket.exchange(
            ConntrackRequest.wholeDump(sequence: sequence), chunk: Self.dumpChunk, isOver: isOver
        ) {
            received, isComplete throws(NetlinkError) in
            try TableDump.add(received, sequence: sequence, to: tally, isComplete: &isComplete)
        }
    }

    /// The kernel's own counters of the table, all CPUs' together.
    ///
    /// - Throws: ``NetlinkError``; the table cannot be used after it.
    func statistics(isOver: () -> Bool) throws(NetlinkError) -> TableStatistics {
        let sequence = socket.nextSequence()
        var statistics = TableStatistics()
        try socket.exchange(ConntrackRequest.statistics(sequence: sequence), isOver: isOver) {
            received, isComplete throws(NetlinkError) in
            try statistics.add(received, sequence: sequence, isComplete: &isComplete)
        }
        return statistics
    }

    /// Takes an answer to its end. A dump that the table changed under (`NLM_F_DUMP_INTR`) is taken as it is.
    private func exchange(
        _ request: [UInt8], sequence: UInt32, isOver: () -> Bool, _ body: (ConntrackEntry) -> Void
    ) throws(NetlinkError) {
        try socket.exchange(request, isOver: isOver) { received, isComplete throws(NetlinkError) in
            try ConntrackReply.forEachEntry(in: received, sequence: sequence, isComplete: &isComplete, body)
        }
    }
}

/// What ctnetlink answers.
enum ConntrackReply {
    /// Calls `body` with each entry of a datagram. Messages with another sequence number are passed over.
    ///
    /// - Parameter isComplete: Set by what ends an answer: an acknowledgement, or the end of a dump.
    /// - Throws: ``NetlinkError``: `system` for the kernel's error, `malformed`.
    static func forEachEntry(
        in bytes: UnsafeRawBufferPointer, sequence: UInt32, isComplete: inout Bool, _ body: (ConntrackEntry) -> Void
    ) throws(NetlinkError) {
        try NetlinkMessage.forEach(in: bytes) { message throws(NetlinkError) in
            guard message.sequence == sequence else { return }
            if try message.isControl(&isComplete) { return }
            guard Int32(message.type) == ConntrackRequest.newEntry else { throw .malformed }
            body(try ConntrackEntry(parsing: message.payload))
        }
    }
}
