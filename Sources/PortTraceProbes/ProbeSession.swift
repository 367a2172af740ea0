internal import BPF
internal import CLinux
internal import Glibc
public import PortTraceCore

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
        /// Network namespaces whose conntrack tables have counted something that there is room for.
        public var tables: UInt32
        /// Of the changes of state that are to be told; nil: none are.
        public var states: StateFilter?
        /// Whether it will be asked which processes hold sockets: ``PortCensusReader/processes(of:)``.
        public var processes: Bool
        /// Whether libbpf and the verifier speak on standard error.
        public var verbose: Bool

        public init(
            mode: ProbeMode, btf: String?, each: Bool, ringSize: UInt32, tables: UInt32, states: StateFilter? = nil,
            processes: Bool = false, verbose: Bool
        ) {
            self.mode = mode
            self.btf = btf
            self.each = each
            self.ringSize = ringSize
            self.tables = tables
            self.states = states
            self.processes = processes
            self.verbose = verbose
        }
    }

    /// In the order of ``Hook``.
    public private(set) var states: [HookState]
    public let records: FailureRecords
    public let cgroupPaths: CgroupPaths
    /// nil where neither the conntrack hook nor that of TIME_WAIT stands.
    public let conntrack: ConntrackAudit?
    /// nil where the kernel refuses its programs.
    public let ports: PortCensusReader?
    private let maps: [Descriptor]
    private var attached: [Attached]
    private var late: LateHooks?
    private let rejected: Map
    /// Of all its kprobe events.
    private let group: String

    /// What one handover brought.
    private struct Attached {
        var programs: [(hook: Hook, name: String, descriptor: Descriptor)] = []
        var links: [Descriptor] = []
        var kprobes: KprobeEvents?

        init(_ handover: Handover, _ descriptors: ArraySlice<Descriptor>, group: String) {
            var open = descriptors
            var linkCounts = handover.linkCounts[...]
            for state in handover.states {
                guard let attachment = state.attachment else { continue }
                let parts = state.hook.parts(attachment)
                programs += parts.map { (state.hook, $0.program, open.removeFirst()) }
                links += (0..<linkCounts.removeFirst()).map { _ in open.removeFirst() }
            }
            kprobes = KprobeEvents(handedOver: Array(open), group: group, events: handover.kprobeEvents)
        }
    }

    /// Attaches everything that this kernel allows. To be called while this process has one thread.
    ///
    /// - Throws: ``ProbeError`` where nothing could be attached; then nothing is.
    public init(_ configuration: Configuration) throws(ProbeError) {
        group = KprobeEvents.group(of: getpid())
        let loader = HookLoader(configuration: configuration, kprobeGroup: group)
        let handover = try Self.load(loader)
        states = handover.states

        let open = handover.descriptors.map { Descriptor($0) }
        maps = Array(open.prefix(SharedMap.allCases.count))
        let attached = Attached(handover, open.dropFirst(maps.count + handover.censusCount), group: group)
        self.attached = [attached]
        let census = open.dropFirst(maps.count).prefix(handover.censusCount)

        let descriptors = Dictionary(uniqueKeysWithValues: zip(SharedMap.allCases, maps.map(\.number)))
        var audit: [ConntrackAudit.Program: Int32] = [:]
        for program in attached.programs where program.hook == .conntrack || program.hook == .timeWait {
            if let part = ConntrackAudit.Program(rawValue: program.name) { audit[part] = program.descriptor.number }
        }
        rejected = try ProbeError.wrapping { () throws(BPFError) in try Map(descriptors[.rejected]!) }
        (records, cgroupPaths, conntrack, ports) = try ProbeError.wrapping { () throws(BPFError) in
            let (each, hierarchy) = (configuration.each, CgroupHierarchy.inUse())
            let conntrack = audit.isEmpty ? nil : try ConntrackAudit(maps: descriptors, programs: audit)
            try conntrack?.arm()
            return (
                try FailureRecords(maps: descriptors, each: each, hierarchy: hierarchy),
                CgroupPaths(map: try Map(descriptors[.cgroups]!), hierarchy: hierarchy), conntrack,
                census.isEmpty ? nil : try PortCensusReader(maps: descriptors, programs: Array(census))
            )
        }
        for state in states where state.attachment == nil {
            guard let module = state.hook.module, !KernelModule.isPresent(module) else { continue }
            late = LateHooks(module: module, loader: loader, maps: descriptors)
        }
    }

    /// Leaves out a cgroup's changes of state from now on.
    public func reject(cgroup id: UInt64) {
        var (id, one) = (id, UInt8(1))
        // Where it cannot be written, user space goes on to filter.
        try? rejected.write(&id, &one)
    }

    /// Attaches the hooks of a module that has come by now. It takes its time in another process: to be called now and
    /// then, does not wait.
    ///
    /// - Returns: Whether ``states`` has changed.
    public func attachLate() -> Bool {
        guard let late else { return false }
        let handover: Handover
        do {
            guard let received = try late.handover() else { return false }
            handover = received
        } catch {
            // That hook alone stays away.
            handover = late.failure(error, of: states)
        }
        self.late = nil
        attached.append(Attached(handover, handover.descriptors.map { Descriptor($0) }[...], group: group))
        for state in handover.states {
            if let index = states.firstIndex(where: { $0.hook == state.hook }) { states[index] = state }
        }
        return true
    }

    /// Runs that the kernel skipped so far: no more failures than these have gone unseen.
    public func missedRuns() throws(ProbeError) -> MissedRuns {
        try ProbeError.wrapping { () throws(BPFError) in
            var missed = MissedRuns(unremembered: records.losses.unremembered, unwatched: conntrack?.unwatched ?? 0)
            for part in attached {
                missed.kprobes += part.kprobes?.missedRuns() ?? 0
                // What conntrack's own have missed is found by its counters.
                for program in part.programs where !program.hook.isAudited {
                    missed.programs += try Program.skippedRuns(program.descriptor)
                }
            }
            return missed
        }
    }

    /// Detaches every hook, the last one first. What was counted, and ``missedRuns()``, can still be read.
    public func detach() {
        late = nil
        for index in attached.indices.reversed() {
            while attached[index].links.popLast() != nil {}
        }
    }

    /// Detaches and removes what the end of the process would leave: the definitions of kprobes.
    public func close() {
        detach()
        for part in attached { part.kprobes?.removeAll() }
    }

    /// Runs the loader in a child process and receives what it has opened.
    private static func load(_ loader: HookLoader) throws(ProbeError) -> Handover {
        var ends = Optional(try HandoverChannel.pair())
        let parent = ends!.parent
        let process = linux_fork()
        guard process >= 0 else {
            throw ProbeError(
                "cannot start a process: \(String(cString: strerror(errno)))", hint: "raise the limit of processes")
        }
        if process == 0 {
            linux_die_with_parent()
            do {
                try loader.load { ends!.child.send($0) }
            } catch {
                ends!.child.send(error)
            }
            _exit(0)
        }
        defer { waitpid(process, nil, 0) }
        // The child's end is the child's alone now: without it there is nothing to wait for.
        ends = nil
        return try parent.receive()
    }
}

/// Runs that were skipped, by who skipped them. A failure that is missed may stand in more than one of them.
public struct MissedRuns: Sendable, Equatable {
    /// Runs whose failure could not be told for want of what an earlier, skipped one would have noted.
    public var unremembered: UInt64 = 0
    /// Calls that the kernel's kprobes did not follow.
    public var kprobes: UInt64 = 0
    /// Packets of namespaces that the conntrack hook has no room for.
    public var unwatched: UInt64 = 0
    /// Runs of programs that the kernel skipped.
    public var programs: UInt64 = 0

    public var total: UInt64 { unremembered + kprobes + unwatched + programs }
}
