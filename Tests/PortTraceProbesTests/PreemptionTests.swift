import Testing

@testable import PortTraceProbes

struct PreemptionTests {
    @Test(
        arguments: [
            ("#1 SMP Debian 5.10.223-1 (2024-08-10)", nil, nil, false),
            ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1", "none (voluntary) full \n", nil, false),
            ("#1 SMP PREEMPT_DYNAMIC Debian 7.2.12-1", "full (lazy) \n", nil, true),
            ("#1 SMP PREEMPT_DYNAMIC x", "none voluntary (full)", "preempt=none", true),
            ("#1 SMP PREEMPT_DYNAMIC x", nil, "quiet preempt=none\n", false),
            ("#1 SMP PREEMPT_DYNAMIC x", nil, "preempt=none preempt=full", true),
            ("#1 SMP PREEMPT_DYNAMIC x", nil, "quiet", nil),
            ("#1 SMP PREEMPT x", nil, nil, true),
            ("#1 SMP PREEMPT_RT Debian 6.1", nil, nil, true),
            ("#1 SMP PREEMPT_LAZY x", nil, nil, true),
        ] as [(String, String?, String?, Bool?)])
    func isPreemptible(version: String, debugfs: String?, commandLine: String?, expected: Bool?) {
        #expect(Preemption.isPreemptible(version: version, debugfs: debugfs, commandLine: commandLine) == expected)
    }
}
