internal import CLinux
internal import Glibc
internal import PortTraceCore
internal import Synchronization

/// What goes between the main loop and the thread that reads tables: questions one way, answers the other.
final class ConntrackQueue: Sendable {
    typealias Answer = (clash: NATClash, evidence: NATClashEvidence?)

    /// Questions that wait at most.
    static let mostQuestions = 64
    /// Holders in answers that nobody has taken yet, after which no further question is begun: 1.5 MB.
    static let mostHolders = ConntrackTable.mostHolders

    private struct State {
        var questions: [NATClash] = []
        var answers: [Answer] = []
        var holders = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Readable while answers are there to be taken.
    let answered: Int32
    /// Wakes the thread.
    private let asked: Int32

    init() {
        answered = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        asked = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    }

    deinit {
        if answered >= 0 { Glibc.close(answered) }
        if asked >= 0 { Glibc.close(asked) }
    }

    /// - Returns: Whether there was room for the question.
    func ask(_ clash: NATClash) -> Bool {
        let hasRoom = state.withLock { state in
            guard !state.isClosed, state.questions.count < Self.mostQuestions else { return false }
            state.questions.append(clash)
            return true
        }
        if hasRoom { eventfd_write(asked, 1) }
        return hasRoom
    }

    func answer(_ clash: NATClash, _ evidence: NATClashEvidence?) {
        state.withLock { state in
            state.answers.append((clash, evidence))
            state.holders += evidence?.holders.count ?? 0
        }
        eventfd_write(answered, 1)
    }

    func takeAnswers() -> [Answer] {
        var count: eventfd_t = 0
        eventfd_read(answered, &count)
        let answers = state.withLock { state in
            defer {
                state.answers = []
                state.holders = 0
            }
            return state.answers
        }
        if !answers.isEmpty { eventfd_write(asked, 1) }
        return answers
    }

    func close() {
        state.withLock { $0.isClosed = true }
        eventfd_write(asked, 1)
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    enum Turn {
        case question(NATClash)
        /// The time has passed, or somebody has woken the thread for nothing.
        case pause
        case closed
    }

    /// Waits for a question.
    ///
    /// - Parameter milliseconds: As long at most; -1: as long as it takes.
    func next(milliseconds: Int32) -> Turn {
        if let turn = turn() { return turn }
        var polled = pollfd(fd: asked, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, milliseconds)
        var count: eventfd_t = 0
        eventfd_read(asked, &count)
        return turn() ?? .pause
    }

    private func turn() -> Turn? {
        state.withLock { state in
            if state.isClosed { return .closed }
            guard !state.questions.isEmpty, state.holders < Self.mostHolders else { return nil }
            return .question(state.questions.removeFirst())
        }
    }
}
