internal import CLibbpf
internal import Glibc

/// The reading end of a BPF_MAP_TYPE_RINGBUF map.
public struct RingBuffer: ~Copyable {
    /// What takes the records while ``consume(_:)`` runs.
    private final class Receiver {
        var receive: ((UnsafeRawBufferPointer) -> Bool)?
    }

    private let pointer: OpaquePointer
    private let receiver = Receiver()

    public init(_ map: Map) throws(BPFError) {
        let ring = ring_buffer__new(
            map.descriptor,
            { context, data, size in
                let receiver = Unmanaged<Receiver>.fromOpaque(context!).takeUnretainedValue()
                return receiver.receive!(UnsafeRawBufferPointer(start: data, count: size)) ? 0 : -ECANCELED
            },
            Unmanaged.passUnretained(receiver).toOpaque(), nil)
        guard let ring else { throw BPFError("read", "a ring buffer") }
        pointer = ring
    }

    deinit { ring_buffer__free(pointer) }

    /// Readable when there are records.
    public var descriptor: Int32 { ring_buffer__epoll_fd(pointer) }

    /// Hands out the records that are there, each valid during the call only, until `receive` returns false.
    ///
    /// - Returns: Whether all were handed out.
    public func consume(_ receive: (UnsafeRawBufferPointer) -> Bool) throws(BPFError) -> Bool {
        let result = withoutActuallyEscaping(receive) { receive in
            receiver.receive = receive
            defer { receiver.receive = nil }
            return ring_buffer__consume(pointer)
        }
        guard result >= 0 || result == -ECANCELED else { throw BPFError("read", "a ring buffer", code: -result) }
        return result >= 0
    }
}
