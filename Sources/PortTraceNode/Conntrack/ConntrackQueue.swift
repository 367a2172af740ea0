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
    let answered = Doorbell()
    /// Wakes the thread.
    private let asked = Doorbell()

    /// - Returns: Whether there was room for the question.
    func ask(_ clash: NATClash) -> Bool {
        let hasRoom = state.withLock { state in
            guard !state.isClosed, state.questions.count < Self.mostQuestions else { return false }
            state.questions.append(clash)
            return true
        }
        if hasRoom { asked.ring() }
        return hasRoom
    }

    func answer(_ clash: NATClash, _ evidence: NATClashEvidence?) {
        state.withLock { state in
            state.answers.append((clash, evidence))
            state.holders += evidence?.holders.count ?? 0
        }
        answered.ring()
    }

    func takeAnswers() -> [Answer] {
        answered.clear()
        let answers = state.withLock { state in
            defer {
                state.answers = []
                state.holders = 0
            }
            return state.answers
        }
        if !answers.isEmpty { asked.ring() }
        return answers
    }

    func close() {
        state.withLock { $0.isClosed = true }
        asked.ring()
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
        asked.wait(milliseconds: milliseconds)
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
