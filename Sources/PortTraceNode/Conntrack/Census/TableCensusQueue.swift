internal import CLinux
internal import Glibc
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

    /// - Returns: Whether it was taken.
    func ask(_ question: TableCensusReader.Question) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isClosed, !state.isBusy else { return false }
            (state.question, state.isBusy) = (question, true)
            return true
        }
        if isTaken { eventfd_write(asked, 1) }
        return isTaken
    }

    func answer(_ answer: TableCensusReader.Answer) {
        state.withLock { $0.answer = answer }
        eventfd_write(answered, 1)
    }

    func takeAnswer() -> TableCensusReader.Answer? {
        var count: eventfd_t = 0
        eventfd_read(answered, &count)
        return state.withLock { state in
            guard let answer = state.answer else { return nil }
            (state.answer, state.isBusy) = (nil, false)
            return answer
        }
    }

    func close() {
        state.withLock { $0.isClosed = true }
        eventfd_write(asked, 1)
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
            var polled = pollfd(fd: asked, events: Int16(POLLIN), revents: 0)
            poll(&polled, 1, -1)
            var count: eventfd_t = 0
            eventfd_read(asked, &count)
        }
    }
}
