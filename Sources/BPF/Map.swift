internal import CLibbpf
internal import Glibc

/// A loaded map.
public struct Map {
    public let descriptor: Int32
    /// The sizes of an element, in bytes.
    public let keySize: Int
    public let valueSize: Int
    public let capacity: Int

    /// The map behind a descriptor, which stays the caller's.
    public init(_ descriptor: Int32) throws(BPFError) {
        var info = bpf_map_info()
        var size = UInt32(MemoryLayout<bpf_map_info>.size)
        guard bpf_obj_get_info_by_fd(descriptor, &info, &size) == 0 else { throw BPFError("read", "a map's size") }
        self.descriptor = descriptor
        keySize = Int(info.key_size)
        valueSize = Int(info.value_size)
        capacity = Int(info.max_entries)
    }

    /// Copies the value of a key into `value`; false where there is none.
    public func read(_ key: UnsafeRawPointer, into value: UnsafeMutableRawPointer) -> Bool {
        RealtimePriority.during { bpf_map_lookup_elem(descriptor, key, value) } == 0
    }

    /// Writes the value of a key.
    public func write(_ key: UnsafeRawPointer, _ value: UnsafeRawPointer) throws(BPFError) {
        guard RealtimePriority.during({ bpf_map_update_elem(descriptor, key, value, 0) }) == 0 else {
            throw BPFError("write", "a map")
        }
    }

    /// Removes a key; one that is not there is none.
    public func remove(_ key: UnsafeRawPointer) {
        _ = RealtimePriority.during { bpf_map_delete_elem(descriptor, key) }
    }

    /// All keys, one after the other, as they are while nobody removes any.
    public func keys() -> [UInt8] {
        var keys: [UInt8] = []
        var key = [UInt8](repeating: 0, count: keySize)
        var next = key
        func advance() -> Bool {
            let isFirst = keys.isEmpty
            return RealtimePriority.during {
                key.withUnsafeBytes { bpf_map_get_next_key(descriptor, isFirst ? nil : $0.baseAddress, &next) }
            } == 0
        }
        while advance() {
            keys += next
            key = next
        }
        return keys
    }

    /// Maps the values of an array made with BPF_F_MMAPABLE into memory, until the process ends.
    ///
    /// - Parameter bytes: From the first value on; a page at least.
    public func mapped(bytes: Int = 1) throws(BPFError) -> UnsafeMutableRawPointer {
        let page = sysconf(Int32(_SC_PAGESIZE))
        let size = (bytes + page - 1) / page * page
        let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw BPFError("map", "an array") }
        return address
    }
}

/// Takes all elements out of hash maps, or reads them, in batches.
public final class BatchReader {
    private let keys: UnsafeMutableRawBufferPointer
    private let values: UnsafeMutableRawBufferPointer
    private let rows: UInt32

    /// - Parameter rows: How many elements a batch may have, at least the most that one hash bucket holds.
    public init(keySize: Int, valueSize: Int, rows: Int) {
        keys = .allocate(byteCount: keySize * rows, alignment: 8)
        values = .allocate(byteCount: valueSize * rows, alignment: 8)
        self.rows = UInt32(rows)
    }

    deinit {
        keys.deallocate()
        values.deallocate()
    }

    /// Removes every element of the map and hands them out; the buffers are valid during the call only. Elements
    /// that come in meanwhile may be left.
    ///
    /// - Throws: ``BPFError``; what was handed out until then is removed, the rest is still in the map.
    public func drain(
        _ map: Map, _ body: (_ keys: UnsafeRawBufferPointer, _ values: UnsafeRawBufferPointer, _ count: Int) -> Void
    ) throws(BPFError) {
        try read(map, with: bpf_map_lookup_and_delete_batch, body)
    }

    /// Hands every element of the map out, and leaves it there.
    public func read(
        _ map: Map, _ body: (_ keys: UnsafeRawBufferPointer, _ values: UnsafeRawBufferPointer, _ count: Int) -> Void
    ) throws(BPFError) {
        try read(map, with: bpf_map_lookup_batch, body)
    }

    /// A call on a batch of elements: the map, where the last batch has ended, where this one does, keys, values, how many.
    private typealias BatchCall = (
        Int32, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?,
        UnsafeMutablePointer<UInt32>?, UnsafePointer<bpf_map_batch_opts>?
    ) -> Int32

    private func read(
        _ map: Map, with call: BatchCall,
        _ body: (_ keys: UnsafeRawBufferPointer, _ values: UnsafeRawBufferPointer, _ count: Int) -> Void
    ) throws(BPFError) {
        var position: UInt32?
        while true {
            var count = rows
            var next: UInt32 = 0
            let result = RealtimePriority.during {
                guard var position else {
                    return call(map.descriptor, nil, &next, keys.baseAddress, values.baseAddress, &count, nil)
                }
                return call(map.descriptor, &position, &next, keys.baseAddress, values.baseAddress, &count, nil)
            }
            let code = errno
            // ENOENT is the end; it may come together with the last elements.
            guard result == 0 || code == ENOENT else { throw BPFError("read", "a map", code: code) }
            if count > 0 {
                body(
                    UnsafeRawBufferPointer(rebasing: keys[..<(map.keySize * Int(count))]),
                    UnsafeRawBufferPointer(rebasing: values[..<(map.valueSize * Int(count))]), Int(count))
            }
            if result != 0 { return }
            position = next
        }
    }
}
