import CPortTraceWire

@testable import PortTraceCore

/// The kernel's side as bpf/record.bpf.h does it: two generations of maps, a folded one, one other key a kind, a
/// ring; small enough that all of them overflow.
struct KernelModel {
    struct Key: Hashable {
        var key: pt_key
        static func == (left: Key, right: Key) -> Bool { left.key.bytes == right.key.bytes }
        func hash(into hasher: inout Hasher) { hasher.combine(key.bytes) }
    }

    private struct Maps {
        var counts: [Key: pt_count] = [:]
        var folded: [Key: pt_count] = [:]
        var other: [Key: pt_count] = [:]
    }

    let mostKeys: Int
    let mostFolded: Int
    let ringSize: Int
    let each: Bool
    private(set) var generation: UInt32
    private var maps = [Maps(), Maps()]
    private var ring: [pt_sample] = []
    private(set) var ringLost: UInt64 = 0
    /// The truth: failures by kind.
    private(set) var truth: [UInt8: UInt64] = [:]

    init(mostKeys: Int, mostFolded: Int, ringSize: Int, each: Bool, generation: UInt32 = 0) {
        self.mostKeys = mostKeys
        self.mostFolded = mostFolded
        self.ringSize = ringSize
        self.each = each
        self.generation = generation
    }

    mutating func record(_ key: pt_key, _ detail: pt_detail, at time: UInt64) {
        truth[key.kind, default: 0] += 1
        let half = Int(generation & 1)
        let isState = key.kind == UInt8(PT_KIND_TCP_STATE.rawValue)
        if isState, ring.count < ringSize {
            ring.append(pt_sample(key: key, detail: detail, time_ns: time, generation: generation, unused: 0))
            return
        }
        ringLost += isState ? 1 : 0
        func count(
            _ counted: pt_key, in map: inout [Key: pt_count], most: Int,
            _ model: inout (ring: [pt_sample], lost: UInt64)
        ) -> Bool {
            var fresh = false
            if map[Key(key: counted)] == nil {
                guard map.count < most else { return false }
                fresh = true
                var value = pt_count()
                value.detail = detail
                map[Key(key: counted)] = value
            }
            var value = map[Key(key: counted)] ?? pt_count()
            value.count += 1
            defer { map[Key(key: counted)] = value }
            if !isState, each || (fresh && counted.flags & UInt8(PT_FLAG_OTHER.rawValue) == 0) {
                if model.ring.count < ringSize {
                    var sample = pt_sample()
                    sample.key = each ? key : counted
                    sample.detail = detail
                    sample.time_ns = time
                    sample.generation = generation
                    model.ring.append(sample)
                    value.sampled += 1
                    return true
                }
                model.lost += 1
            }
            if value.rest_first_ns == 0 {
                value.rest_first_ns = time
                value.detail = detail
            }
            value.rest_last_ns = time
            return true
        }
        var shared = (ring: ring, lost: ringLost)
        ring = []
        if !count(key, in: &maps[half].counts, most: mostKeys, &shared),
            !count(key.folded, in: &maps[half].folded, most: mostFolded, &shared)
        {
            _ = count(key.other, in: &maps[half].other, most: .max, &shared)
        }
        (ring, ringLost) = shared
    }

    /// Gives the ring's samples.
    mutating func consumeRing(into test: TestStream) {
        for sample in ring { test.sample(sample) }
        ring.removeAll()
    }

    /// Switches the generation; the old one is returned.
    mutating func switchGeneration() -> UInt32 {
        defer { generation &+= 1 }
        return generation
    }

    /// Gives a retired generation's rows and empties its maps.
    mutating func drain(_ generation: UInt32, into stream: EventStream) {
        let half = Int(generation & 1)
        for map in [maps[half].counts, maps[half].folded, maps[half].other] {
            let keys = map.flatMap { $0.key.key.bytes }
            let values = map.flatMap { $0.value.bytes }
            keys.withUnsafeBytes { keys in
                values.withUnsafeBytes { values in
                    stream.rows(keys: keys, values: values, count: map.count, generation: generation)
                }
            }
        }
        maps[half] = Maps()
    }
}
