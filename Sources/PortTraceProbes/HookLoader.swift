internal import BPF
internal import CLinux
internal import CPortTraceWire
internal import Glibc
internal import PortTraceCore

/// Opens, loads and attaches the hooks: together where the kernel takes them all, else each on its own, so that one which
/// it refuses degrades that hook alone.
/// It runs in a process of its own (``ProbeSession``) and hands over what it has opened.
struct HookLoader {
    let configuration: ProbeSession.Configuration
    /// The group of the kprobe events: see ``KprobeEvents``.
    let kprobeGroup: String

    /// Attaches everything that this kernel allows, and gives it to `handOver` while it is open.
    ///
    /// - Throws: ``ProbeError`` where nothing could be attached; then nothing is.
    func load(_ handOver: (Handover) -> Void) throws(ProbeError) {
        if configuration.verbose { Log.show() } else { Log.hide() }
        try checkTypes()
        let tracefs = TraceFS.open()
        var features = KernelFeatures.probe(
            tracefs: tracefs, kprobeGroup: kprobeGroup, mode: configuration.mode)
        let object = try ProbeError.wrapping { () throws(BPFError) in try loadMaps() }
        var maps: [SharedMap: Int32] = [:]
        for map in SharedMap.allCases {
            maps[map] = try ProbeError.wrapping { () throws(BPFError) in try object.mapDescriptor(map.rawValue) }
        }
        try checkTypesFit(maps: maps)
        try ProbeError.wrapping { () throws(BPFError) in try configure(maps) }
        let kprobes = tracefs.flatMap { KprobeEvents(tracefs: $0, group: kprobeGroup) }

        // An iterator is attached by the kernel's own types.
        let programs = PortCensusReader.Program.needed(
            processes: configuration.processes && features.types == .works)
        var (states, hooks) = attachTogether(plan(features), programs, maps: maps, kprobes: kprobes)
        var census = hooks.first
        if hooks.isEmpty {
            kprobes?.removeAll()
            if configuration.mode.refusal(of: .fexit) == nil { features.probeFexit() }
            (states, hooks) = attachEach(plan(features), maps: maps, kprobes: kprobes)
            for programs in [programs, PortCensusReader.Program.needed(processes: false)] where census == nil {
                census = try? AttachedHooks([], census: programs, maps: maps, btf: configuration.btf, kprobes: nil)
            }
        }
        guard !hooks.isEmpty else {
            kprobes?.removeAll()
            throw ProbeError(states: states, features: features)
        }
        let shared = SharedMap.allCases.map { maps[$0]! }
        withExtendedLifetime((hooks, census, kprobes)) {
            handOver(Handover(states, shared: shared, census: census?.census ?? [], hooks, kprobes))
        }
    }

    /// Attaches the hooks of a module that has come, and gives what became of them, and they are, to `handOver`.
    func loadLate(module: String, maps: [SharedMap: Int32], _ handOver: (Handover) -> Void) {
        if configuration.verbose { Log.show() } else { Log.hide() }
        let kprobes = TraceFS.open().flatMap { KprobeEvents(tracefs: $0, group: kprobeGroup) }
        var plan = plan(.untried())
        plan.choices.removeAll { $0.hook.module != module }
        let (states, hooks) = attachEach(plan, maps: maps, kprobes: kprobes)
        if hooks.isEmpty { kprobes?.removeAll() }
        withExtendedLifetime((hooks, kprobes)) { handOver(Handover(states, shared: [], census: [], hooks, kprobes)) }
    }

    private func plan(_ features: KernelFeatures) -> ProbePlan {
        ProbePlan(
            features: features, mode: configuration.mode, types: configuration.btf != nil,
            states: configuration.states != nil)
    }

    /// Attaches all hooks by the first choice of each, as it goes nearly everywhere; nothing where one is refused.
    private func attachTogether(
        _ plan: ProbePlan, _ census: [PortCensusReader.Program], maps: [SharedMap: Int32], kprobes: KprobeEvents?
    ) -> ([HookState], [AttachedHooks]) {
        let states = plan.choices.map {
            HookState(hook: $0.hook, attachment: $0.attachments.first, refusals: $0.refusals)
        }
        let choices = states.compactMap { state in state.attachment.map { (state.hook, $0) } }
        guard !choices.isEmpty,
            let hooks = try? AttachedHooks(
                choices, census: census, maps: maps, btf: configuration.btf, kprobes: kprobes)
        else { return ([], []) }
        return (states, [hooks])
    }

    /// Attaches each hook alone, by the first of its choices that stands.
    private func attachEach(
        _ plan: ProbePlan, maps: [SharedMap: Int32], kprobes: KprobeEvents?
    ) -> ([HookState], [AttachedHooks]) {
        var states: [HookState] = []
        var hooks: [AttachedHooks] = []
        for choice in plan.choices {
            var state = HookState(hook: choice.hook, refusals: choice.refusals)
            for attachment in choice.attachments where state.attachment == nil {
                do {
                    hooks.append(
                        try AttachedHooks(
                            [(choice.hook, attachment)], maps: maps, btf: configuration.btf, kprobes: kprobes))
                    state.attachment = attachment
                } catch {
                    state.refusals.append(.init(attachment: attachment, reason: error.reason))
                }
            }
            states.append(state)
        }
        return (states, hooks)
    }

