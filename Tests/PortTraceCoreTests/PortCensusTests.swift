import CPortTraceWire
import Testing

@testable import PortTraceCore

/// 10.0.0.5 to 10.0.0.9:8080 in the namespace 7.
private func key(
    _ kind: pt_census_kind = PT_CENSUS_PORTS, cgroup: UInt64 = 0, timeWait: Bool = false, port: UInt16 = 8080,
    netns: UInt32 = 7, pid: UInt32 = 0
) -> pt_census_key {
    var key = pt_census_key()
    key.cgroup_id = cgroup
    key.netns_id = netns
    key.netns_mix = netns + 100
    key.tgid = pid
    key.kind = UInt8(kind.rawValue)
    key.proto = TransportProtocol.tcp
    key.flags = timeWait ? UInt8(PT_CENSUS_IS_TIME_WAIT.rawValue) : 0
    guard kind == PT_CENSUS_PORTS else { return key }
    key.family = UInt8(PT_FAMILY_IPV4.rawValue)
    withUnsafeMutableBytes(of: &key.src_addr) { $0.copyBytes(from: [10, 0, 0, 5]) }
    withUnsafeMutableBytes(of: &key.dst_addr) { $0.copyBytes(from: [10, 0, 0, 9]) }
    key.dst_port_be16 = port.bigEndian
    return key
}

private func count(_ number: UInt64, comm: String = "") -> pt_census_count {
    var count = pt_census_count()
    count.count = number
    withUnsafeMutableBytes(of: &count.comm) { $0.copyBytes(from: Array(comm.utf8)) }
    return count
}

/// Ports 40000 to 40999, ten of them reserved, forty bound, and a hundred TIME_WAIT sockets.
private func namespace(_ netns: UInt32 = 7) -> pt_census_net {
    var row = pt_census_net()
    row.netns_id = netns
    row.netns_mix = netns + 100
    (row.port_low, row.port_high) = (40_000, 40_999)
    (row.reserved, row.bound) = (10, 40)
    (row.tcp_ports, row.udp_ports) = (300, 3)
    (row.tcp_sockets, row.time_wait_sockets, row.udp_sockets) = (260, 99, 5)
    (row.tw_count, row.tw_limit, row.tells_tw) = (100, 4_096, 1)
    (row.tw_reuse, row.timestamps) = (2, 1)
    (row.below_range, row.above_range) = (8080, 41_234)
    return row
}

private let identity = NamespaceIdentity(inode: 7, mix: 107)
private let one = Resource(
    .ports, in: identity, proto: 6, source: IPAddress(ipv4: 0x0a00_0005),
    destination: Endpoint(address: IPAddress(ipv4: 0x0a00_0009), port: 8080))

private func row(_ key: pt_census_key, _ value: pt_census_count) throws -> CensusRow {
    try withUnsafeBytes(of: key) { key in try withUnsafeBytes(of: value) { try CensusRow(key: key, value: $0) } }
}

extension PortCensusBuilder {
    fileprivate init(_ rows: [(pt_census_key, UInt64)], namespaces: [pt_census_net], estimating: Bool = false) {
        self.init()
        for row in namespaces { withUnsafeBytes(of: row) { addNamespace($0, isHost: row.netns_id == 1) } }
        for (key, number) in rows where estimating {
            withUnsafeBytes(of: key) { key in withUnsafeBytes(of: count(number)) { estimate(key: key, value: $0) } }
        }
        choose()
        for (key, number) in rows {
            withUnsafeBytes(of: key) { key in withUnsafeBytes(of: count(number)) { add(key: key, value: $0) } }
        }
    }
}

@Suite struct CensusRecordTests {
    @Test func everyFieldOfARow() throws {
        let row = try row(key(cgroup: 55, timeWait: true, pid: 4711), count(12, comm: "nginx"))
        #expect(row.kind == .ports)
        #expect(row.resource == one)
        #expect(row.owner == HolderOwner(cgroupID: 55, process: HoldingProcess(pid: 4711, comm: Comm("nginx".utf8))))
        #expect(row.isTimeWait)
        #expect(!row.isFolded)
        #expect(row.count == 12)
    }

