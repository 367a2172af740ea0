internal import BPF
internal import Glibc

/// The facts of this kernel that decide how to attach: each found by trying it, not by the kernel's version.
public struct KernelFeatures: Sendable, Equatable {
    /// Whether something works, or why it does not.
    public enum Outcome: Sendable, Equatable {
        case works
        /// Not tried: it is as cheap to use it and see.
        case untried
        case refused(String)
    }

    /// Whether a task may be switched away from in the midst of a BPF program (PREEMPT, PREEMPT_LAZY, PREEMPT_RT);
    /// nil where the kernel does not tell.
    public var preemptible: Bool?

    /// Whether the kernel describes its own types (CONFIG_DEBUG_INFO_BTF).
    public var types: Outcome

    public var attachments: [Attachment: Outcome]

    /// Modules of hooks that are not loaded.
    public var missingModules: Set<String>

    /// Modules of hooks whose types the kernel does not describe.
    public var untypedModules: Set<String>

    public init(
        preemptible: Bool?, types: Outcome, attachments: [Attachment: Outcome], missingModules: Set<String> = [],
        untypedModules: Set<String> = []
    ) {
        self.preemptible = preemptible
        self.types = types
        self.attachments = attachments
        self.missingModules = missingModules
        self.untypedModules = untypedModules
    }

    static let typesPath = "/sys/kernel/btf/vmlinux"
    static let noSysfs = "/sys is not mounted"
}

extension KernelFeatures {
    /// Tries out on the running kernel what the mode allows, but fexit: looking its function up takes as long as attaching it.
    static func probe(tracefs: TraceFS?, kprobeGroup: String, mode: ProbeMode) -> KernelFeatures {
        var features = untried()
        features.attachments[.rawTracepoint] = outcome { () throws(BPFError) in
            try Kernel.tryRawTracepoint("inet_sock_set_state")
        }
        if mode.refusal(of: .kprobe) == nil {
            features.attachments[.kprobe] = KprobeEvents.probe(
                "inet_hash_connect", tracefs: tracefs, group: kprobeGroup)
        }
        features.attachments[.tracepoint] = tracefs?.event("sock/inet_sock_set_state") ?? .refused("no tracefs")
        return features
    }

    /// What costs nothing to find out; every attachment is to be tried by using it.
    static func untried() -> KernelFeatures {
        KernelFeatures(
            preemptible: Preemption.current(),
            types: types(),
            attachments: Dictionary(uniqueKeysWithValues: Attachment.allCases.map { ($0, .untried) }),
            missingModules: modules { !KernelModule.isPresent($0) },
            untypedModules: modules { KernelModule.loadable($0) != nil && !KernelModule.hasTypes($0) })
    }

    /// Tries fexit out.
    mutating func probeFexit() {
        attachments[.fexit] = Self.outcome { () throws(BPFError) in try Kernel.tryFexit("inet_hash_connect") }
    }

    private static func modules(_ isIncluded: (String) -> Bool) -> Set<String> {
        Set(Hook.allCases.compactMap(\.module).filter(isIncluded))
    }

    private static func types() -> Outcome {
        if access(typesPath, R_OK) == 0 { return .works }
        return .refused(access("/sys/kernel", F_OK) == 0 ? "the kernel has no \(typesPath)" : noSysfs)
    }

    private static func outcome(_ attempt: () throws(BPFError) -> Void) -> Outcome {
        do {
            try attempt()
            return .works
        } catch {
            return .refused(error.reason)
        }
    }
}