    private func loadMaps() throws(BPFError) -> Object {
        let maps = try EmbeddedObject.maps.open(btf: configuration.btf)
        try maps.resizeMap(SharedMap.samples.rawValue, to: configuration.ringSize)
        try maps.resizeMap(SharedMap.tables.rawValue, to: configuration.tables)
        try maps.resizeMap(SharedMap.timeWait.rawValue, to: Self.timeWaitEntries)
        try maps.load()
        return maps
    }

    /// The most owners of TIME_WAIT sockets that are kept: 120 bytes each, 8 MB.
    private static let mostTimeWaitEntries: UInt32 = 65_536

    /// As many as there can be sockets in TIME_WAIT in a namespace, and what each CPU may keep free (LOCAL_FREE_TARGET,
    /// kernel/bpf/bpf_lru_list.c).
    private static var timeWaitEntries: UInt32 {
        let text = TextFile.read("/proc/sys/net/ipv4/tcp_max_tw_buckets") ?? ""
        let limit = text.split(whereSeparator: \.isWhitespace).first.flatMap { UInt32($0) } ?? mostTimeWaitEntries
        return min(max(limit, 4_096), mostTimeWaitEntries) + 256 * UInt32(Kernel.possibleCPUs)
    }

    /// Tells the programs what they have to know before they run.
    private func configure(_ maps: [SharedMap: Int32]) throws(BPFError) {
        let state = try Map(maps[.conntrack]!).mapped().assumingMemoryBound(to: pt_conntrack.self)
        // Without types no hook stands, which is said with what helps.
        let index = try? Kernel.enumerator("LINUX_MIB_TCPTIMEWAITOVERFLOW", typesFrom: configuration.btf)
        state.pointee.tw_overflow = index.flatMap { $0 } ?? 0
        // Coarse clocks go by jiffies.
        var tick = timespec()
        clock_getres(CLOCK_MONOTONIC_COARSE, &tick)
        state.pointee.tick_ns = UInt32(tick.tv_nsec)
        guard let filter = configuration.states?.bytes else { return }
        let map = try Map(maps[.stateFilter]!)
        var zero: UInt32 = 0
        try map.write(&zero, filter)
    }

    /// Types given in a file must be this kernel's: with others the hooks would read something else, without a word.
    private func checkTypesFit(maps: [SharedMap: Int32]) throws(ProbeError) {
        guard let path = configuration.btf else { return }
        do {
            let object = try EmbeddedObject.types.open(btf: path)
            let program = try object.program("types_check")
            program.select()
            for (map, descriptor) in maps { try object.useMap(map.rawValue, descriptor) }
            try object.load()
            let socket = try KernelSocket.open(SOCK_STREAM)
            var namespace = stat()
            stat("/proc/self/ns/net", &namespace)
            if try program.run([UInt64(socket.number), UInt64(namespace.st_ino)]) == 0 { return }
        } catch  where error.code == EPERM || error.code == EACCES {
            throw ProbeError(error)
        } catch {
            // Types that the programs need are missing there.
        }
        throw ProbeError("--btf \(path): not this kernel's types", hint: Self.typesHint)
    }

    private static let typesHint = "it must be the BTF of exactly this kernel, as from BTFHub"

    private func checkTypes() throws(ProbeError) {
        guard let path = configuration.btf else { return }
        do {
            if try Kernel.hasTypes(inFile: path) { return }
        } catch {
            throw ProbeError("--btf \(path): \(error.reason)", hint: Self.typesHint)
        }
        throw ProbeError("--btf \(path): no kernel types (BTF) in it", hint: Self.typesHint)
    }
}

/// The maps of bpf/maps.bpf.c, by their names there: shared by every object that is loaded.
enum SharedMap: String, CaseIterable {
    case counts = "pt_counts"
    case evenCounts = "pt_counts_0"
    case oddCounts = "pt_counts_1"
    case evenFolded = "pt_folded_0"
    case oddFolded = "pt_folded_1"
    case other = "pt_other"
    case control = "pt_control"
    case samples = "pt_samples"
    case cgroups = "pt_cgroups"
    case conntrack = "pt_conntrack"
    case cpus = "pt_cpus"
    case tables = "pt_tables"
    case addresses = "pt_addresses"
    case place = "pt_place"
    case peeks = "pt_peeks"
    case stateFilter = "pt_state_filter"
    case rejected = "pt_rejected"
    case timeWait = "pt_time_wait"
    case census = "pt_census"
    case censusKeys = "pt_census_keys"
    case censusOwners = "pt_census_owners"
    case censusNamespaces = "pt_census_nets"
    case censusPlace = "pt_census_place"
    case used = "pt_used"
}
