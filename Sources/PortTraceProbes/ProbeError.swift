internal import BPF
internal import Glibc

/// Why porttrace cannot work on this kernel, in one line, and what to do about it.
public struct ProbeError: Error, Sendable, CustomStringConvertible {
    public var message: String
    public var hint: String

    public init(_ message: String, hint: String) {
        self.message = message
        self.hint = hint
    }

    public var description: String { "\(message) (\(hint))" }

    /// Runs what may fail below as ``BPFError``.
    static func wrapping<Result: ~Copyable>(
        _ body: () throws(BPFError) -> Result
    ) throws(ProbeError) -> Result {
        do {
            return try body()
        } catch {
            throw ProbeError(error)
        }
    }

    /// What every hook needs has failed.
    init(_ error: BPFError) {
        self.init("\(error)", hint: Self.hint(for: error.code))
    }

    /// No hook could be attached.
    init(states: [HookState], features: KernelFeatures) {
        let reasons = states.map { "\($0.hook.rawValue)=\($0.text)" }.joined(separator: " ")
        guard case .refused(let reason) = features.types else {
            let denied = String(cString: strerror(EPERM))
            let isDenied = states.flatMap(\.refusals).contains { $0.reason == denied }
            self.init("no hook can be attached: \(reasons)", hint: Self.hint(for: isDenied ? EPERM : ENOSYS))
            return
        }
        self.init(
            "no hook can be attached: \(reason)",
            hint: reason == KernelFeatures.noSysfs
                ? "mount -t sysfs sysfs /sys"
                : "give this kernel's types with --btf FILE; BTFHub has them for many distributions")
    }

    private static func hint(for code: Int32) -> String {
        switch code {
        case EPERM, EACCES:
            "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN, before 5.11 CAP_SYS_RESOURCE too"
        case ENOMEM: "not enough memory, or RLIMIT_MEMLOCK too low: ulimit -l unlimited"
        case ENOSYS, EINVAL: "kernel 5.10 or newer, with CONFIG_BPF_SYSCALL, is needed"
        default: "run with --verbose"
        }
    }
}
