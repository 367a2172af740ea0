internal import CLibbpf
internal import Glibc

/// A program of an ``Object``.
public struct Program {
    let pointer: OpaquePointer
    public let name: String

    /// Selects the program to be loaded with its object.
    public func select() {
        bpf_program__set_autoload(pointer, true)
    }

    /// Once loaded; the object's to close.
    public var descriptor: Int32 { bpf_program__fd(pointer) }

    /// Runs a loaded raw tracepoint's program once, in this process, with these arguments.
    ///
    /// - Returns: What it returned.
    public func run(_ arguments: [UInt64]) throws(BPFError) -> UInt32 {
        try Self.run(descriptor, arguments)
    }

    /// The same by its descriptor.
    ///
    /// - Parameter cpu: On which CPU, in an interrupt there; nil: in this thread.
    /// - Throws: ``BPFError``; ENXIO where that CPU is offline.
    @discardableResult
    public static func run(
        _ program: Int32, _ arguments: [UInt64] = [], cpu: UInt32? = nil
    ) throws(BPFError) -> UInt32 {
        var options = bpf_test_run_opts()
        options.sz = MemoryLayout<bpf_test_run_opts>.size
        if let cpu {
            options.flags = UInt32(BPF_F_TEST_RUN_ON_CPU)
            options.cpu = cpu
        }
        let code = arguments.withUnsafeBytes { bytes in
            if !bytes.isEmpty { options.ctx_in = bytes.baseAddress }
            options.ctx_size_in = UInt32(bytes.count)
            return bpf_prog_test_run_opts(program, &options)
        }
        guard code == 0 else { throw BPFError("run", "a program", code: -code) }
        return options.retval
    }

    /// Lets a loaded iterator's program look at all that there is, in this thread.
    ///
    /// - Parameter most: How often it may take the next 1,000,000 objects (MAX_ITER_OBJECTS, kernel/bpf/bpf_iter.c).
    /// - Returns: Whether it has seen all.
    public static func iterate(_ program: Int32, most: Int) throws(BPFError) -> Bool {
        let link = bpf_link_create(program, 0, BPF_TRACE_ITER, nil)
        guard link >= 0 else { throw BPFError("attach", "an iterator", code: -link) }
        defer { close(link) }
        let iterator = bpf_iter_create(link)
        guard iterator >= 0 else { throw BPFError("make", "an iterator", code: -iterator) }
        defer { close(iterator) }
        var byte: UInt8 = 0
        for _ in 0..<most {
            if read(iterator, &byte, 1) == 0 { return true }
            guard errno == EAGAIN || errno == EINTR else { throw BPFError("read", "an iterator") }
        }
        return false
    }

    /// Attaches to what the program's section names.
    public func attach() throws(BPFError) -> Link {
        guard let link = bpf_program__attach(pointer) else { throw BPFError("attach", name) }
        return Link(pointer: link)
    }

    /// Attaches to a tracefs event: a tracepoint, or a kprobe made there.
    public func attach(event: String, group: String) throws(BPFError) -> Link {
        guard let link = bpf_program__attach_tracepoint(pointer, group, event) else {
            throw BPFError("attach", "\(name) to \(group)/\(event)")
        }
        return Link(pointer: link)
    }

    /// Runs that the kernel skipped because this program, or another one, was running on that CPU: 0 where it does
    /// not count them. It counts them for fentry since v5.12, for raw tracepoints since v6.1: 05b24ff9b2cf ("bpf:
    /// Prevent bpf program recursion for raw tracepoint probes"), for kprobes and classic tracepoints since v6.7.
    public static func skippedRuns(_ program: Descriptor) throws(BPFError) -> UInt64 {
        var info = bpf_prog_info()
        var size = UInt32(MemoryLayout<bpf_prog_info>.size)
        guard bpf_obj_get_info_by_fd(program.number, &info, &size) == 0 else {
            throw BPFError("read", "the statistics of a program")
        }
        return info.recursion_misses
    }
}

/// An attached program. Detaches it when it goes away, unless another process or ``Descriptor`` has its descriptor.
public struct Link: ~Copyable {
    let pointer: OpaquePointer

    deinit { bpf_link__destroy(pointer) }

    public var descriptor: Int32 { bpf_link__fd(pointer) }
}
