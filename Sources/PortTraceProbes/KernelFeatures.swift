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

    public init(preemptible: Bool?, types: Outcome, attachments: [Attachment: Outcome]) {
        self.preemptible = preemptible
        self.types = types
        self.attachments = attachments
    }

    static let typesPath = "/sys/kernel/btf/vmlinux"
    static let noSysfs = "/sys is not mounted"
}

extension KernelFeatures {
    /// Tries everything out on the running kernel but fexit: looking its function up takes as long as attaching it.
    static func probe(tracefs: TraceFS?, kprobeGroup: String) -> KernelFeatures {
        KernelFeatures(
            preemptible: Preemption.current(),
            types: types(),
            attachments: [
                .fexit: .untried,
                .rawTracepoint: outcome { () throws(BPFError) in
                    try Kernel.tryRawTracepoint("inet_sock_set_state")
                },
                .kprobe: KprobeEvents.probe("inet_hash_connect", tracefs: tracefs, group: kprobeGroup),
                .tracepoint: tracefs?.event("sock/inet_sock_set_state") ?? .refused("no tracefs"),
            ])
    }

    /// Tries fexit out.
    mutating func probeFexit() {
        attachments[.fexit] = Self.outcome { () throws(BPFError) in try Kernel.tryFexit("inet_hash_connect") }
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
