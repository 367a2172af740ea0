internal import BPF
internal import CPortTraceWire
internal import Glibc

/// The reading side of bpf/record.bpf.h: the ring of samples and the two generations of counts.
///
/// A flush is: switch the generation, take what the ring has, drain the generation before. No increment is lost or
/// counted twice: the maps are drained only when no program can see them any more.
public final class FailureRecords {
    /// What became of the run's records so far.
    public struct Losses: Sendable, Equatable {
        /// Samples for which the ring had no room; their failures are in the counts.
        public var ring: UInt64
        /// Failures that could not be told for want of what came before them, at most.
        public var unremembered: UInt64
    }

    private let counts: Generations
    private let folded: Generations
    private let other: Map
    private let barrier: Map
    private let control: UnsafeMutablePointer<pt_control>
    private let ring: RingBuffer
    private let reader: BatchReader
    private var flushed: UInt64 = 0

    /// One map for the even generations and one for the odd ones.
    private struct Generations {
        var even: Map
        var odd: Map

        subscript(generation: UInt32) -> Map { generation & 1 == 0 ? even : odd }
    }

    /// - Parameters:
    ///   - maps: The descriptors of bpf/maps.bpf.c's maps.
    ///   - each: Whether every failure is to be sampled.
    ///   - hierarchy: Where containers may be in cgroup v1.
    init(maps: [SharedMap: Int32], each: Bool, hierarchy: CgroupHierarchy?) throws(BPFError) {
        func map(_ name: SharedMap) throws(BPFError) -> Map { try Map(maps[name]!) }
        counts = Generations(even: try map(.evenCounts), odd: try map(.oddCounts))
        folded = Generations(even: try map(.evenFolded), odd: try map(.oddFolded))
        other = try map(.other)
        barrier = try map(.counts)
        control = try map(.control).mapped().assumingMemoryBound(to: pt_control.self)
        control.pointee.each = each ? 1 : 0
        control.pointee.v1 = hierarchy?.wire ?? 0
        let samples = try map(.samples)
        ring = try RingBuffer(samples)
        sampleCapacity = samples.capacity / (MemoryLayout<pt_sample>.size + 8)
        reader = BatchReader(keySize: counts.even.keySize, valueSize: counts.even.valueSize, rows: 1024)
    }

    /// The most samples that the ring holds: each has a header of 8 bytes (kernel/bpf/ringbuf.c).
    public let sampleCapacity: Int

    /// Readable when there are samples.
    public var descriptor: Int32 { ring.descriptor }

    public var losses: Losses {
        Losses(ring: control.pointee.ring_lost, unremembered: control.pointee.unremembered)
    }

    /// Hands out the samples that are there, each one struct pt_sample that is valid during the call only, until
    /// `receive` returns false.
    ///
    /// - Returns: Whether all were handed out.
    public func readSamples(_ receive: (UnsafeRawBufferPointer) -> Bool) throws(ProbeError) -> Bool {
        try ProbeError.wrapping { () throws(BPFError) in try ring.consume(receive) }
    }

    /// Whether anything was counted since the last flush.
    public var hasCounts: Bool { control.pointee.recorded != flushed }

    /// Begins a new generation and returns the one before, which no program counts into any more.
    public func switchGeneration() throws(ProbeError) -> UInt32 {
        flushed = control.pointee.recorded
        let before = control.pointee.generation
        control.pointee.generation = before &+ 1
        // An update of a map of maps, here of what it has already, returns when every program that could have seen
        // the state before has ended (bpf/maps.bpf.h).
        var first: UInt32 = 0
        var descriptor = counts.even.descriptor
        try ProbeError.wrapping { () throws(BPFError) in try barrier.write(&first, &descriptor) }
        return before
    }

    /// Takes all counts of a generation out of the maps. The keys are struct pt_key, the values struct pt_count,
    /// `count` of each one after the other, valid during the call only.
    public func drain(
        generation: UInt32,
        _ body: (_ keys: UnsafeRawBufferPointer, _ values: UnsafeRawBufferPointer, _ count: Int) -> Void
    ) throws(ProbeError) {
        try ProbeError.wrapping { () throws(BPFError) in
            try reader.drain(counts[generation], body)
            try reader.drain(folded[generation], body)
            try drainOther(generation: generation, body)
        }
    }

    private func drainOther(
        generation: UInt32,
        _ body: (_ keys: UnsafeRawBufferPointer, _ values: UnsafeRawBufferPointer, _ count: Int) -> Void
    ) throws(BPFError) {
        for kind in 1..<PT_KIND_END.rawValue {
            var index = (generation & 1) * PT_KIND_END.rawValue + kind
            var value = pt_count()
            guard other.read(&index, into: &value), value.count > 0 else { continue }
            var key = pt_key()
            key.kind = UInt8(kind)
            key.flags = UInt8(PT_FLAG_FOLDED.rawValue | PT_FLAG_OTHER.rawValue)
            withUnsafeBytes(of: &key) { key in
                withUnsafeBytes(of: &value) { value in body(key, value, 1) }
            }
            var zero = pt_count()
            try other.write(&index, &zero)
        }
    }
}
