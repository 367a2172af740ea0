internal import CLibbpf
internal import Glibc

/// The reading end of a BPF_MAP_TYPE_RINGBUF map.
public struct RingBuffer: ~Copyable {
    /// What receives the records.
    public final class Receiver {
        /// Takes a record, valid during the call only; false stops the reading after it.
        let receive: (UnsafeRawBufferPointer) -> Bool

        public init(_ receive: @escaping (UnsafeRawBufferPointer) -> Bool) {
            self.receive = receive
        }
    }

    private let pointer: OpaquePointer
    private let receiver: Receiver

    public init(_ map: Map, receiver: Receiver) throws(BPFError) {
        let ring = ring_buffer__new(
            map.descriptor,
            { context, data, size in
                let receiver = Unmanaged<Receiver>.fromOpaque(context!).takeUnretainedValue()
                return receiver.receive(UnsafeRawBufferPointer(start: data, count: size)) ? 0 : -ECANCELED
            },
            Unmanaged.passUnretained(receiver).toOpaque(), nil)
        guard let ring else { throw BPFError("read", map.name) }
        pointer = ring
        self.receiver = receiver
    }

    deinit { ring_buffer__free(pointer) }

    /// Readable when there are records.
    public var descriptor: Int32 { ring_buffer__epoll_fd(pointer) }

    /// Hands every record that is there to the receiver, until it asks to stop.
    public func consume() throws(BPFError) {
        let result = ring_buffer__consume(pointer)
        guard result >= 0 || result == -ECANCELED else { throw BPFError("read", "the ring buffer", code: -result) }
    }
}
