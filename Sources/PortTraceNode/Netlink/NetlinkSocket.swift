internal import CLinux
internal import Glibc

/// A question and its answer at a time, with the kernel of the network namespace in which it was opened. Open, it keeps
/// the namespace from being removed.
final class NetlinkSocket {
    /// Seconds without a message after which a request has failed.
    private static let patience = 2
    /// Bytes that are received at once; the kernel's dumps come in messages of 32 KiB at most (`netlink_dump()`).
    static let bufferSize = 64 << 10

    private let socket: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var sequence: UInt32 = 0

    /// A number for the next request.
    func nextSequence() -> UInt32 {
        sequence &+= 1
        return sequence
    }

    /// A socket in the network namespace that the calling thread is in.
    ///
    /// - Parameter proto: `NETLINK_*`.
    /// - Throws: ``NetlinkError/system(_:)``: EPROTONOSUPPORT where the kernel does not have it.
    static func ofThisThread(_ proto: Int32) throws(NetlinkError) -> NetlinkSocket {
        let socket = Glibc.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | O_CLOEXEC, proto)
        guard socket >= 0 else { throw .system(errno) }
        let opened = NetlinkSocket(socket)
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
        return opened
    }

    private init(_ socket: Int32) {
        self.socket = socket
        buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
    }

    deinit {
        close(socket)
        buffer.deallocate()
    }

    /// Sends a request and takes its answer to the end.
    ///
    /// - Parameters:
    ///   - chunk: Bytes that are received at once. The kernel makes a dump's messages no longer than that (up to 32 KiB),
    ///     and some dumps keep softirqs off while one is made.
    ///   - isOver: Asked between messages: whether to give up.
    ///   - take: Takes a datagram, and says whether it was the answer's last.
    /// - Throws: ``NetlinkError``; the socket cannot be used after it, unless `take` has thrown the kernel's refusal.
    func exchange(
        _ request: [UInt8], chunk: Int = bufferSize, isOver: () -> Bool = { false },
        _ take: (UnsafeRawBufferPointer, inout Bool) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        guard send(socket, request, request.count, 0) == request.count else { throw .system(errno) }
        var isComplete = false
        while !isComplete {
            if isOver() { throw .late }
            let count = recv(socket, buffer.baseAddress, min(chunk, buffer.count), Int32(MSG_TRUNC))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw errno == EAGAIN ? .late : .system(errno) }
            guard count <= chunk, count <= buffer.count else { throw .malformed }
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &isComplete)
        }
    }
}

extension NetlinkMessage {
    /// Whether it is about the exchange itself, and not a part of the answer.
    ///
    /// - Parameter isComplete: Set by what ends an answer: an acknowledgement, or the end of a dump.
    /// - Throws: ``NetlinkError``: `system` for the kernel's error, `malformed`.
    func isControl(_ isComplete: inout Bool) throws(NetlinkError) -> Bool {
        switch Int32(type) {
        case NLMSG_NOOP: return true
        case NLMSG_ERROR, NLMSG_DONE:  // Both begin with an error number, 0 or negative.
            guard payload.count >= MemoryLayout<Int32>.size else { throw .malformed }
            let code = payload.loadUnaligned(as: Int32.self)
            guard code == 0 else { throw .system(0 &- code) }
            isComplete = true
            return true
        default: return false
        }
    }
}
