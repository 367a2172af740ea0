import Testing

@testable import PortTraceProbes

struct HandoverTests {
    @Test(arguments: [
        Handover(states: [], linkCounts: [], kprobeEvents: [], descriptors: []),
        Handover(
            states: [
                HookState(hook: .connect, attachment: .rawTracepoint, refusals: []),
                HookState(
                    hook: .bind,
                    refusals: [
                        .init(attachment: .fexit, reason: "Operation not permitted"),
                        .init(attachment: .kprobe, reason: ""),
                    ]),
            ],
            linkCounts: [1], kprobeEvents: ["porttrace_1_a", "porttrace_1_a_ret"], descriptors: [3, 4]),
    ])
    func textRoundTrip(_ handover: Handover) throws {
        let text = HandoverChannel.text(of: handover)
        #expect(try HandoverChannel.handover(of: text, descriptors: handover.descriptors) == handover)
    }

    @Test func descriptorsComeOpen() throws {
        let (parent, child) = try HandoverChannel.pair()
        child.send(Handover(states: [], linkCounts: [], kprobeEvents: ["event"], descriptors: [0, 1, 2]))
        let received = try parent.receive()
        #expect(received.kprobeEvents == ["event"])
        #expect(received.descriptors.count == 3)
        #expect(Set(received.descriptors).isDisjoint(with: [0, 1, 2]))
    }

    @Test func errorsComeAsErrors() throws {
        let (parent, child) = try HandoverChannel.pair()
        child.send(ProbeError("no hook", hint: "run as root"))
        let error = #expect(throws: ProbeError.self) { try parent.receive() }
        #expect(error?.description == "no hook (run as root)")
    }

    @Test func anEndWithoutAWordIsAnError() throws {
        let parent = try HandoverChannel.pair().parent
        #expect(throws: ProbeError.self) { try parent.receive() }
    }
}
