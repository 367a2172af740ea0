import CLinux
import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

struct TableCensusQueueTests {
    private let queue = TableCensusQueue()
    private let question = TableCensusReader.Question(used: nil, addresses: NodeAddresses(isComplete: false))

    @Test func oneQuestionAtATime() {
        #expect(queue.ask(question))
        #expect(!queue.ask(question))
        #expect(queue.next() != nil)
        #expect(!queue.ask(question))
        #expect(queue.takeAnswer() == nil)
        queue.answer(TableCensusReader.Answer(begun: 5))
        var polled = pollfd(fd: queue.answered.descriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&polled, 1, 0) == 1)
        #expect(!queue.ask(question))
        #expect(queue.takeAnswer()?.begun == 5)
        #expect(poll(&polled, 1, 0) == 0)
        #expect(queue.takeAnswer() == nil)
        #expect(queue.ask(question))
    }

    @Test func closed() {
        #expect(queue.ask(question))
        queue.close()
        #expect(queue.next() == nil)
        #expect(!queue.ask(question))
    }

    @Test func aTableThatIsNotThereIsNotVisible() throws {
        let reader = TableCensusReader()
        let used = UsedTables(
            tables: [UsedTable(namespace: NamespaceIdentity(inode: 1, mix: 1), isHost: false, entries: 9)], unlisted: 3)
        let answer = try #require(reader.answer(to: .init(used: used, addresses: NodeAddresses(isComplete: true))))
        #expect(answer.tables.isEmpty)
        let unseen = answer.notVisible + answer.unreached.map(\.notVisible)
        #expect(unseen.map(\.part) == [.conntrack, .conntrack])
        #expect(unseen.map(\.what) == ["3 conntrack tables", "the conntrack table of netns 1 (9 entries)"])
    }

    @Test func aClosedReaderTakesNoQuestion() {
        let reader = TableCensusReader()
        reader.close()
        #expect(!reader.ask(question))
    }
}

/// Real tables, in namespaces of the test's own.
@Suite(.serialized, .enabled(if: NATLab.obstacle == nil, "\(NATLab.obstacle ?? "")"))
struct TableCensusReaderTests {
    private let lab: NATLab
    private let reader = TableCensusReader()

    init() throws { lab = try NATLab() }

    @Test func bothFamilies() throws {
        try lab.send(from: 1_001...1_005, to: "198.51.100.2", port: 53)
        try lab.send(from: 1_001...1_003, to: "2001:db8:0:2::2", port: 53)
        try lab.send(from: 3_001...3_002, to: "198.51.100.2", port: 0, protocol: "icmp")
        let client = NamespaceIdentity(inode: 77, mix: 1)
        var addresses = NodeAddresses(isComplete: true)
        addresses.insert(NATLab.clientAddress, .namespace(client))
        addresses.insert(NATLab.clientAddress6, .namespace(client))
        let table = UsedTable(
            namespace: NamespaceIdentity(inode: lab.netnsID, mix: 1), isHost: false, entries: 10)
        let answer = try #require(reader.answer(to: .init(used: UsedTables(tables: [table]), addresses: addresses)))
        let census = try #require(answer.tables.first)
        #expect(answer.tables.count == 1)
        #expect(answer.notVisible.isEmpty)
        #expect(answer.cost > 0)
        #expect(census.table.used == 10)
        #expect(census.protocols == [1: 2, 17: 8])
        #expect(census.table.holders == [Holder(HolderOwner(namespace: client), count: 10)])
        #expect(census.translated == 10)
        let dns = census.translations.filter { $0.resource.destination?.port == 53 }
        #expect(dns.map(\.used) == [5, 3])
        // Fewer than make a range.
        #expect(dns.map(\.limit) == [nil, nil])
    }

    @Test func withoutTheKernelsList() throws {
        try lab.send(from: 1_001...1_004, to: "198.51.100.2", port: 53)
        let answer = try #require(
            reader.answer(to: .init(used: nil, addresses: NodeAddresses(isComplete: false))))
        let mine = answer.tables.filter { $0.namespace.inode == lab.netnsID }
        #expect(mine.map(\.table.used) == [4])
    }

    @Test func counters() throws {
        // Ten ports there are.
        try lab.send(from: 1_001...1_015, to: "198.51.100.2", port: 53)
        var question = TableCensusReader.Question(used: nil, addresses: NodeAddresses(isComplete: false))
        (question.wantsTables, question.wantsCounters) = (false, true)
        let answer = try #require(reader.answer(to: question))
        let node = try #require(answer.counters.first { $0.netnsID == lab.netnsID })
        #expect((node.total.drop, node.total.insertFailed) == (5, 5))
        #expect((node.total.earlyDrop, node.total.timeWaitOverflow) == (0, 0))
        #expect(answer.tables.isEmpty)
    }

    /// What is somebody's by the time that the answer is taken is not stale.
    @Test func staleAddressesAreConfirmed() throws {
        try lab.send(from: 1_001...1_004, to: "198.51.100.77", port: 53)
        var addresses = NodeAddresses(isComplete: true)
        addresses.insert(IPAddress(ipv4: 0xc000_0263), .namespace(NamespaceIdentity(inode: 5, mix: 5)))
        let table = UsedTable(namespace: NamespaceIdentity(inode: lab.netnsID, mix: 1), isHost: false, entries: 4)
        let question = TableCensusReader.Question(used: UsedTables(tables: [table]), addresses: addresses)
        try Shell.run(
            "ip -n \(lab.nodePath.split(separator: "/").last ?? "") neigh replace 192.0.2.2 dev in nud failed")
        let answer = try #require(reader.answer(to: question))
        let stale = try #require(answer.tables.first?.stale)
        #expect(stale.map(\.address) == [NATLab.clientAddress])
        #expect(stale.map(\.count) == [4])
        #expect(reader.answer(to: question, addressesNow: nil)?.tables.first?.stale == [])
        addresses.insert(NATLab.clientAddress, .host)
        #expect(reader.answer(to: question, addressesNow: addresses)?.tables.first?.stale == [])
    }
}

extension TableCensusReader {
    /// Asks, and waits for the answer.
    fileprivate func answer(to question: Question) -> Answer? {
        answer(to: question, addressesNow: question.addresses)
    }

    fileprivate func answer(to question: Question, addressesNow: NodeAddresses?) -> Answer? {
        guard ask(question) else { return nil }
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, 60_000)
        return takeAnswer(addresses: addressesNow)
    }
}
