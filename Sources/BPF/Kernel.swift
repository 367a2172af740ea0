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
