import CPortTraceWire
import Testing

@testable import PortTraceCore

/// The processes that have sockets open, in the place of their cgroup's.
@Suite struct SocketHoldersTests {
    private let resource = StagedNode.ports

    /// Of a resource: sockets' cgroup, process, count; its own cgroup where the sockets' does not tell.
    private func holders(
        _ rows: [(cgroup: UInt64, pid: UInt32, count: UInt64, own: UInt64)], of resource: Resource? = nil
    ) -> SocketHolders {
        var holders = SocketHolders()
        for row in rows {
            var key = pt_census_key()
            withUnsafeMutableBytes(of: &key) { $0.copyBytes(from: (resource ?? self.resource).censusKey) }
            key.cgroup_id = row.cgroup
            key.tgid = row.pid
            var value = pt_census_count()
            (value.count, value.cgroup_id) = (row.count, row.own)
            withUnsafeMutableBytes(of: &value.comm) { $0.copyBytes(from: "nginx".utf8) }
            withUnsafeBytes(of: key) { key in withUnsafeBytes(of: value) { holders.add(key: key, value: $0) } }
        }
        return holders
    }

    private func occupancy(_ used: UInt64, _ holders: [Holder]) -> Occupancy {
        Occupancy(resource, used: used, limit: 1_000, holders: holders, timeWait: 0)
    }

    private func owner(_ cgroup: UInt64, _ pid: UInt32) -> HolderOwner { StagedNode.owner(cgroup, pid, "nginx") }

    /// What the programs are asked, and what they answer, is the resource.
    @Test(arguments: [
        StagedNode.ports, StagedNode.bindPorts,
        Resource(
            .ports, in: StagedNode.host, proto: 6, source: IPAddress(ipv6High: 0xfd00_0000_0000_0001, low: 5),
            destination: Endpoint(address: IPAddress(ipv6High: 0xfd00_0000_0000_0002, low: 9), port: 443)),
    ])
    func keyIsTheResource(_ resource: Resource) throws {
        var value = pt_census_count()
        value.count = 1
        let row = try resource.censusKey.withUnsafeBytes { key in
            try withUnsafeBytes(of: value) { try CensusRow(key: key, value: $0) }
        }
        #expect(row.resource == resource)
    }

    @Test func ofOneCgroup() {
        let named = holders([(1, 4711, 60, 0), (1, 4712, 30, 0), (2, 99, 5, 0)]).naming(
            occupancy(100, [Holder(HolderOwner(cgroupID: 1), count: 90), Holder(HolderOwner(cgroupID: 2), count: 8)]))
        #expect(
            named.holders == [
                Holder(owner(1, 4711), count: 60), Holder(owner(1, 4712), count: 30), Holder(owner(2, 99), count: 5),
                Holder(HolderOwner(cgroupID: 2), count: 3),
            ])
        #expect(named.used == 100)
    }

    /// Sockets that have come since stay out; a cgroup that the census has not is nobody's here.
    @Test func sumsStay() {
        let named = holders([(1, 4711, 60, 0), (1, 4712, 50, 0), (3, 7, 9, 0)]).naming(
            occupancy(100, [Holder(HolderOwner(cgroupID: 1), count: 90)]))
        #expect(named.holders == [Holder(owner(1, 4711), count: 60), Holder(owner(1, 4712), count: 30)])
    }

    /// Those that it has closed, and has open.
    @Test func withItsTimeWait() {
        let named = holders([(1, 4711, 60, 0)]).naming(
            occupancy(
                100, [Holder(HolderOwner(cgroupID: 1), count: 60), Holder(owner(1, 4711), count: 40, isInferred: true)])
        )
        #expect(named.holders == [Holder(owner(1, 4711), count: 100, isInferred: true)])
    }

    /// A host whose containers are in cgroup v1: the sockets' cgroup tells nothing, the process' own does.
    @Test func ownCgroup() {
        let v1 = PT_CGROUP_V1 | 77
        let rows = holders([(0, 4711, 60, v1), (0, 99, 10, 0)])
        #expect(
            rows.naming(occupancy(80, [])).holders == [
                Holder(owner(v1, 4711), count: 60), Holder(owner(0, 99), count: 10),
            ])
        let pod = HolderOwner(namespace: StagedNode.pod)
        var ofPod = owner(0, 99)
        ofPod.namespace = StagedNode.pod
        #expect(
            rows.naming(occupancy(80, [Holder(pod, count: 80)])).holders == [
                Holder(owner(v1, 4711), count: 60), Holder(ofPod, count: 10), Holder(pod, count: 10),
            ])
    }

    @Test func othersStay() {
        let occupancy = occupancy(100, [Holder(HolderOwner(cgroupID: 1), count: 90)])
        #expect(holders([(1, 4711, 60, 0)], of: StagedNode.bindPorts).naming(occupancy) == occupancy)
        #expect(holders([(1, 0, 60, 0)]).naming(occupancy) == occupancy)
    }

    /// What is worth to be asked: what is short, and not named whole; the worst first.
    @Test func whatIsUnnamed() {
        let open = [Holder(HolderOwner(cgroupID: 1), count: 200)]
        let named = StagedNode().with {
            $0.use(StagedNode.ports, 230, of: 234, holders: [Holder(StagedNode.hog, count: 230)])
        }
        #expect(named.sample.unnamed.isEmpty)
        #expect(StagedNode().with { $0.use(StagedNode.ports, 100, of: 234, holders: open) }.sample.unnamed.isEmpty)
        var node = StagedNode().with {
            $0.use(StagedNode.ports, 234, of: 234, holders: open)
            $0.use(StagedNode.bindPorts, 234, of: 234)
            $0.setPod { $0.boundPorts = 234 }
            $0.fail(.bindExhausted, .portRange, StagedNode.bindPorts, 3)
            $0.fillTable([3: 90_000], of: 100_000)
        }
        #expect(node.sample.unnamed == [StagedNode.bindPorts, StagedNode.ports])
        node.sample.name(holders([(1, 4711, 200, 0)]))
        #expect(node.sample.ports?.occupancies[0].holders == [Holder(owner(1, 4711), count: 200)])
    }
}
