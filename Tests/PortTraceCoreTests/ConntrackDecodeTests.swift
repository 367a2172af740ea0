import CPortTraceWire
import Testing

@testable import PortTraceCore

@Suite struct ConntrackDecodeTests {
    private func failure(_ key: pt_key) throws -> Failure { try Failure(key: key, detail: .conntrack) }

    private func changed(_ key: pt_key, _ change: (inout pt_key) -> Void) -> pt_key {
        var key = key
        change(&key)
        return key
    }

    @Test func everyField() throws {
        let failure = try failure(changed(.clash) { $0.zone = 9 })
        #expect(failure.type == .conntrackInsertFailed && failure.cause == .race && failure.isClash)
        #expect(failure.attribution == .tuple && failure.probe == .tracepoint && failure.process == nil)
        #expect(
            failure.cgroupID == 1234 && failure.netnsID == 4_026_531_840
                && failure.ownerNamespace?.inode == 4_026_532_345)
        #expect(failure.source == IPAddress(ipv4: 0x0a01_0005) && failure.sourcePort == 5555)
        #expect(failure.destination == IPAddress(ipv4: 0x0a00_0009) && failure.destinationPort == 53)
        #expect(failure.nat == Endpoint(address: IPAddress(ipv4: 0xc000_0201), port: 40000))
        #expect(failure.backend == Endpoint(address: IPAddress(ipv4: 0x0a01_0707), port: 5353))
        #expect(failure.direction == .outbound && failure.zone == 9 && failure.error == 0 && failure.icmp == nil)
        #expect(failure.portRange == nil && failure.limit == 0)
        #expect(try self.failure(.tableFull).limit == 262_144)
    }

    @Test func whatIsAskedAboutAClash() throws {
        let pair = NATPair(
            netnsID: 4_026_531_840, proto: 17, zone: 9, natAddress: IPAddress(ipv4: 0xc000_0201),
            peer: IPAddress(ipv4: 0x0a01_0707), peerPort: 5353)
        var clash = NATClash(
            pair: pair, source: IPAddress(ipv4: 0x0a01_0005), sourcePort: 5555,
            destination: IPAddress(ipv4: 0x0a00_0009), destinationPort: 53, natPort: 40000)
        var key = changed(.clash) { $0.zone = 9 }
        #expect(try failure(key).natClash == clash)

        // Without destination NAT the destination itself answers.
        key.flags &= ~UInt8(PT_FLAG_BACKEND.rawValue)
        clash.pair.peer = IPAddress(ipv4: 0x0a00_0009)
        clash.pair.peerPort = 53
        #expect(try failure(key).natClash == clash)

        key.becomeEchoRequest()
        clash.pair.proto = 1
        clash.pair.peerPort = 0
        clash.destinationPort = 0x0800
        #expect(try failure(key).natClash == clash)
        #expect(try failure(.tableFull).natClash == nil)
    }

    @Test func icmp() throws {
        var key = pt_key.tableFull
        key.becomeEchoRequest()
        var failure = try failure(key)
        #expect(failure.icmp == ICMPMessage(type: 8, code: 0, id: 5555))
        #expect(failure.sourcePort == 0 && failure.destinationPort == 0)
        key.dst_port_be16 = UInt16(0x0d01).bigEndian
        key.proto = 58
        failure = try self.failure(key)
        #expect(failure.icmp == ICMPMessage(type: 13, code: 1, id: 5555))
        key.flags &= ~UInt8(PT_FLAG_DST.rawValue)
        #expect(try self.failure(key).icmp == nil)
        // Sockets have ports.
        var socket = pt_key.example
        socket.proto = 1
        #expect(try self.failure(socket).icmp == nil)
    }

    private static let causes: [(kind: pt_kind, causes: [(wire: pt_cause, cause: Cause)], type: EventType)] = [
        (PT_KIND_CONNTRACK_TABLE_FULL, [(PT_CAUSE_TABLE_FULL, .tableFull)], .conntrackTableFull),
        (PT_KIND_CONNTRACK_EVICTED, [(PT_CAUSE_TABLE_FULL, .tableFull)], .conntrackEvicted),
        (
            PT_KIND_CONNTRACK_INSERT_FAILED,
            [
                (PT_CAUSE_RACE, .race), (PT_CAUSE_CHAIN_TOO_LONG, .chainTooLong), (PT_CAUSE_DYING, .dying),
                (PT_CAUSE_NO_MEMORY, .noMemory),
            ], .conntrackInsertFailed
        ), (PT_KIND_SNAT_CLASH, [(PT_CAUSE_RACE, .race)], .conntrackInsertFailed),
    ]

    @Test func causesOfKinds() throws {
        for (kind, causes, type) in Self.causes {
            for value in UInt8(0)...9 {
                let key = changed(.clash) { ($0.kind, $0.cause) = (UInt8(kind.rawValue), value) }
                if let cause = causes.first(where: { $0.wire.rawValue == UInt32(value) })?.cause {
                    let read = try failure(key)
                    #expect(read.type == type && read.cause == cause)
                    #expect(read.isClash == (kind == PT_KIND_SNAT_CLASH))
                } else {
                    #expect(throws: DecodeError.cause(value)) { try failure(key) }
                }
            }
        }
    }

    @Test(arguments: [(1, Attribution.task), (2, .socket), (3, .tuple), (4, .netns)] as [(UInt8, Attribution)])
    func attributions(_ value: UInt8, _ attribution: Attribution) throws {
        #expect(try failure(changed(.tableFull) { $0.attribution = value }).attribution == attribution)
    }

    @Test func attributionsThatCannotBe() throws {
        for value in [5, 255] as [UInt8] {
            let key = changed(.tableFull) { $0.attribution = value }
            for key in [key, key.folded] { #expect(throws: DecodeError.attribution(value)) { try failure(key) } }
        }
        // An owner from nowhere.
        #expect(throws: DecodeError.attribution(0)) { try failure(changed(.tableFull) { $0.attribution = 0 }) }
        let process = changed(.tableFull) { ($0.attribution, $0.cgroup_id, $0.tgid) = (0, 0, 1) }
        #expect(throws: DecodeError.attribution(0)) { try failure(process) }
        // A namespace is no process.
        #expect(throws: DecodeError.attribution(4)) {
            try failure(changed(.tableFull) { ($0.attribution, $0.tgid) = (4, 1) })
        }
        let nobody = try failure(changed(.tableFull) { ($0.attribution, $0.cgroup_id) = (0, 0) })
        #expect(!nobody.hasOwner && nobody.attribution == nil)
    }

    @Test func flagsThatCannotBe() throws {
        func expectRefused(_ key: pt_key) { #expect(throws: DecodeError.flags(key.flags)) { try failure(key) } }
        expectRefused(changed(.tableFull) { $0.flags |= UInt8(PT_FLAG_INBOUND.rawValue) })
        for flag in [PT_FLAG_SRC, PT_FLAG_DST, PT_FLAG_NAT, PT_FLAG_BACKEND] {
            expectRefused(changed(.tableFull) { ($0.family, $0.flags) = (0, UInt8(flag.rawValue)) })
        }
        for flag in [PT_FLAG_SRC, PT_FLAG_DST, PT_FLAG_NAT] {
            expectRefused(changed(.clash) { $0.flags &= ~UInt8(flag.rawValue) })
        }
        for flag in UInt8(0)..<8 where flag != 2 && flag != 3 {
            expectRefused(changed(pt_key.clash.folded) { $0.flags |= 1 << flag })
            expectRefused(changed(pt_key.clash.other) { $0.flags |= 1 << flag })
        }
        // As user space makes it.
        let other = changed(pt_key.clash.other) { $0.flags |= UInt8(PT_FLAG_FOLDED.rawValue) }
        #expect(try failure(other).folding == .wholly)
    }

    @Test func foldedKeys() throws {
        var key = pt_key.clash
        let folded = try failure(key.folded)
        #expect(folded.folding == .partly && folded.type == .conntrackInsertFailed && folded.cause == .race)
        #expect(!folded.isClash && folded.natClash == nil)
        #expect(folded.cgroupID == 1234 && folded.netnsID == 4_026_531_840 && folded.proto == 17)
        #expect(folded.attribution == .tuple && folded.probe == .tracepoint && folded.limit == 0)
        #expect(folded.nat == nil && folded.direction == nil && folded.sourcePort == 0)

        // The type's one cause is known all the same.
        for (kind, causes, _) in Self.causes {
            key.kind = UInt8(kind.rawValue)
            let other = try failure(key.other)
            #expect(other.cause == (causes.count == 1 ? causes[0].cause : nil))
            #expect(!other.isClash && !other.hasOwner && other.probe == nil)
        }
    }

    @Test func errorsAreThoseOfTheWire() throws {
        #expect(try failure(changed(.tableFull) { $0.error = 1 }).error == 1)
        #expect(try failure(.tableFull.other).error == 0)
    }
}
