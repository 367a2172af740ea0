import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// Questions and answers without a thread, and a reader that finds nothing: neither needs root.
struct ConntrackQueueTests {
    private let queue = ConntrackQueue()

    @Test func takesAsManyQuestionsAsItHasRoomFor() {
        for port in 1...ConntrackQueue.mostQuestions {
            #expect(queue.ask(.udp(in: 1, sourcePort: UInt16(port))))
        }
        #expect(!queue.ask(.udp(in: 1, sourcePort: 99)))
        guard case .question(let first) = queue.next(milliseconds: 0) else {
            Issue.record("no question")
            return
        }
        #expect(first.sourcePort == 1)
        #expect(queue.ask(.udp(in: 1, sourcePort: 99)))
    }

    @Test func answersMakeItReadable() {
        #expect(!isReadable(queue.answered.descriptor))
        queue.answer(.udp(in: 1, sourcePort: 1), nil)
        #expect(isReadable(queue.answered.descriptor))
        #expect(queue.takeAnswers().map(\.clash.sourcePort) == [1])
        #expect(!isReadable(queue.answered.descriptor))
        #expect(queue.takeAnswers().isEmpty)
    }

    @Test func manyHoldersWaitToBeTaken() {
        let clash = NATClash.udp(in: 1, sourcePort: 1)
        let holder = NATClashEvidence.Holder(port: 1, id: 1, status: 0, timeout: nil, tcpState: nil)
        let holders = Array(repeating: holder, count: ConntrackQueue.mostHolders)
        queue.answer(clash, NATClashEvidence(hasOriginal: false, holders: holders))
        #expect(queue.ask(clash))
        guard case .pause = queue.next(milliseconds: 0) else {
            Issue.record("begins the next question")
            return
        }
        #expect(queue.takeAnswers().count == 1)
        guard case .question = queue.next(milliseconds: 0) else {
            Issue.record("does not go on")
            return
        }
    }

    @Test func closedTakesNoQuestions() {
        #expect(queue.ask(.udp(in: 1, sourcePort: 1)))
        queue.close()
        #expect(!queue.ask(.udp(in: 1, sourcePort: 2)))
        guard case .closed = queue.next(milliseconds: -1) else {
            Issue.record("goes on")
            return
        }
    }

    @Test func aNamespaceThatIsNotThereHasNoEvidence() {
        let reader = ConntrackReader()
        for port: UInt16 in 1...3 { reader.ask(.udp(in: 1, sourcePort: port)) }
        var answers: [(NATClash, NATClashEvidence?)] = []
        while answers.count < 3, isReadable(reader.descriptor, milliseconds: 10_000) { answers += reader.takeAnswers() }
        #expect(answers.map(\.0.sourcePort) == [1, 2, 3])
        #expect(answers.allSatisfy { $0.1 == nil })
    }

    @Test func aClosedReaderAnswersAtOnce() {
        let reader = ConntrackReader()
        reader.ask(.udp(in: 1, sourcePort: 1))
        reader.close()
        reader.close()
        _ = reader.takeAnswers()
        reader.ask(.udp(in: 1, sourcePort: 2))
        #expect(isReadable(reader.descriptor))
        #expect(reader.takeAnswers().map(\.0.sourcePort) == [2])
    }

    private func isReadable(_ descriptor: Int32, milliseconds: Int32 = 0) -> Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, milliseconds) == 1
    }
}
