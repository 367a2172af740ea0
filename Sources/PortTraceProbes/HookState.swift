/// What became of a hook.
public struct HookState: Sendable, Equatable {
    public var hook: Hook
    /// nil where nothing stands, with the reasons in ``refusals``; without any it was not asked for.
    public var attachment: Attachment?
    public var refusals: [ProbePlan.Refusal]

    /// The tier as the contract writes it: `fentry`, `none (why)`.
    public var text: String {
        guard let attachment else { return refusals.isEmpty ? "none (not asked for)" : "none (\(reasons))" }
        return attachment.tier.rawValue
    }

    /// Why nothing stands, as `fentry: Operation not permitted; kprobe: the kernel has no kprobes`.
    public var reasons: String {
        var grouped: [(names: [String], reason: String)] = []
        for refusal in refusals {
            if let index = grouped.firstIndex(where: { $0.reason == refusal.reason }) {
                grouped[index].names.append(refusal.attachment.rawValue)
            } else {
                grouped.append(([refusal.attachment.rawValue], refusal.reason))
            }
        }
        return grouped.map { "\($0.names.joined(separator: ", ")): \($0.reason)" }.joined(separator: "; ")
    }
}
