internal import Synchronization

/// One question one way, its answer the other.
final class TableCensusQueue: Sendable {
    private struct State {
        var question: TableCensusReader.Question?
        var answer: TableCensusReader.Answer?
        /// From the question until its answer is taken.
        var isBusy = false
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Readable while an answer is there to be taken.
    let answered = Doorbell()
    /// Wakes the thread.
    private let asked = Doorbell()

    /// - Returns: Whether it was taken.
    func ask(_ question: TableCensusReader.Question) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isClosed, !state.isBusy else { return false }
            (state.question, state.isBusy) = (question, true)
            return true
        }
        if isTaken { asked.ring() }
        return isTaken
    }

    func answer(_ answer: TableCensusReader.Answer) {
        state.withLock { $0.answer = answer }
        answered.ring()
    }

    func takeAnswer() -> TableCensusReader.Answer? {
        answered.clear()
        return state.withLock { state in
            guard let answer = state.answer else { return nil }
            (state.answer, state.isBusy) = (nil, false)
            return answer
        }
    }

    func close() {
        state.withLock { $0.isClosed = true }
        asked.ring()
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Waits for a question; nil: closed.
    func next() -> TableCensusReader.Question? {
        while true {
            let (question, isClosed) = state.withLock { state in
                defer { state.question = nil }
                return (state.question, state.isClosed)
            }
            if isClosed { return nil }
            if let question { return question }
            asked.wait()
        }
    }
}
