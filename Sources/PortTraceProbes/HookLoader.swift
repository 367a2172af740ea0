internal import BPF
internal import Glibc

/// Opens, loads and attaches the hooks, each on its own, so that one which this kernel refuses degrades that hook alone.
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
        let features = KernelFeatures.probe(tracefs: tracefs, kprobeGroup: kprobeGroup)
        let plan = ProbePlan(features: features, mode: configuration.mode, types: configuration.btf != nil)
        let maps = try ProbeError.wrapping { () throws(BPFError) in try loadMaps() }
        let kprobes = tracefs.flatMap { KprobeEvents(tracefs: $0, group: kprobeGroup) }

        var states: [HookState] = []
        var hooks: [AttachedHook] = []
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
        guard !hooks.isEmpty else {
            kprobes?.removeAll()
            throw ProbeError(states: states, features: features)
        }
        var handover = Handover(states: states, kprobeEvents: kprobes?.events ?? [], descriptors: [])
        for name in SharedMap.allCases {
            handover.descriptors.append(
                try ProbeError.wrapping { () throws(BPFError) in try maps.mapDescriptor(name.rawValue) })
        }
        for hook in hooks { handover.descriptors += hook.descriptors }
        if let kprobes { handover.descriptors += kprobes.descriptors }
        withExtendedLifetime(hooks) { handOver(handover) }
    }

    private func loadMaps() throws(BPFError) -> Object {
        let maps = try EmbeddedObject.maps.open(btf: configuration.btf)
        try maps.resizeMap(SharedMap.samples.rawValue, to: configuration.ringSize)
        try maps.load()
        return maps
    }

    private func checkTypes() throws(ProbeError) {
        guard let path = configuration.btf else { return }
        do {
            try Kernel.checkTypes(path)
        } catch {
            throw ProbeError(
                "--btf \(path): no kernel types: \(error.reason)",
                hint: "it must be the BTF of exactly this kernel, as from BTFHub")
        }
    }
}

/// The maps of bpf/maps.bpf.h that user space reads or writes, by their names there.
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
}
