internal import BPF
internal import CLinux
internal import Glibc

/// The hooks at work: opens, loads and attaches them, each on its own, so that one which this kernel refuses
/// degrades that hook alone. Everything is detached and gone when the session or the process ends.
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
            self.verbose = verbose
            self.mode = mode
            self.btf = btf
            self.each = each
            self.ringSize = ringSize
        }
    }

    /// What became of a hook.
    public struct HookState: Sendable {
        public var hook: Hook
        /// nil where nothing stands, with the reasons in ``refusals``.
        public var attachment: Attachment?
        public var refusals: [ProbePlan.Refusal]

        /// The tier as the contract writes it: `fentry`, `none (why)`.
        public var text: String {
            guard let attachment else { return "none (\(reasons))" }
            return attachment.tier.rawValue
        }

        /// Why nothing stands, as `fentry: Operation not permitted; kprobe: the kernel has no kprobes`.
        private var reasons: String {
            var grouped: [(names: [String], reason: String)] = []
            for refusal in refusals {
                if let index = grouped.firstIndex(where: { $0.reason == refusal.reason }) {
                    grouped[index].names.append(refusal.attachment.name)
                } else {
                    grouped.append(([refusal.attachment.name], refusal.reason))
                }
            }
            return grouped.map { "\($0.names.joined(separator: ", ")): \($0.reason)" }.joined(separator: "; ")
        }
    }

    public let states: [HookState]
    public let records: FailureRecords
    public let cgroupPaths: CgroupPaths
    private let maps: Object
    private let hooks: [AttachedHook]
    private let kprobes: KprobeEvents?

    /// Attaches everything that this kernel allows.
    ///
    /// - Throws: ``ProbeError`` where nothing could be attached; then nothing is.
    public init(_ configuration: Configuration) throws(ProbeError) {
        if configuration.verbose { Log.show() } else { Log.hide() }
        try Self.checkTypes(configuration.btf)
        let tracefs = TraceFS.open()
        let features = KernelFeatures.probe(tracefs: tracefs)
        let plan = ProbePlan(features: features, mode: configuration.mode, types: configuration.btf != nil)
        let maps = try ProbeError.wrapping { () throws(BPFError) in try Self.loadMaps(configuration) }
        records = try ProbeError.wrapping { () throws(BPFError) in
            try FailureRecords(maps: maps, each: configuration.each)
        }
        cgroupPaths = try ProbeError.wrapping { () throws(BPFError) in
            CgroupPaths(map: try maps.map("pt_cgroups"))
        }
        var states: [HookState] = []
        var hooks: [AttachedHook] = []
        let kprobes = tracefs.map { KprobeEvents(tracefs: $0) }
        for choice in plan.choices {
            var state = HookState(hook: choice.hook, refusals: choice.refusals)
            for attachment in choice.attachments where state.attachment == nil {
                do {
                    hooks.append(
                        try AttachedHook(
                            choice.hook, attachment, maps: maps, btf: configuration.btf, kprobes: kprobes))
                    state.attachment = attachment
                } catch {
                    state.refusals.append(.init(attachment: attachment, reason: error.reason))
                }
            }
            states.append(state)
        }
        guard !hooks.isEmpty else { throw ProbeError(states: states, features: features) }
        self.states = states
        self.hooks = hooks
        self.maps = maps
        self.kprobes = kprobes
    }

    /// Runs that the kernel skipped so far: no more failures than these have gone unseen.
    public func missedRuns() throws(ProbeError) -> UInt64 {
        try ProbeError.wrapping { () throws(BPFError) in
            var missed = records.losses.unremembered + (kprobes?.missedRuns() ?? 0)
            for hook in hooks { missed += try hook.skippedRuns() }
            return missed
        }
    }

    /// Detaches every hook. What was counted, and ``missedRuns()``, can still be read.
    public func detach() {
        for hook in hooks { hook.detach() }
    }

    private static func loadMaps(_ configuration: Configuration) throws(BPFError) -> Object {
        let maps = try EmbeddedObject.maps.open(btf: configuration.btf)
        try maps.map("pt_samples").resize(to: configuration.ringSize)
        try maps.load()
        return maps
    }

    private static func checkTypes(_ path: String?) throws(ProbeError) {
        guard let path else { return }
        do {
            try Kernel.checkTypes(path)
        } catch {
            throw ProbeError(
                "--btf \(path): no kernel types: \(error.reason)",
                hint: "it must be the BTF of exactly this kernel, as from BTFHub")
        }
    }
}
