internal import CLinux
internal import Glibc
internal import PortTraceCore
internal import Synchronization

/// What the main loop and the thread that reads containers share: the names, and questions about those not known.
final class ContainerQueue: Sendable {
    struct Question {
        var id: ContainerID?
        /// Empty where it is not known.
        var podUID: [UInt8]
    }

    /// Questions that wait at most.
    static let mostQuestions = 1_024

    private struct State {
        var questions: [Question] = []
        var namespaces: Set<NamespaceIdentity> = []
        var isClosed = false
        var problems: [String] = []
    }

    private let state = Mutex(State())
    private let cache = Mutex(ContainerCache())
    private let changes = Atomic<UInt64>(0)
    /// Readable when names have come, or an answer, since it was read last.
    let news: Int32
    /// Readable from the end of the first pass.
    let passed: Int32
    /// Wakes the thread.
    let asked: Int32

    init() {
        let flags = Int32(EFD_CLOEXEC | EFD_NONBLOCK)
        news = eventfd(0, flags)
        passed = eventfd(0, flags)
        asked = eventfd(0, flags)
    }

    deinit { for descriptor in [news, passed, asked] where descriptor >= 0 { Glibc.close(descriptor) } }

    /// - Returns: Whether there was room for the question.
    func ask(_ question: Question) -> Bool {
        let hasRoom = state.withLock { state in
            guard !state.isClosed, state.questions.count < Self.mostQuestions else { return false }
            state.questions.append(question)
            return true
        }
        if hasRoom { eventfd_write(asked, 1) }
        return hasRoom
    }

    /// The questions that wait.
    func takeQuestions() -> [Question] {
        var count: eventfd_t = 0
        eventfd_read(asked, &count)
        return state.withLock { state in
            defer { state.questions = [] }
            return state.questions
        }
    }

    /// Asks for the pod of a network namespace.
    func ask(_ namespace: NamespaceIdentity) {
        state.withLock { if $0.namespaces.count < Self.mostQuestions { $0.namespaces.insert(namespace) } }
        eventfd_write(asked, 1)
    }

    /// The namespaces that are asked for.
    func takeNamespaces() -> Set<NamespaceIdentity> {
        state.withLock { state in
            defer { state.namespaces = [] }
            return state.namespaces
        }
    }

    func close() {
        state.withLock { $0.isClosed = true }
        eventfd_write(asked, 1)
    }

    /// Notes what hinders the reading, in a few words; each is to be said once.
    func note(problem: String) { state.withLock { $0.problems.append(problem) } }

    func takeProblems() -> [String] {
        state.withLock { state in
            defer { state.problems = [] }
            return state.problems
        }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// - Parameter isMore: Whether any names have come; else it is an answer that there are none.
    func noteNews(isMore: Bool) {
        if isMore { changes.add(1, ordering: .releasing) }
        eventfd_write(news, 1)
    }

    /// How often names have come.
    var version: UInt64 { changes.load(ordering: .acquiring) }

    func takeNews() {
        var count: eventfd_t = 0
        eventfd_read(news, &count)
    }

    func notePassed() { eventfd_write(passed, 1) }

    /// Holds the names for a moment; nothing in `body` may wait.
    func withCache<Result: Sendable>(_ body: (inout ContainerCache) -> Result) -> Result {
        cache.withLock { body(&$0) }
    }
}
