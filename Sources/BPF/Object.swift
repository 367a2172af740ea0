internal import CLibbpf
internal import Glibc

/// A BPF object file, opened from memory. Closes it, with its programs and maps, when it goes away; maps that
/// another object uses too stay.
public struct Object: ~Copyable {
    let pointer: OpaquePointer
    public let name: String

    /// Opens the object: parses it, loads nothing.
    ///
    /// - Parameters:
    ///   - btf: A file with the kernel's types, where the kernel does not give its own.
    /// - Throws: ``BPFError`` where the bytes are no BPF object or `btf` cannot be read.
    public init(_ bytes: [UInt8], name: String, btf: String?) throws(BPFError) {
        var options = bpf_object_open_opts()
        options.sz = MemoryLayout<bpf_object_open_opts>.size
        let opened = bytes.withUnsafeBytes { bytes in
            name.withCString { name in
                options.object_name = name
                guard let btf else {
                    return bpf_object__open_mem(bytes.baseAddress, bytes.count, &options)
                }
                return btf.withCString { btf in
                    options.btf_custom_path = btf
                    return bpf_object__open_mem(bytes.baseAddress, bytes.count, &options)
                }
            }
        }
        guard let opened else { throw BPFError("open", name) }
        pointer = opened
        self.name = name
        var program = bpf_object__next_program(pointer, nil)
        while let each = program {
            bpf_program__set_autoload(each, false)
            program = bpf_object__next_program(pointer, each)
        }
    }

    deinit { bpf_object__close(pointer) }

    /// Loads the maps and the programs that were selected.
    public func load() throws(BPFError) {
        guard bpf_object__load(pointer) == 0 else { throw BPFError("load", name) }
    }

    /// The program of that name; it is valid as long as the object.
    public func program(_ name: String) throws(BPFError) -> Program {
        guard let program = bpf_object__find_program_by_name(pointer, name) else {
            throw BPFError("find program", name)
        }
        return Program(pointer: program, name: name)
    }

    /// The descriptor of the map of that name, once loaded; the object's to close.
    public func mapDescriptor(_ name: String) throws(BPFError) -> Int32 {
        bpf_map__fd(try map(name))
    }

    /// Sets the capacity of a map, before the object is loaded.
    public func resizeMap(_ name: String, to capacity: UInt32) throws(BPFError) {
        guard bpf_map__set_max_entries(try map(name), capacity) == 0 else { throw BPFError("resize", name) }
    }

    private func map(_ name: String) throws(BPFError) -> OpaquePointer {
        guard let map = bpf_object__find_map_by_name(pointer, name) else { throw BPFError("find map", name) }
        return map
    }

    /// Makes this object, before it is loaded, use a loaded map, where it has one of that name.
    public func useMap(_ name: String, _ descriptor: Int32) throws(BPFError) {
        guard let own = bpf_object__find_map_by_name(pointer, name) else { return }
        guard bpf_map__reuse_fd(own, descriptor) == 0 else { throw BPFError("share map", name) }
    }
}
