internal import BPF
internal import CLinux
internal import Glibc

/// What the loading process gives to the one that streams: what became of the hooks, and everything that it has opened.
struct Handover: Equatable {
    var states: [HookState]
    /// How many links each attached hook has.
    var linkCounts: [Int]
    /// The kprobe events that were made, to be removed in the end.
    var kprobeEvents: [String]
    /// How many programs the census of ports has: ``PortCensusReader/Program``, perhaps without the last one; or none.
    var censusCount: Int
    /// In this order: ``SharedMap``; the programs of the census; for each attached hook its programs and its links; the
    /// files of ``KprobeEvents``, where there are any.
    var descriptors: [Int32]

    init(
        states: [HookState], linkCounts: [Int], kprobeEvents: [String], censusCount: Int = 0, descriptors: [Int32]
    ) {
        self.states = states
        self.linkCounts = linkCounts
        self.kprobeEvents = kprobeEvents
        self.censusCount = censusCount
        self.descriptors = descriptors
    }

    init(
        _ states: [HookState], shared: [Int32], census: [Int32], _ hooks: [AttachedHooks], _ kprobes: KprobeEvents?
    ) {
        self.init(
            states: states, linkCounts: hooks.flatMap(\.linkCounts), kprobeEvents: kprobes?.events ?? [],
            censusCount: census.count,
            descriptors: shared + census + hooks.flatMap(\.descriptors) + (kprobes?.descriptors ?? []))
    }
}

/// The socket between the two processes, and the one message that it carries.
struct HandoverChannel {
    private let socket: Descriptor

    private static let maximumSize = 64 << 10
    private static let fieldSeparator: Character = "\u{1f}"
    private static let lineSeparator: Character = "\u{1e}"

    /// Both ends.
    static func pair() throws(ProbeError) -> (parent: HandoverChannel, child: HandoverChannel) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw ProbeError(
                "cannot make a socket: \(String(cString: strerror(errno)))", hint: "raise the limit of files")
        }
        return (HandoverChannel(socket: Descriptor(ends[0])), HandoverChannel(socket: Descriptor(ends[1])))
    }

    func send(_ handover: Handover) {
        send(Self.text(of: handover), handover.descriptors)
    }

    func send(_ error: ProbeError) {
        send(["error", error.message, error.hint].joined(separator: String(Self.fieldSeparator)), [])
    }

    private func send(_ text: String, _ descriptors: [Int32]) {
        var text = text
        // Nobody is left to be told of an error: the other end has gone.
        _ = text.withUTF8 {
            linux_send_message(socket.number, $0.baseAddress, $0.count, descriptors, Int32(descriptors.count))
        }
    }

    /// Lets the other end go on from ``waitForWord()``.
    func sendWord() {
        send("go", [])
    }

    /// Waits for the other end's word.
    ///
    /// - Returns: Whether it came; false where the other end has gone.
    func waitForWord() -> Bool {
        var byte: UInt8 = 0
        return read(socket.number, &byte, 1) == 1
    }

    /// Whether ``receive()`` would not wait.
    var isReadable: Bool {
        var polled = pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, 0) > 0
    }

    /// Waits for the message; the descriptors are the caller's.
    ///
    /// - Throws: ``ProbeError``: the one sent, or that the other process has ended without a word.
    func receive() throws(ProbeError) -> Handover {
        var descriptors = [Int32](repeating: -1, count: Int(LINUX_MAX_DESCRIPTORS))
        var count: Int32 = 0
        var bytes = [UInt8](repeating: 0, count: Self.maximumSize)
        let length = linux_receive_message(socket.number, &bytes, bytes.count, &descriptors, &count)
        guard length > 0 else {
            throw ProbeError("the loading of the hooks has ended without a result", hint: "run with --verbose")
        }
        return try Self.handover(
            of: String(decoding: bytes[..<length], as: UTF8.self), descriptors: Array(descriptors[..<Int(count)]))
    }

    /// A line for the kprobe events, one for the numbers of links, one for the number of the census' programs, and one
    /// for each hook: its name, its attachment, and its refusals in pairs.
    static func text(of handover: Handover) -> String {
        let lines =
            [handover.kprobeEvents, handover.linkCounts.map(String.init), [String(handover.censusCount)]]
            + handover.states.map { state in
                [state.hook.rawValue, state.attachment?.rawValue ?? ""]
                    + state.refusals.flatMap { [$0.attachment.rawValue, $0.reason] }
            }
        return lines.map { $0.joined(separator: String(fieldSeparator)) }.joined(separator: String(lineSeparator))
    }

    static func handover(of text: String, descriptors: [Int32]) throws(ProbeError) -> Handover {
        var lines = text.split(separator: lineSeparator, omittingEmptySubsequences: false).map {
            $0.split(separator: fieldSeparator, omittingEmptySubsequences: false).map(String.init)
        }
        let first = lines.removeFirst()
        if first.count == 3, first[0] == "error" { throw ProbeError(first[1], hint: first[2]) }
        let linkCounts = lines.removeFirst().compactMap { Int($0) }
        let censusCount = lines.removeFirst().compactMap { Int($0) }.first ?? 0
        let states = lines.compactMap { fields -> HookState? in
            guard fields.count >= 2, let hook = Hook(rawValue: fields[0]) else { return nil }
            let refusals = stride(from: 2, to: fields.count - 1, by: 2).compactMap { index in
                Attachment(rawValue: fields[index]).map {
                    ProbePlan.Refusal(attachment: $0, reason: fields[index + 1])
                }
            }
            return HookState(hook: hook, attachment: Attachment(rawValue: fields[1]), refusals: refusals)
        }
        return Handover(
            states: states, linkCounts: linkCounts, kprobeEvents: first.filter { !$0.isEmpty },
            censusCount: censusCount, descriptors: descriptors)
    }
}