    @Test func addressesOfIPv6() throws {
        var six = key()
        six.family = UInt8(PT_FAMILY_IPV6.rawValue)
        withUnsafeMutableBytes(of: &six.dst_addr) { $0.copyBytes(from: [0x20, 1, 0xd, 0xb8]) }
        #expect(
            try row(six, count(1)).destination
                == Endpoint(address: IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: 0), port: 8080))
    }

    @Test func refusesWhatItDoesNotKnow() {
        var unknown = key()
        unknown.kind = 0
        #expect(throws: DecodeError.kind(0)) { try row(unknown, count(1)) }
        unknown.kind = UInt8(PT_CENSUS_KIND_END.rawValue)
        #expect(throws: DecodeError.kind(4)) { try row(unknown, count(1)) }
        unknown = key()
        unknown.family = 5
        #expect(throws: DecodeError.family(5)) { try row(unknown, count(1)) }
        unknown = key()
        unknown.flags = 4
        #expect(throws: DecodeError.flags(4)) { try row(unknown, count(1)) }
        unknown.flags = 16
        #expect(throws: DecodeError.flags(16)) { try row(unknown, count(1)) }
    }

    @Test func refusesContradictions() throws {
        var folded = key(PT_CENSUS_TIME_WAIT)
        folded.flags = UInt8(PT_CENSUS_FOLDED.rawValue)
        #expect(throws: DecodeError.flags(2)) { try row(folded, count(1)) }
        var open = key()
        open.flags = UInt8(PT_CENSUS_IN_FIN_WAIT2.rawValue)
        #expect(throws: DecodeError.flags(8)) { try row(open, count(1)) }
        var addressed = key(PT_CENSUS_BIND_PORTS)
        addressed.family = 4
        #expect(throws: DecodeError.family(4)) { try row(addressed, count(1)) }
        #expect(throws: DecodeError.count(0, sampled: 0)) { try row(key(), count(0)) }
        #expect(throws: DecodeError.count(.max, sampled: 0)) { try row(key(), count(.max)) }
        #expect(throws: DecodeError.size(3, expected: 64)) {
            try [1, 2, 3].withUnsafeBytes { try CensusRow(key: .init(rebasing: $0[..<3]), value: $0) }
        }
    }
}

@Suite struct PortCensusBuilderTests {
    @Test func aNamespacesFacts() throws {
        let census = PortCensusBuilder([], namespaces: [namespace(), namespace(1)]).census(time: 9)
        #expect(census.time == 9)
        let facts = try #require(census.namespaces.first { $0.id == identity })
        #expect(!facts.isHost)
        #expect(census.namespaces.first { $0.id.inode == 1 }?.isHost == true)
        #expect(facts.portRange == PortRange(low: 40_000, high: 40_999))
        #expect((facts.reservedPorts, facts.boundPorts) == (10, 40))
        #expect(facts.usablePorts == 950)
        #expect((facts.timeWait, facts.timeWaitLimit) == (100, 4_096))
        #expect((facts.tcpSockets, facts.udpSockets) == (260, 5))
        #expect((facts.listenerBelow, facts.listenerAbove) == (8080, 41_234))
    }

    @Test func whereTheKernelDoesNotTellTimeWait() throws {
        var row = namespace()
        row.tells_tw = 0
        row.tw_limit = 0
        let census = PortCensusBuilder([], namespaces: [row]).census(time: 0)
        #expect(census.namespaces[0].timeWait == 99)
        #expect(census.occupancy(.timeWait, netnsID: 7, proto: 6)?.limit == nil)
    }

    @Test func anOwnersRowsAreOneHolder() throws {
        let census = PortCensusBuilder(
            [(key(cgroup: 5), 10), (key(cgroup: 5, timeWait: true), 30), (key(cgroup: 6), 20), (key(), 4)],
            namespaces: [namespace()]
        ).census(time: 0)
        let found = try #require(
            census.occupancy(.ports, netnsID: 7, proto: 6, source: one.source, destination: one.destination))
        #expect(found.resource == one)
        #expect((found.used, found.limit, found.timeWait) == (64, 950, 30))
        #expect(
            found.holders == [
                Holder(HolderOwner(cgroupID: 5), count: 40), Holder(HolderOwner(cgroupID: 6), count: 20),
            ])
        #expect(census.occupancy(.ports, netnsID: 8, proto: 6, source: one.source, destination: one.destination) == nil)
    }

    @Test func portsOfBind() throws {
        let census = PortCensusBuilder([(key(PT_CENSUS_BIND_PORTS, cgroup: 5), 280)], namespaces: [namespace()])
            .census(time: 0)
        let tcp = try #require(census.occupancy(.bindPorts, netnsID: 7, proto: 6))
        #expect((tcp.used, tcp.limit) == (300, 990))
        #expect(tcp.holders == [Holder(HolderOwner(cgroupID: 5), count: 280)])
        #expect(census.occupancy(.bindPorts, netnsID: 7, proto: 17)?.used == 3)
    }

    /// TIME_WAIT is both; what waits for the peer to close is told apart.
    @Test func halfClosedSocketsAreTimeWait() throws {
        var half = key(cgroup: 5, timeWait: true)
        half.flags |= UInt8(PT_CENSUS_IN_FIN_WAIT2.rawValue)
        let census = PortCensusBuilder(
            [(key(cgroup: 5), 100), (key(cgroup: 5, timeWait: true), 20), (half, 30)], namespaces: [namespace()]
        ).census(time: 0)
        let ports = try #require(census.occupancies.first { $0.resource == one })
        #expect((ports.used, ports.timeWait, ports.halfClosed) == (150, 50, 30))
        #expect(ports.holders == [Holder(HolderOwner(cgroupID: 5), count: 150)])
    }

    @Test func whatWasFoldedIsSaid() throws {
        var folded = key(cgroup: 5)
        (folded.family, folded.dst_port_be16) = (0, 0)
        folded.flags = UInt8(PT_CENSUS_FOLDED.rawValue)
        let census = PortCensusBuilder([(folded, 70)], namespaces: [namespace()]).census(time: 0)
        #expect(
            census.notVisible == [
                NotVisible(
                    .other, "70 TCP sockets towards destinations with few sockets each", why: "too many to tell apart")
            ])
        #expect(!census.occupancies.contains { $0.resource.kind == .ports })
    }

    @Test func unreadableRecordsAreSaid() throws {
        let census = PortCensusBuilder([(pt_census_key(), 1)], namespaces: []).census(time: 0)
        #expect(census.notVisible == [NotVisible(.ports, "1 records of the census of ports", why: "unreadable")])
    }

    /// Of many, those with the largest shares are kept, and whole: rows of a kept resource are never left out.
    @Test func keepsTheLargest() throws {
        var rows: [(pt_census_key, UInt64)] = []
        for port in UInt16(1)...20_000 { rows.append((key(cgroup: 5, port: port), 1)) }
        for port in UInt16(1)...500 {
            rows.append((key(cgroup: 6, port: port), 300))
            rows.append((key(cgroup: 7, port: port), 1))
        }
        let census = PortCensusBuilder(rows.shuffled(), namespaces: [namespace()], estimating: true).census(time: 0)
        let ports = census.occupancies.filter { $0.resource.kind == .ports }
        #expect(ports.count < 4 * PortCensusBuilder.mostResources)
        let large = ports.filter { $0.used >= 300 }
        #expect(large.count == 500)
        #expect(large.allSatisfy { $0.used == 302 && $0.holders.count == 3 })
    }
}

