import Testing

@testable import PortTraceProbes

// Swift Testing has an Attachment too.
private typealias Attachment = PortTraceProbes.Attachment

/// Kernels' facts and the plan that follows from them.
struct ProbePlanTests {
    fileprivate struct Kernel: CustomTestStringConvertible {
        var testDescription: String
        var preemptible: Bool?
        var types = true
        var refused: [Attachment] = []
        var mode = ProbeMode.auto
        var givenTypes = false
        var missingModules: Set<String> = []
        var untypedModules: Set<String> = []
        var connect: [Attachment]
        var bind: [Attachment]
        var conntrack: [Attachment]
        var evictions: [Attachment]
    }

    fileprivate static let kernels = [
        Kernel(
            testDescription: "5.10, 6.1, 6.12: voluntary preemption", preemptible: false,
            connect: [.fexit, .kprobe, .rawTracepoint, .tracepoint], bind: [.fexit, .kprobe],
            conntrack: [.rawTracepoint, .tracepoint], evictions: [.fexit, .kprobe]),
        Kernel(
            testDescription: "7.2: lazy preemption", preemptible: true,
            connect: [.kprobe, .tracepoint, .fexit, .rawTracepoint], bind: [.kprobe, .fexit],
            conntrack: [.tracepoint, .rawTracepoint], evictions: [.kprobe, .fexit]),
        Kernel(
            testDescription: "locked down, preemption not told", preemptible: nil, refused: [.fexit, .kprobe],
            connect: [.tracepoint, .rawTracepoint], bind: [],
            conntrack: [.tracepoint, .rawTracepoint], evictions: []),
        Kernel(
            testDescription: "locked down, no tracefs", preemptible: nil, refused: [.fexit, .kprobe, .tracepoint],
            connect: [.rawTracepoint], bind: [], conntrack: [.rawTracepoint], evictions: []),
        Kernel(
            testDescription: "arm64 before 6.4: no trampolines", preemptible: false, refused: [.fexit],
            connect: [.kprobe, .rawTracepoint, .tracepoint], bind: [.kprobe],
            conntrack: [.rawTracepoint, .tracepoint], evictions: [.kprobe]),
        Kernel(
            testDescription: "--probe-mode kprobe", preemptible: false, mode: .kprobe,
            connect: [.kprobe, .rawTracepoint, .tracepoint], bind: [.kprobe],
            conntrack: [.rawTracepoint, .tracepoint], evictions: [.kprobe]),
        Kernel(
            testDescription: "--probe-mode tracepoint", preemptible: true, mode: .tracepoint,
            connect: [.tracepoint, .rawTracepoint], bind: [],
            conntrack: [.tracepoint, .rawTracepoint], evictions: []),
        Kernel(
            testDescription: "--probe-mode fentry is auto", preemptible: true, mode: .fentry,
            connect: [.kprobe, .tracepoint, .fexit, .rawTracepoint], bind: [.kprobe, .fexit],
            conntrack: [.tracepoint, .rawTracepoint], evictions: [.kprobe, .fexit]),
        Kernel(
            testDescription: "no BTF", preemptible: false, types: false, connect: [], bind: [], conntrack: [],
            evictions: []),
        Kernel(
            testDescription: "no BTF, a file of types", preemptible: false, types: false, givenTypes: true,
            connect: [.kprobe, .rawTracepoint, .tracepoint], bind: [.kprobe],
            conntrack: [.rawTracepoint, .tracepoint], evictions: [.kprobe]),
        Kernel(
            testDescription: "everything refused", preemptible: false, refused: Attachment.allCases, connect: [],
            bind: [], conntrack: [], evictions: []),
        Kernel(
            testDescription: "nf_conntrack not loaded", preemptible: false, missingModules: ["nf_conntrack"],
            connect: [.fexit, .kprobe, .rawTracepoint, .tracepoint], bind: [.fexit, .kprobe],
            conntrack: [.rawTracepoint, .tracepoint], evictions: []),
        Kernel(
            testDescription: "5.10: modules without types", preemptible: false, untypedModules: ["nf_conntrack"],
            connect: [.fexit, .kprobe, .rawTracepoint, .tracepoint], bind: [.fexit, .kprobe],
            conntrack: [.rawTracepoint, .tracepoint], evictions: [.kprobe]),
    ]

    @Test(arguments: kernels, [false, true])
    fileprivate func plan(_ kernel: Kernel, states: Bool) {
        let features = KernelFeatures(
            preemptible: kernel.preemptible,
            types: kernel.types ? .works : .refused("no BTF"),
            attachments: Dictionary(
                uniqueKeysWithValues: Attachment.allCases.map {
                    ($0, kernel.refused.contains($0) ? .refused("not here") : .works)
                }), missingModules: kernel.missingModules, untypedModules: kernel.untypedModules)
        let plan = ProbePlan(features: features, mode: kernel.mode, types: kernel.givenTypes, states: states)
        let expected: [(Hook, [Attachment])] = [
            (.connect, kernel.connect), (.bind, kernel.bind), (.conntrack, kernel.conntrack),
            (.evictions, kernel.evictions), (.timeWait, kernel.conntrack), (.states, states ? kernel.connect : []),
        ]
        #expect(plan.choices.map(\.hook) == expected.map(\.0))
        #expect(plan.choices.map(\.attachments) == expected.map(\.1))
        // What is not tried is told, with its reason.
        #expect(plan.choices.map { $0.attachments.count + $0.refusals.count } == [4, 2, 2, 2, 2, states ? 4 : 0])
    }

    @Test func reasonsAreGrouped() {
        let state = HookState(
            hook: .bind,
            refusals: [
                .init(attachment: .fexit, reason: "not here"), .init(attachment: .kprobe, reason: "not here"),
            ])
        #expect(state.text == "none (fentry, kprobe: not here)")
        #expect(HookState(hook: .states, refusals: []).text == "none (not asked for)")
    }
}
