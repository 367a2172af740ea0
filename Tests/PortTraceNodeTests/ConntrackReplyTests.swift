import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

struct ConntrackReplyTests {
    private struct Read {
        var entries: [ConntrackEntry] = []
        var isComplete = false

        init(_ bytes: [UInt8], sequence: UInt32 = 7) throws {
            try bytes.withUnsafeBytes { bytes in
                try ConntrackReply.forEachEntry(in: bytes, sequence: sequence, isComplete: &isComplete) {
                    entries.append($0)
                }
            }
        }
    }

    @Test func udpEntry() throws {
        let read = try Read(Answers.udp)
        #expect(!read.isComplete)
        #expect(
            read.entries == [
                ConntrackEntry(
                    original: ConntrackTuple(
                        proto: 17, source: NATLab.clientAddress, destination: NATLab.server, sourcePort: 1001,
                        destinationPort: 53),
                    reply: ConntrackTuple(
                        proto: 17, source: NATLab.server, destination: NATLab.natAddress, sourcePort: 53,
                        destinationPort: 40008),
                    replyZone: 0, zoneIsOriginalOnly: false, id: 0x9a56_a081, status: 0x198, timeout: 29, tcpState: nil)
            ])
    }

    @Test func echoRequests() throws {
        let entry = try #require(try Read(Answers.icmp).entries.first)
        #expect(entry.original.sourcePort == 3001)
        #expect(entry.original.destinationPort == 8 << 8)
        #expect(entry.reply.sourcePort == 3001)
        #expect(entry.reply.destinationPort == 0)
        let entry6 = try #require(try Read(Answers.icmpv6).entries.first)
        #expect(entry6.original.source == NATLab.clientAddress6)
        #expect(entry6.original.destination == NATLab.server6)
        #expect(entry6.original.destinationPort == 128 << 8)
        #expect(entry6.reply.destination == NATLab.natAddress6)
        #expect(entry6.reply.destinationPort == 129 << 8)
    }

    @Test func zones() throws {
        let entry = try #require(try Read(Answers.zone).entries.first)
        #expect(entry.zoneIsOriginalOnly)
        #expect(entry.replyZone == 0)
        // CTA_ZONE: both directions.
        let both = try #require(try Read(Self.appending("06001200 00090000", to: Answers.udp)).entries.first)
        #expect(!both.zoneIsOriginalOnly)
        #expect(both.replyZone == 9)
    }

    @Test func tcpState() throws {
        // CTA_PROTOINFO, in it CTA_PROTOINFO_TCP: state, two window scales.
        let entry = Self.appending(
            "20000480 1c000180 05000100 03000000 05000200 07000000 05000300 07000000", to: Answers.udp)
        #expect(try Read(entry).entries.first?.tcpState == 3)
    }

    @Test func endsOfAnAnswer() throws {
        #expect(try Read(Answers.udp + Answers.icmp).isComplete == false)
        let read = try Read(Answers.udp + Answers.icmp + Answers.done)
        #expect(read.isComplete)
        #expect(read.entries.count == 2)
        #expect(try Read(Answers.acknowledgement).isComplete)
        #expect(throws: NetlinkError.system(ENOENT)) { try Read(Answers.none) }
    }

    @Test func anotherRequestsAnswersArePassedOver() throws {
        let read = try Read(Answers.udp + Answers.none + Answers.done, sequence: 8)
        #expect(read.entries.isEmpty)
        #expect(!read.isComplete)
    }

    @Test(arguments: [Answers.udp, Answers.icmpv6, Answers.zone, Answers.acknowledgement, Answers.done])
    func cutShort(_ answer: [UInt8]) throws {
        for length in 1..<answer.count {
            #expect(throws: NetlinkError.malformed, "\(length) bytes") { try Read(Array(answer[..<length])) }
        }
    }

    /// The message says that it is shorter: an attribute goes over its end, or one that is needed is missing.
    @Test func cutInside() throws {
        let complete = [148, 156]  // only what is not needed is missing
        for length in stride(from: 16, to: Answers.udp.count, by: 4) where !complete.contains(length) {
            var answer = Array(Answers.udp[..<length])
            answer[0] = UInt8(length)
            #expect(throws: NetlinkError.malformed, "\(length) bytes") { try Read(answer) }
        }
    }

    @Test func anyBytesAreReadOrRefused() {
        var generator = SystemRandomNumberGenerator()
        let answers = Answers.udp + Answers.icmpv6 + Answers.zone + Answers.done
        for _ in 0..<20_000 {
            var answer = answers
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                answer[Int.random(in: 0..<answer.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            _ = try? Read(answer)
        }
    }

    /// An entry with one more attribute.
    private static func appending(_ attribute: String, to answer: [UInt8]) -> [UInt8] {
        var answer = answer + bytes(attribute)
        answer[0] = UInt8(answer.count)
        return answer
    }
}

/// Which entries hold a port of the pair.
struct HolderTests {
    private let clash = NATClash.udp(in: 1, sourcePort: 1001)

    private func entry(
        _ change: (inout ConntrackEntry) -> Void = { _ in }
    ) -> ConntrackEntry {
        var entry = ConntrackEntry(
            original: clash.original,
            reply: ConntrackTuple(
                proto: 17, source: NATLab.server, destination: NATLab.natAddress, sourcePort: 53, destinationPort: 40001
            ),
            replyZone: 0, zoneIsOriginalOnly: false, id: 5, status: 0x198, timeout: 29, tcpState: nil)
        change(&entry)
        return entry
    }

    @Test func holdsTheDestinationPortOfItsReplies() throws {
        let holder = try #require(clash.holder(entry()))
        #expect((holder.port, holder.id, holder.status, holder.timeout) == (40001, 5, 0x198, 29))
    }

    @Test func othersHoldNone() {
        #expect(clash.holder(entry { $0.reply.proto = 6 }) == nil)
        #expect(clash.holder(entry { $0.reply.source = NATLab.clientAddress }) == nil)
        #expect(clash.holder(entry { $0.reply.destination = NATLab.clientAddress }) == nil)
        #expect(clash.holder(entry { $0.reply.sourcePort = 54 }) == nil)
    }

    @Test(
        arguments: [
            // zone of the clash, of the entry's replies, whether the entry's zone is the original direction's
            (0, 0, false, true), (0, 0, true, true), (0, 7, false, false),
            (7, 7, false, true), (7, 0, false, false), (7, 8, false, false), (7, 0, true, true),
        ] as [(UInt16, UInt16, Bool, Bool)])
    func zone(clash zone: UInt16, reply: UInt16, originalOnly: Bool, holds: Bool) {
        var clash = clash
        clash.pair.zone = zone
        let entry = entry { ($0.replyZone, $0.zoneIsOriginalOnly) = (reply, originalOnly) }
        #expect((clash.holder(entry) != nil) == holds)
    }

    @Test(
        arguments: [
            (1, 8, 0), (1, 13, 14), (1, 17, 18), (58, 128, 129), (58, 139, 140),
        ] as [(UInt8, UInt16, UInt16)])
    func icmp(proto: UInt8, request: UInt16, reply: UInt16) {
        var clash = clash
        clash.pair.proto = proto
        clash.pair.peerPort = 0
        clash.destinationPort = request << 8
        let holding = entry {
            $0.reply.proto = proto
            ($0.reply.sourcePort, $0.reply.destinationPort) = (3001, reply << 8)
        }
        #expect(clash.holder(holding)?.port == 3001)
        let other = entry {
            $0.reply.proto = proto
            ($0.reply.sourcePort, $0.reply.destinationPort) = (3001, request << 8)
        }
        #expect(clash.holder(other) == nil)
    }
}
