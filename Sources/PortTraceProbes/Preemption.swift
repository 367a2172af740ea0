internal import Glibc

/// Whether the kernel preempts kernel code.
enum Preemption {
    static func current() -> Bool? {
        var name = utsname()
        guard uname(&name) == 0 else { return nil }
        let version = withUnsafeBytes(of: &name.version) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return isPreemptible(
            version: version,
            debugfs: TextFile.read("/sys/kernel/debug/sched/preempt"),
            commandLine: TextFile.read("/proc/cmdline"))
    }

    /// - Parameters:
    ///   - version: `uname -v`, as `#1 SMP PREEMPT_DYNAMIC Debian 6.1.1-1`.
    ///   - debugfs: The content of sched/preempt, as `none (voluntary) full`; only PREEMPT_DYNAMIC kernels have it.
    ///   - commandLine: The kernel's, which may have `preempt=`.
    static func isPreemptible(version: String, debugfs: String?, commandLine: String?) -> Bool? {
        let words = version.split(separator: " ")
        if words.contains(where: { $0 == "PREEMPT" || $0 == "PREEMPT_RT" || $0 == "PREEMPT_LAZY" }) { return true }
        guard words.contains("PREEMPT_DYNAMIC") else { return false }
        let chosen =
            debugfs?.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("(") }?.dropFirst().dropLast()
            ?? commandLine?.split(whereSeparator: \.isWhitespace).last { $0.hasPrefix("preempt=") }?
            .dropFirst("preempt=".count)
        guard let chosen else { return nil }
        return chosen != "none" && chosen != "voluntary"
    }
}