@Suite struct TimeWaitSharesTests {
    private let rows: [(pt_census_key, UInt64)] = [
        (key(cgroup: 5, timeWait: true), 60), (key(cgroup: 6, timeWait: true), 20), (key(cgroup: 6), 10),
        (key(timeWait: true), 40),
    ]

    private func holders(_ rows: [(pt_census_key, UInt64)], isOnePods: Bool, isHost: Bool = false) -> [Holder] {
        var facts = namespace(isHost ? 1 : 7)
        facts.tw_count = 120
        let rows = rows.map { row in
            var key = row.0
            (key.netns_id, key.netns_mix) = (facts.netns_id, facts.netns_mix)
            return (key, row.1)
        }
        let census = PortCensusBuilder(rows, namespaces: [facts]).census(time: 0) { _, _ in isOnePods }
        return census.occupancies.first { $0.resource.kind == .ports }?.holders ?? []
    }

    @Test func likeThoseWhoseOwnerWasSeen() {
        #expect(
            holders(rows, isOnePods: false) == [
                Holder(HolderOwner(cgroupID: 5), count: 90, isInferred: true),
                Holder(HolderOwner(cgroupID: 6), count: 40, isInferred: true),
            ])
    }

    @Test func aPodsAlone() {
        let pod = Holder(HolderOwner(namespace: identity), count: 40)
        #expect(
            holders(rows, isOnePods: true) == [
                Holder(HolderOwner(cgroupID: 5), count: 60), pod, Holder(HolderOwner(cgroupID: 6), count: 30),
            ])
        #expect(holders([rows[3]], isOnePods: true) == [pod])
    }

    /// Open ones whose cgroup is not known, as on a host whose containers are in cgroup v1, and their processes.
    @Test func aPodsOpenOnes() {
        let open: [(pt_census_key, UInt64)] = [
            (key(), 30), (key(timeWait: true), 40), (key(timeWait: true, pid: 9), 5),
        ]
        let process = HolderOwner(namespace: identity, process: HoldingProcess(pid: 9, comm: Comm([])))
        #expect(
            holders(open, isOnePods: true) == [
                Holder(HolderOwner(namespace: identity), count: 70), Holder(process, count: 5),
            ])
        #expect(holders([open[0]], isOnePods: false).isEmpty)
    }

    @Test func theHostIsNoPod() {
        #expect(holders([rows[3]], isOnePods: true, isHost: true).isEmpty)
    }

    @Test func nobodysWhereNoneWasSeen() {
        #expect(holders([rows[2], rows[3]], isOnePods: false) == [Holder(HolderOwner(cgroupID: 6), count: 10)])
    }

    /// What division leaves is nobody's: the sum never exceeds what there is.
    @Test func roundsDown() {
        let thirds: [(pt_census_key, UInt64)] =
            (1...3).map { (key(cgroup: $0, timeWait: true), 1) } + [(key(timeWait: true), 10)]
        #expect(holders(thirds, isOnePods: false).map(\.count) == [4, 4, 4])
    }

    @Test func isAskedWithTheOwners() {
        var asked: [Set<HolderOwner>] = []
        _ = PortCensusBuilder(rows, namespaces: [namespace()]).census(time: 0) { _, owners in
            asked.append(owners)
            return false
        }
        #expect(asked == [[HolderOwner(cgroupID: 5), HolderOwner(cgroupID: 6)]])
    }
}
