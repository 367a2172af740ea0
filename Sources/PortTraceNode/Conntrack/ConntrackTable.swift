internal import CLinux
internal import Glibc
internal import PortTraceCore

/// The conntrack table of one network namespace, through a socket that was opened inside it. The open socket keeps the
/// namespace from being removed.
final class ConntrackTable {
    /// Holders that are kept of one answer; as many as there are ports.
    static let mostHolders = 65_536

    /// Seconds without a message after which a request has failed.
    private static let patience = 2
    /// Bytes that are received at once; the kernel's dumps come in messages of 32 KiB at most (`netlink_dump()`).
    private static let bufferSize = 64 << 10

    /// CLOCK_MONOTONIC, nanoseconds.
    let opened: Int64

    private let socket: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var sequence: UInt32 = 0
    /// Whether the kernel filters dumps; nil while that is not known.
    private var kernelFilters: Bool?

    /// The table of the network namespace that the calling thread is in.
    ///
    /// - Throws: ``NetlinkError/system(_:)``: EPROTONOSUPPORT where the kernel has no netfilter.
    static func ofThisThread() throws(NetlinkError) -> ConntrackTable {
        let socket = Glibc.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, NETLINK_NETFILTER)
        guard socket >= 0 else { throw .system(errno) }
        let table = ConntrackTable(socket)
        var patience = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout.size(ofValue: patience)))
        var size = Int32(bufferSize)
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout.size(ofValue: size)))
        // A connected socket takes messages from nobody but the kernel (netlink_getsockbyportid()).
        var kernel = sockaddr_nl()
        kernel.nl_family = sa_family_t(AF_NETLINK)
        let connected = withUnsafePointer(to: &kernel) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard connected == 0 else { throw .system(errno) }
        return table
    }

    private init(_ socket: Int32) {
        self.socket = socket
        buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
        opened = KernelClock.monotonicNow()
    }

    deinit {
        close(socket)
        buffer.deallocate()
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
        sequence &+= 1
        var found = false
        do throws(NetlinkError) {
            let request = ConntrackRequest.get(clash.original, zone: clash.pair.zone, sequence: sequence)
            // The kernel finds an entry by its reply tuple as well (ctnetlink_get_conntrack()).
            try exchange(request, isOver: isOver) { found = $0.original == clash.original }
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
        sequence &+= 1
        var holders: [NATClashEvidence.Holder] = []
        let request = ConntrackRequest.dump(clash.pair, filtered: filtered, sequence: sequence)
        try exchange(request, isOver: isOver) { entry in
            if holders.count < Self.mostHolders, let holder = clash.holder(entry) { holders.append(holder) }
        }
        return holders
    }

    private func kernelFilters(isOver: () -> Bool) throws(NetlinkError) -> Bool {
        if let kernelFilters { return kernelFilters }
        sequence &+= 1
        var isRefused = false
        do throws(NetlinkError) {
            try exchange(ConntrackRequest.filterProbe(sequence: sequence), isOver: isOver) { _ in }
        } catch {
            guard error == .system(EINVAL) else { throw error }
            isRefused = true
        }
        kernelFilters = isRefused
        return isRefused
    }

    /// Adds up all entries, of both families. Takes about a second for a million of them, most of it the kernel's, and
    /// 64 KB whatever their number.
    ///
    /// - Parameter isOver: Asked between messages: whether to give up.
    /// - Throws: ``NetlinkError``; the table cannot be used after it.
    func dump(into tally: TableTally, isOver: () -> Bool) throws(NetlinkError) {
        sequence &+= 1
        try transact(ConntrackRequest.wholeDump(sequence: sequence), isOver: isOver) {
            received, isComplete throws(NetlinkError) in
            try TableDump.add(received, sequence: sequence, to: tally, isComplete: &isComplete)
        }
    }

    /// The kernel's own counters of the table, all CPUs' together.
    ///
    /// - Throws: ``NetlinkError``; the table cannot be used after it.
    func statistics(isOver: () -> Bool) throws(NetlinkError) -> TableStatistics {
        sequence &+= 1
        var statistics = TableStatistics()
        try transact(ConntrackRequest.statistics(sequence: sequence), isOver: isOver) {
            received, isComplete throws(NetlinkError) in
            try statistics.add(received, sequence: sequence, isComplete: &isComplete)
        }
        return statistics
    }

    /// Sends a request and takes its answer to the end. A dump that the table changed under (`NLM_F_DUMP_INTR`) is
    /// taken as it is.
    private func exchange(
        _ request: [UInt8], isOver: () -> Bool, _ body: (ConntrackEntry) -> Void
    ) throws(NetlinkError) {
        try transact(request, isOver: isOver) { received, isComplete throws(NetlinkError) in
            try ConntrackReply.forEachEntry(in: received, sequence: sequence, isComplete: &isComplete, body)
        }
    }

    /// - Parameter take: Takes a datagram, and says whether it was the answer's last.
    private func transact(
        _ request: [UInt8], isOver: () -> Bool,
        _ take: (UnsafeRawBufferPointer, inout Bool) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        guard send(socket, request, request.count, 0) == request.count else { throw .system(errno) }
        var isComplete = false
        while !isComplete {
            if isOver() { throw .late }
            let count = recv(socket, buffer.baseAddress, buffer.count, Int32(MSG_TRUNC))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw errno == EAGAIN ? .late : .system(errno) }
            guard count <= buffer.count else { throw .malformed }
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &isComplete)
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
            switch Int32(message.type) {
            case NLMSG_NOOP: break
            case NLMSG_ERROR, NLMSG_DONE:  // Both begin with an error number, 0 or negative.
                guard message.payload.count >= MemoryLayout<Int32>.size else { throw .malformed }
                let code = message.payload.loadUnaligned(as: Int32.self)
                guard code == 0 else { throw .system(0 &- code) }
                isComplete = true
            case ConntrackRequest.newEntry: body(try ConntrackEntry(parsing: message.payload))
            default: throw .malformed
            }
        }
    }
}
