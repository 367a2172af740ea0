/// Bytes that wait to be written: appended at the end, consumed from the front.
///
/// Both cost amortised constant time a byte. Memory grows with what waits, and is given back when all of a
/// large backlog has gone.
struct OutputBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private var start = 0
    private var end = 0

    private static var smallest: Int { 16 * 1024 }
    private static var large: Int { 512 * 1024 }

    init() {
        capacity = OutputBuffer.smallest
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit {
        base.deallocate()
    }

    /// Bytes that wait.
    var count: Int { end - start }

    /// Gives the bytes that wait; the buffer lives as long as the call.
    borrowing func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(start: base + start, count: count))
    }

    /// Forgets the first bytes, which have been written.
    ///
    /// - Precondition: no more than wait.
    mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= self.count)
        start += count
        guard start == end else { return }
        start = 0
        end = 0
        if capacity > OutputBuffer.large {
            base.deallocate()
            capacity = OutputBuffer.smallest
            base = .allocate(byteCount: capacity, alignment: 16)
        }
    }

    /// Forgets all but the first bytes of what waits.
    ///
    /// - Precondition: no more than wait.
    mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count)
        end = start + count
    }

    @inline(__always)
    mutating func append(byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: end, as: UInt8.self)
        end += 1
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let address = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + end).copyMemory(from: address, byteCount: bytes.count)
        end += bytes.count
    }

    @inline(__always)
    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// Makes room for so many more bytes.
    @inline(__always)
    mutating func reserve(_ count: Int) {
        if capacity - end < count { makeRoom(count) }
    }

    /// Adds so many bytes, which the body fills.
    @inline(__always)
    mutating func append(count: Int, _ body: (UnsafeMutableRawPointer) -> Void) {
        reserve(count)
        body(base + end)
        end += count
    }

    @inline(never)
    private mutating func makeRoom(_ count: Int) {
        let waiting = self.count
        // Moving to the front is enough where it frees at least half: constant time a byte in the end.
        if waiting + count > capacity / 2 {
            capacity = max(2 * capacity, waiting + count)
            let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            grown.copyMemory(from: base + start, byteCount: waiting)
            base.deallocate()
            base = grown
        } else {
            base.copyMemory(from: base + start, byteCount: waiting)
        }
        start = 0
        end = waiting
    }
}
