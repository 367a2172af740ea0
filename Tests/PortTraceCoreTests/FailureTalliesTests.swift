import CPortTraceWire
import Testing

@testable import PortTraceCore

/// What a sample's failures add up to, where nothing is shown.
@Suite struct FailureTalliesTests {
    private let namespace = NamespaceIdentity(inode: 4_026_531_840, mix: 0)

    @Test func byResourceWithVictims() {
        let test = TestStream(nil)
        test.sample(.example)
        var row = pt_count.example
        (row.count, row.sampled) = (5, 1)
        test.row(.example, row, generation: 7)
        var other = pt_sample.example
        other.key.tgid = 12
        test.sample(other)
        other.key.setDestination([10, 0, 0, 9], port: 8081)
        test.sample(other)
        #expect(test.take().isEmpty)

        let tallies = test.stream.tallies
        #expect(tallies.map(\.count) == [6, 1])
        #expect(tallies[0].type == .connectExhausted && tallies[0].cause == .portRange)
        #expect(
            tallies[0].resource
                == Resource(
                    .ports, in: namespace, proto: 6, source: IPAddress(ipv4: 0x0a00_0005),
                    destination: Endpoint(address: IPAddress(ipv4: 0x0a00_0009), port: 8080)))
        #expect(tallies[0].victims.map(\.count) == [5, 1])
        #expect(tallies[0].victims.map(\.owner.process?.pid) == [4711, 12])
        #expect(tallies[0].portRange == PortRange(low: 32_768, high: 33_001))
    }

    @Test func onlyWhatPasses() throws {
        var filter = Filter()
        try filter.addPIDs(parsing: "12".utf8)
        let test = TestStream(nil, filter: filter)
        test.sample(.example)
        #expect(test.stream.tallies.isEmpty)
    }

    /// More resources and victims than are told apart: no count is lost.
    @Test func bounded() {
        let test = TestStream(nil)
        var sample = pt_sample.example
        for index in 0..<40_000 {
            sample.key.tgid = UInt32(index + 1)
            sample.key.setDestination([10, 1, UInt8(index >> 8 & 0xff), UInt8(index & 0xff)], port: 80)
            test.sample(sample)
        }
        let tallies = test.stream.tallies
        #expect(tallies.reduce(0) { $0 + $1.count } == 40_000)
        #expect(tallies.count == 4_097)
        #expect(tallies[0].resource == Resource(.ports, in: namespace))
        #expect(tallies.allSatisfy { $0.victims.count <= 16 })
    }

    private static let second: UInt64 = 1_000_000_000

    private func failure(_ index: Int, pid: UInt32 = 1) throws -> Failure {
        var sample = pt_sample.example
        sample.key.tgid = pid
        sample.key.setDestination([10, UInt8(index >> 16), UInt8(index >> 8 & 0xff), UInt8(index & 0xff)], port: 80)
        return try Failure(key: sample.key, detail: sample.detail)
    }

    /// In the course of days: resources that are quiet make room for new ones, no count is lost, and what moves to the rest is
    /// not taken for new failures.
    @Test func quietResourcesMakeRoom() throws {
        var tallies = FailureTallies()
        let minute = 60 * Self.second
        for index in 0..<5_000 { tallies.add(try failure(index), count: 2, at: minute) }
        #expect(tallies.all.count == 4_097)
        for index in 10_000..<10_100 {
            tallies.add(try failure(index), count: 3, at: 3 * minute)
        }
        let all = tallies.all
        #expect(all.reduce(0) { $0 + $1.count } == 10_300)
        #expect(all.count == 4_097 - 512 + 100)
        #expect(all[0].resource == Resource(.ports, in: namespace))
        #expect(all[0].count == 2 * 904 + 2 * 512 && all[0].past == 2 * 512)
        #expect(all.filter { $0.count == 3 }.count == 100)
    }

    @Test func victimsMakeRoom() throws {
        var tallies = FailureTallies()
        for pid in 1...UInt32(32_768) {
            tallies.add(try failure(0, pid: pid), count: pid > 32_752 ? 9 : 1, at: Self.second)
        }
        tallies.add(try failure(0, pid: 40_000), count: 20, at: 2 * Self.second)
        #expect(tallies.all[0].victims.allSatisfy { $0.count == 9 })
        tallies.add(try failure(0, pid: 40_001), count: 20, at: 62 * Self.second)
        let tally = tallies.all[0]
        #expect(tally.victims.map(\.count) == [20] + [UInt64](repeating: 9, count: 15))
        #expect(tally.victims[0].owner.process?.pid == 40_001)
        #expect(tally.count == 32_752 + 16 * 9 + 40)
    }

    /// Who has the ports is looked for at the first failure, then once a second until all were seen in use; the fullest stays.
    @Test func looksAtWhatFails() throws {
        let census = Census()
        var tallies = FailureTallies(census: census)
        let failure = try failure(0)
        let resource = Resource(wantedBy: failure)
        func see(_ used: UInt64) { census.occupancies = [Occupancy(resource, used: used, limit: 234, holders: [])] }
        tallies.add(failure, count: 1, at: Self.second)
        #expect(tallies.all[0].occupancy == nil)
        see(230)
        tallies.add(failure, count: 1, at: Self.second + 1)
        #expect(tallies.all[0].occupancy == nil && census.asked == 1)
        tallies.add(failure, count: 1, at: 2 * Self.second)
        see(200)
        tallies.add(failure, count: 1, at: 3 * Self.second)
        #expect(tallies.all[0].occupancy?.used == 230 && census.asked == 3)
        see(234)
        tallies.add(failure, count: 1, at: 4 * Self.second)
        tallies.add(failure, count: 1, at: 9 * Self.second)
        #expect(tallies.all[0].occupancy?.used == 234 && census.asked == 4)
        var conflict = failure
        (conflict.type, conflict.cause) = (.connectConflict, .tupleTaken)
        tallies.add(conflict, count: 1, at: Self.second)
        #expect(census.asked == 4)
    }

    /// Sockets of several ranges, or a range that was set meanwhile: none is the failures'.
    @Test func rangesThatDifferAreNone() throws {
        var tallies = FailureTallies()
        var other = try failure(0)
        other.portRange = PortRange(low: 40_000, high: 40_009)
        tallies.add(other, count: 1, at: 1)
        #expect(tallies.all[0].portRange == other.portRange)
        tallies.add(try failure(0), count: 1, at: 2)
        tallies.add(other, count: 1, at: 3)
        #expect(tallies.all[0].portRange == nil)
    }

    /// Whose port two flows chose, by the majority; a race of no NAT, and one of which the tuple is not known, are apart.
    @Test func racesByTheirMapping() throws {
        let (one, two) = (IPAddress(ipv4: 0xc000_0201), IPAddress(ipv4: 0xc000_0202))
        func race(_ nat: IPAddress?, to destination: IPAddress? = IPAddress(ipv4: 0x0a00_0009)) -> Failure {
            var failure = Failure(type: .conntrackInsertFailed, cause: .race)
            (failure.proto, failure.destination, failure.destinationPort) = (17, destination, 53)
            failure.nat = nat.map { Endpoint(address: $0, port: 20_000) }
            return failure
        }
        var tallies = FailureTallies()
        for _ in 0..<3 {
            tallies.add(race(two), count: 1, at: 1)
            tallies.add(race(one), count: 2, at: 1)
        }
        tallies.add(race(nil), count: 5, at: 1)
        tallies.add(race(nil, to: nil), count: 7, at: 1)
        let tally = tallies.all[0]
        #expect(tally.count == 21 && tally.translated == 9 && tally.untranslated == 5 && tally.dns == 21)
        #expect(tally.mapping?.source == one && tally.mapping?.kind == .snat && tally.mapping?.destination?.port == 53)
    }

    @Test func conflictsKnowTheirPort() throws {
        var tallies = FailureTallies()
        var conflict = try failure(0)
        (conflict.type, conflict.cause, conflict.sourcePort) = (.connectConflict, .tupleTaken, 30_001)
        tallies.add(conflict, count: 1, at: 1)
        conflict.sourcePort = 0
        tallies.add(conflict, count: 1, at: 1)
        #expect(tallies.all[0].sourcePort == 30_001)
    }

    @Test func counters() {
        let test = TestStream(nil)
        test.stream.counted(.conntrackTableFull, cause: .tableFull, netnsID: 5, count: 9, at: 0, limit: 100)
        #expect(test.stream.tallies.map(\.count) == [9])
        #expect(test.stream.tallies[0].resource == Resource(.conntrack, in: NamespaceIdentity(inode: 5, mix: 0)))
        #expect(test.stream.tallies[0].limit == 100)
        #expect(test.stream.tallies[0].victims.isEmpty)
    }
}

