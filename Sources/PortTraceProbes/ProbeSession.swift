internal import BPF
internal import CLinux
internal import Glibc

/// The hooks at work. Everything is detached and gone when the session or the process ends.
///
/// They are loaded in a child process that is gone before the stream begins: reading a kernel's types takes 20 MB,
/// which this process then never has, and its mount namespace stays the node's.
public final class ProbeSession {
    public struct Configuration: Sendable {
        public var mode: ProbeMode
        /// A file with the kernel's types, where the kernel does not give its own.
        public var btf: String?
        public var each: Bool
        /// Bytes of the ring buffer, a power of two and a multiple of the page size.
        public var ringSize: UInt32
        /// Whether libbpf and the verifier speak on standard error.
        public var verbose: Bool

        public init(mode: ProbeMode, btf: String?, each: Bool, ringSize: UInt32, verbose: Bool) {
            self.mode = mode
            self.btf = btf
            self.each = each
            self.ringSize = ringSize
            self.verbose = verbose
        }
    }

    public let states: [HookState]
    public let records: FailureRecords
    public let cgroupPaths: CgroupPaths
    private let maps: [Descriptor]
    private let programs: [Descriptor]
    private var links: [Descriptor]
    private let kprobes: KprobeEvents?

    /// Attaches everything that this kernel allows. To be called while this process has one thread.
    ///
    /// - Throws: ``ProbeError`` where nothing could be attached; then nothing is.
    public init(_ configuration: Configuration) throws(ProbeError) {
        let group = KprobeEvents.group(of: getpid())
        let handover = try Self.load(HookLoader(configuration: configuration, kprobeGroup: group))
        states = handover.states

        var open = handover.descriptors.map { Descriptor($0) }[...]
        maps = SharedMap.allCases.map { _ in open.removeFirst() }
        var programs: [Descriptor] = []
        var links: [Descriptor] = []
        for state in handover.states {
            guard let attachment = state.attachment else { continue }
            let parts = state.hook.parts(attachment)
            programs += parts.map { _ in open.removeFirst() }
            links += parts.flatMap(\.points).map { _ in open.removeFirst() }
        }
        self.programs = programs
        self.links = links
        kprobes = KprobeEvents(handedOver: Array(open), group: group, events: handover.kprobeEvents)

        let descriptors = Dictionary(uniqueKeysWithValues: zip(SharedMap.allCases, maps.map(\.number)))
        (records, cgroupPaths) = try ProbeError.wrapping { () throws(BPFError) in
            let each = configuration.each
            return (
                try FailureRecords(maps: descriptors, each: each),
                CgroupPaths(map: try Map(descriptors[.cgroups]!))
            )
        }
    }

    /// Runs that the kernel skipped so far: no more failures than these have gone unseen.
    public func missedRuns() throws(ProbeError) -> MissedRuns {
        try ProbeError.wrapping { () throws(BPFError) in
            var missed = MissedRuns(unremembered: records.losses.unremembered, kprobes: kprobes?.missedRuns() ?? 0)
            for program in programs { missed.programs += try Program.skippedRuns(program) }
            return missed
        }
    }

    /// Detaches every hook, the last one first. What was counted, and ``missedRuns()``, can still be read.
    public func detach() {
        while links.popLast() != nil {}
    }

    /// Detaches and removes what the end of the process would leave: the definitions of kprobes.
    public func close() {
        detach()
        kprobes?.removeAll()
    }

    /// Runs the loader in a child process and receives what it has opened.
    private static func load(_ loader: HookLoader) throws(ProbeError) -> Handover {
        let (parent, child) = try HandoverChannel.pair()
        let process = linux_fork()
        guard process >= 0 else {
            throw ProbeError(
                "cannot start a process: \(String(cString: strerror(errno)))", hint: "raise the limit of processes")
        }
        if process == 0 {
            linux_die_with_parent()
            do {
                try loader.load { child.send($0) }
            } catch {
                child.send(error)
            }
            _exit(0)
        }
        defer { waitpid(process, nil, 0) }
        return try withExtendedLifetime(child) { () throws(ProbeError) in try parent.receive() }
    }
}

/// Runs that were skipped, by who skipped them. A failure that is missed may stand in more than one of them.
public struct MissedRuns: Sendable, Equatable {
    /// Runs whose failure could not be told for want of what an earlier, skipped one would have noted.
    public var unremembered: UInt64 = 0
    /// Calls that the kernel's kprobes did not follow.
    public var kprobes: UInt64 = 0
    /// Runs of programs that the kernel skipped.
    public var programs: UInt64 = 0

    public var total: UInt64 { unremembered + kprobes + programs }
}
