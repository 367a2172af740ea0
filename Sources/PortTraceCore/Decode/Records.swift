internal import CPortTraceWire

/// The ring buffer's record: one failure, to be shown at once.
struct Sample {
    var key: pt_key
    var failure: Failure
    /// CLOCK_MONOTONIC, nanoseconds.
    var time: UInt64
    /// The generation that counted it.
    var generation: UInt32

    /// Reads a `pt_sample`, at any alignment.
    ///
    /// - Throws: ``DecodeError``: `size` for a record cut short or too long, else as for ``Failure``.
    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodeError) {
        let size = MemoryLayout<pt_sample>.size
        guard bytes.count == size else { throw .size(bytes.count, expected: size) }
        let record = bytes.loadUnaligned(as: pt_sample.self)
        key = record.key
        failure = try Failure(key: record.key, detail: record.detail)
        time = record.time_ns
        generation = record.generation
    }
}

/// A row of a retired count map: a key and how often it failed.
struct CountRow {
    var key: pt_key
    var failure: Failure
    /// All failures of the key.
    var count: UInt64
    /// Those of them that went through the ring.
    var sampled: UInt64
    /// The first and last of the others, CLOCK_MONOTONIC, nanoseconds; 0 where there are none.
    var restFirst: UInt64
    var restLast: UInt64

    /// Those that are still to be reported where each sample was.
    var rest: UInt64 { count - sampled }

    /// Reads a `pt_key` and its `pt_count`, at any alignment.
    ///
    /// - Throws: ``DecodeError``: `size`, `count` where there are more samples than failures or more failures than can
    ///   be, else as for ``Failure``.
    init(key keyBytes: UnsafeRawBufferPointer, value valueBytes: UnsafeRawBufferPointer) throws(DecodeError) {
        guard keyBytes.count == CountRow.keySize else {
            throw .size(keyBytes.count, expected: CountRow.keySize)
        }
        guard valueBytes.count == CountRow.valueSize else {
            throw .size(valueBytes.count, expected: CountRow.valueSize)
        }
        let value = valueBytes.loadUnaligned(as: pt_count.self)
        guard value.sampled <= value.count, value.count <= CountRow.mostFailures else {
            throw .count(value.count, sampled: value.sampled)
        }
        key = keyBytes.loadUnaligned(as: pt_key.self)
        failure = try Failure(key: key, detail: value.detail)
        count = value.count
        sampled = value.sampled
        restFirst = value.rest_first_ns
        restLast = value.rest_last_ns
    }

    /// More failures of one key in one interval than any machine makes; sums of such rows do not overflow.
    private static let mostFailures: UInt64 = 1 << 40

    /// Bytes of a key.
    static var keySize: Int { MemoryLayout<pt_key>.size }
    /// Bytes of a value.
    static var valueSize: Int { MemoryLayout<pt_count>.size }
}