/// What the options leave of a sample.
@Suite struct NodeSampleFilterTests {
    private func narrowed(_ node: StagedNode, _ option: (inout Filter) throws -> Void) throws -> NodeSample {
        var filter = Filter()
        try option(&filter)
        var sample = node.sample
        sample.narrow(
            to: filter, paths: Paths([1: "/hog", 2: "/victim"]), owners: Owners(), addresses: NamedAddresses())
        return sample
    }

    private let full = StagedNode().with { $0.use(StagedNode.ports, 230, of: 234) }

    @Test func holdersKeepTheirResources() throws {
        #expect(try narrowed(full) { _ in }.ports?.occupancies.count == 1)
        #expect(try narrowed(full) { try $0.addCgroups(parsing: "/hog".utf8) }.ports?.occupancies.count == 1)
        #expect(try narrowed(full) { try $0.addCgroups(parsing: "/other".utf8) }.ports?.occupancies.isEmpty == true)
        #expect(try narrowed(full) { try $0.addPIDs(parsing: "4711".utf8) }.ports?.occupancies.count == 1)
        #expect(
            try narrowed(full) { try $0.addTypes(parsing: "bind_exhausted".utf8) }.ports?.occupancies.isEmpty == true)
        #expect(try narrowed(full) { try $0.addDestinations(parsing: ":8080".utf8) }.ports?.occupancies.count == 1)
        #expect(
            try narrowed(full) { try $0.addDestinations(parsing: ":9".utf8) }.ports?.occupancies.isEmpty == true)
    }

    /// The culprit is nobody whom the options ask for, the victim was.
    @Test func failuresKeepTheirResources() throws {
        let failing = full.with {
            $0.sample.failures = [
                FailureTally(type: .connectExhausted, cause: .portRange, resource: StagedNode.ports, count: 1)
            ]
        }
        let sample = try narrowed(failing) { try $0.addCgroups(parsing: "/victim".utf8) }
        #expect(sample.ports?.occupancies.count == 1)
        #expect(sample.ports?.namespaces.map(\.id) == [StagedNode.pod])
    }

    /// The node's table is everybody's; another one stays where it is not known whose entries are.
    @Test func tables() throws {
        let node = StagedNode()
        let pod = node.with {
            $0.sample.tables[0].isHost = false
            $0.sample.tables[0].table.holders = [Holder(HolderOwner(namespace: StagedNode.pod), count: 900)]
        }
        let hog = pod.with { $0.sample.tables[0].table.holders = [Holder(StagedNode.hog, count: 900)] }
        let option: (inout Filter) throws -> Void = { try $0.addCgroups(parsing: "/victim".utf8) }
        #expect(try narrowed(node, option).tables.count == 1)
        #expect(try narrowed(pod, option).tables.count == 1)
        #expect(try narrowed(hog, option).tables.isEmpty)
    }
}
