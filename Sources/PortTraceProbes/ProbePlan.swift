/// How to attach each hook on a kernel with these features: a pure decision.
///
/// fexit and raw tracepoints cost least, but on a preemptible kernel a task that is switched away from inside the
/// program blocks it for everybody else on that CPU, and those runs are lost; kprobes and classic tracepoints run
/// with preemption off and are exact there. A kernel that does not tell is taken for a preemptible one.
public struct ProbePlan: Sendable, Equatable {
    public struct Refusal: Sendable, Equatable {
        public var attachment: Attachment
        public var reason: String

        public init(attachment: Attachment, reason: String) {
            self.attachment = attachment
            self.reason = reason
        }
    }

    public struct Choice: Sendable, Equatable {
        public var hook: Hook

        /// What to try, in this order.
        public var attachments: [Attachment]

        /// What is not to be tried, and why.
        public var refusals: [Refusal]

        public init(hook: Hook, attachments: [Attachment], refusals: [Refusal]) {
            self.hook = hook
            self.attachments = attachments
            self.refusals = refusals
        }
    }

    public var choices: [Choice]

    /// - Parameters:
    ///   - types: Whether a file with the kernel's types was given, for kernels that have none.
    ///   - states: Whether changes of state were asked for.
    public init(features: KernelFeatures, mode: ProbeMode, types: Bool, states: Bool = false) {
        choices = Hook.allCases.map { hook in
            var choice = Choice(hook: hook, attachments: [], refusals: [])
            if hook == .states, !states { return choice }
            for attachment in hook.attachments(preemptible: features.preemptible ?? true) {
                if let reason = mode.refusal(of: attachment)
                    ?? features.refusal(of: attachment, types: types)
                    ?? features.refusal(of: hook, by: attachment)
                {
                    choice.refusals.append(Refusal(attachment: attachment, reason: reason))
                } else {
                    choice.attachments.append(attachment)
                }
            }
            return choice
        }
    }
}

extension Hook {
    /// Everything that the hook can be attached by, best first.
    fileprivate func attachments(preemptible: Bool) -> [Attachment] {
        switch (self, preemptible) {
        // Of the states the first two see the end of TIME_WAIT as well.
        case (.connect, false), (.states, false): [.fexit, .kprobe, .rawTracepoint, .tracepoint]
        case (.connect, true), (.states, true): [.kprobe, .tracepoint, .fexit, .rawTracepoint]
        case (.bind, false), (.evictions, false): [.fexit, .kprobe]
        case (.bind, true), (.evictions, true): [.kprobe, .fexit]
        case (.conntrack, false), (.timeWait, false): [.rawTracepoint, .tracepoint]
        case (.conntrack, true), (.timeWait, true): [.tracepoint, .rawTracepoint]
        }
    }
}

extension ProbeMode {
    /// Why it may not be used; nil: it may.
    func refusal(of attachment: Attachment) -> String? {
        switch (self, attachment.tier) {
        case (.auto, _), (.fentry, _), (_, .tracepoint), (.kprobe, .kprobe): nil
        case (.kprobe, .fentry), (.tracepoint, .fentry), (.tracepoint, .kprobe): "not with --probe-mode \(rawValue)"
        }
    }
}

extension KernelFeatures {
    fileprivate func refusal(of hook: Hook, by attachment: Attachment) -> String? {
        guard let module = hook.module else { return nil }
        if missingModules.contains(module) { return "\(module) is not loaded" }
        return attachment == .fexit && untypedModules.contains(module) ? "the kernel has no types of \(module)" : nil
    }

    fileprivate func refusal(of attachment: Attachment, types given: Bool) -> String? {
        if case .refused(let reason) = types, !given || attachment == .fexit { return reason }
        guard case .refused(let reason) = attachments[attachment] else { return nil }
        return reason
    }
}
