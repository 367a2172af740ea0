import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// The fast reader of dumps beside the one for single entries, with the same answers.
struct TableDumpTests {
    private static func entry(_ answer: [UInt8]) -> TableEntry? {
        var entry = TableEntry()
        let isRead = answer.withUnsafeBytes { bytes in
            bytes.baseAddress.map { entry.read($0 + 16, length: Int(bytes.load(as: UInt32.self)) - 16) } ?? false
        }
        return isRead ? entry : nil
    }

    private static func census(_ bytes: [UInt8], sequence: UInt32 = 7) throws -> (TableCensus, isComplete: Bool) {
        let namespace = NamespaceIdentity(inode: 1, mix: 1)
        let tally = TableTally(
            TableCensus(namespace: namespace, isHost: false, time: 0, limit: nil),
            addresses: NodeAddresses(isComplete: true))
        var isComplete = false
        try bytes.withUnsafeBytes { bytes in
            try TableDump.add(bytes, sequence: sequence, to: tally, isComplete: &isComplete)
        }
        return (tally.census(), isComplete)
    }

    @Test func udpEntry() throws {
        let entry = try #require(Self.entry(Answers.udp))
        #expect((entry.proto, entry.status, entry.timeout, entry.tcpState) == (17, 0x198, 29, 0))
        #expect((entry.source, entry.destination) == (NATLab.clientAddress, NATLab.server))
        #expect((entry.sourcePort, entry.destinationPort) == (1_001, 53))
        #expect((entry.replySource, entry.replyDestination) == (NATLab.server, NATLab.natAddress))
        #expect((entry.replySourcePort, entry.replyDestinationPort) == (53, 40_008))
    }

    @Test func echoRequests() throws {
        let entry = try #require(Self.entry(Answers.icmp))
        #expect((entry.sourcePort, entry.destinationPort) == (3_001, 8 << 8))
        #expect((entry.replySourcePort, entry.replyDestinationPort) == (3_001, 0))
        let entry6 = try #require(Self.entry(Answers.icmpv6))
        #expect((entry6.source, entry6.destination) == (NATLab.clientAddress6, NATLab.server6))
        #expect(entry6.replyDestination == NATLab.natAddress6)
        #expect((entry6.destinationPort, entry6.replyDestinationPort) == (128 << 8, 129 << 8))
    }

    @Test func tcpState() throws {
        // CTA_PROTOINFO, in it CTA_PROTOINFO_TCP: state, two window scales.
        var answer = Answers.udp
        answer += bytes("20000480 1c000180 05000100 03000000 05000200 07000000 05000300 07000000")
        answer[0] = UInt8(answer.count)
        #expect(Self.entry(answer)?.tcpState == 3)
        // Nothing of it is left for the next one.
        var entry = try #require(Self.entry(answer))
        let isRead = Answers.udp.withUnsafeBytes { entry.read($0.baseAddress! + 16, length: $0.count - 16) }
        #expect(isRead)
        #expect(entry.tcpState == 0)
    }

    @Test func wholeDatagrams() throws {
        let (census, isComplete) = try Self.census(Answers.udp + Answers.icmp + Answers.icmpv6 + Answers.zone)
        #expect(!isComplete)
        #expect(census.table.used == 4)
        #expect(census.protocols == [1: 1, 17: 2, 58: 1])
        #expect(census.translated == 4)
        #expect(try Self.census(Answers.udp + Answers.done).isComplete)
        #expect(throws: NetlinkError.system(ENOENT)) { try Self.census(Answers.none) }
    }

    @Test func anotherRequestsAnswersArePassedOver() throws {
        let (census, isComplete) = try Self.census(Answers.udp + Answers.done, sequence: 8)
        #expect(census.table.used == 0)
        #expect(!isComplete)
    }

    @Test(arguments: [Answers.udp, Answers.icmpv6, Answers.zone, Answers.done])
    func cutShort(_ answer: [UInt8]) throws {
        for length in 1..<answer.count {
            #expect(throws: NetlinkError.malformed, "\(length) bytes") { try Self.census(Array(answer[..<length])) }
        }
    }

    /// Whatever the bytes are, both readers take the same ones and see the same in them.
    @Test func anyBytesAreReadAsTheOtherReaderDoes() throws {
        var generator = SystemRandomNumberGenerator()
        var read = 0
        for _ in 0..<20_000 {
            var answer = [Answers.udp, Answers.icmpv6, Answers.zone].randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 20..<answer.count, using: &generator)
                answer[place] = UInt8.random(in: 0...255, using: &generator)
            }
            let fast = Self.entry(answer)
            let slow = answer.withUnsafeBytes {
                try? ConntrackEntry(parsing: UnsafeRawBufferPointer(rebasing: $0[16...]))
            }
            // The id is no part of the census.
            guard let slow else { continue }
            read += 1
            #expect(fast?.source == slow.original.source)
            #expect(fast?.replyDestinationPort == slow.reply.destinationPort)
            #expect(fast?.status == slow.status)
        }
        #expect(read > 1_000)
    }

    @Test func requests() {
        #expect(ConntrackRequest.wholeDump(sequence: 7) == bytes("14000000 01010103 07000000 00000000 00000000"))
        #expect(ConntrackRequest.statistics(sequence: 7) == bytes("14000000 04010103 07000000 00000000 00000000"))
    }
}

struct TableStatisticsTests {
    /// Of one CPU: found, invalid, insert, insert_failed 3, drop 4, early_drop 5, error, as a kernel has written them.
    private static let cpu = bytes(
        """
        4c000000 04010200 07000000 cb4d0000 00000000
          08000200 00000009 08000400 00000001 08000900 00000003 08000a00 00000004 08000b00 00000005
          08000c00 00000006 08000d00 00000007
        """)

    private static func read(_ bytes: [UInt8]) throws -> (TableStatistics, isComplete: Bool) {
        var statistics = TableStatistics()
        var isComplete = false
        try bytes.withUnsafeBytes { try statistics.add($0, sequence: 7, isComplete: &isComplete) }
        return (statistics, isComplete)
    }

    @Test func allCPUsTogether() throws {
        let (statistics, isComplete) = try Self.read(Self.cpu + Self.cpu + Answers.done)
        #expect(statistics == TableStatistics(drop: 8, insertFailed: 6, earlyDrop: 10))
        #expect(isComplete)
    }

    @Test func refusalsAndOddAnswers() throws {
        #expect(throws: NetlinkError.system(ENOENT)) { try Self.read(Answers.none) }
        #expect(throws: NetlinkError.malformed) { try Self.read(Answers.udp) }
        #expect(throws: NetlinkError.malformed) { try Self.read(Array(Self.cpu.dropLast())) }
    }
}
