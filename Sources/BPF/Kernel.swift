internal import CLibbpf
internal import Glibc

/// What this kernel takes, found by really loading a program of two instructions.
public enum Kernel {
    /// The instructions `r0 = 0; exit`.
    private static let nothing: [UInt64] = [0xb7, 0x95]

    /// Attaches an empty program to a function's return through a BPF trampoline, and removes it again.
    public static func tryFexit(_ function: String) throws(BPFError) {
        let type = libbpf_find_vmlinux_btf_id(function, BPF_TRACE_FEXIT)
        guard type > 0 else { throw BPFError("find", function, code: -type) }
        var options = bpf_prog_load_opts()
        options.sz = MemoryLayout<bpf_prog_load_opts>.size
        options.expected_attach_type = BPF_TRACE_FEXIT
        options.attach_btf_id = UInt32(type)
        try tryTracing(BPF_PROG_TYPE_TRACING, &options, tracepoint: nil, object: function)
    }

    /// Attaches an empty program to a raw tracepoint, and removes it again.
    public static func tryRawTracepoint(_ tracepoint: String) throws(BPFError) {
        var options = bpf_prog_load_opts()
        options.sz = MemoryLayout<bpf_prog_load_opts>.size
        try tryTracing(BPF_PROG_TYPE_RAW_TRACEPOINT, &options, tracepoint: tracepoint, object: tracepoint)
    }

    private static func tryTracing(
        _ type: bpf_prog_type, _ options: inout bpf_prog_load_opts, tracepoint: String?, object: String
    ) throws(BPFError) {
        let program = nothing.withUnsafeBytes { bytes in
            bpf_prog_load(
                type, "pt_probe", "GPL", bytes.assumingMemoryBound(to: bpf_insn.self).baseAddress, nothing.count,
                &options)
        }
        guard program >= 0 else { throw BPFError("load", object, code: -program) }
        defer { close(program) }
        let link = bpf_raw_tracepoint_open(tracepoint, program)
        guard link >= 0 else { throw BPFError("attach", object, code: -link) }
        close(link)
    }

    /// CPUs that there may be, online or not: as many values has a key of a per-CPU map.
    public static var possibleCPUs: Int { max(Int(libbpf_num_possible_cpus()), 1) }

    /// The value of an enumerator of the kernel's, also of an enumeration without a name; nil: there is none.
    ///
    /// Looks at all of the kernel's types, which takes some 20 MB for that time.
    ///
    /// - Parameter file: where the kernel's types are; nil: in the kernel itself.
    /// - Throws: ``BPFError`` where they cannot be read.
    public static func enumerator(_ name: String, typesFrom file: String?) throws(BPFError) -> UInt32? {
        let types = file.map { btf__parse($0, nil) } ?? btf__load_vmlinux_btf()
        guard let types else { throw BPFError("read", file ?? "the kernel's types") }
        defer { btf__free(types) }
        return name.withCString { name in
            for id in 1..<btf__type_cnt(types) {
                // kind << 24 | number of members (linux/btf.h); the members of an enumeration follow it.
                guard let type = btf__type_by_id(types, id), type.pointee.info >> 24 & 0x1f == UInt32(BTF_KIND_ENUM)
                else {
                    continue
                }
                let members = UnsafeRawPointer(type + 1).assumingMemoryBound(to: btf_enum.self)
                for member in 0..<Int(type.pointee.info & 0xffff) {
                    guard let found = btf__name_by_offset(types, members[member].name_off), strcmp(found, name) == 0
                    else { continue }
                    return UInt32(bitPattern: members[member].val)
                }
            }
            return nil
        }
    }

    /// Whether a file holds kernel types in BTF.
    ///
    /// - Throws: ``BPFError`` where the file cannot be opened.
    public static func hasTypes(inFile path: String) throws(BPFError) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw BPFError("open", path) }
        close(file)
        guard let types = btf__parse(path, nil) else { return false }
        btf__free(types)
        return true
    }
}
