import Testing

@testable import PortTraceCore

/// Entries of a node with two pods, an outside and a Service.
struct TableTallyTests {
    private static let one = NamespaceIdentity(inode: 11, mix: 1)
    private static let two = NamespaceIdentity(inode: 12, mix: 2)
    private static let host = NamespaceIdentity(inode: 10, mix: 9)
    private static let pod1 = IPAddress(ipv4: 0x0a58_0102)  // 10.88.1.2
    private static let pod2 = IPAddress(ipv4: 0x0a58_0103)
    private static let pod2v6 = IPAddress(ipv6High: 0xfd88_0001 << 32, low: 3)
    private static let gone = IPAddress(ipv4: 0x0a58_0177)  // in the pods' /24
    private static let node = IPAddress(ipv4: 0xcb00_7102)  // 203.0.113.2
    private static let shared = IPAddress(ipv4: 0x0a58_0150)
    private static let outside = IPAddress(ipv4: 0xc633_640a)  // 198.51.100.10

    private static let addresses: NodeAddresses = {
        var addresses = NodeAddresses(isComplete: true)
        addresses.insert(pod1, .namespace(one))
        addresses.insert(pod2, .namespace(two))
        addresses.insert(pod2v6, .namespace(two))
        addresses.insert(node, .host)
        addresses.insert(shared, .unknown)
        return addresses
    }()

    private static func entry(
        _ source: IPAddress, _ destination: IPAddress, proto: UInt8 = 17, port: UInt16 = 53, status: UInt32 = 0,
        _ change: (inout TableEntry) -> Void = { _ in }
    ) -> TableEntry {
        var entry = TableEntry()
        (entry.proto, entry.status, entry.timeout) = (proto, status, 30)
        (entry.source, entry.destination) = (source, destination)
        (entry.sourcePort, entry.destinationPort) = (1_001, port)
        (entry.replySource, entry.replyDestination) = (destination, source)
        (entry.replySourcePort, entry.replyDestinationPort) = (port, 1_001)
        change(&entry)
        return entry
    }

    private static func tally(
        _ entries: [TableEntry], isHost: Bool = true, addresses: NodeAddresses = addresses, ranges: NATRanges? = nil,
        namespace: NamespaceIdentity = host, isGone: @escaping (IPAddress) -> Bool = { _ in true }
    ) -> TableCensus {
        let tally = TableTally(
            TableCensus(namespace: namespace, isHost: isHost, time: 7, limit: 100), addresses: addresses,
            ranges: ranges)
        for entry in entries { tally.add(entry) }
        return tally.census(isGone: isGone)
    }

    @Test func sums() {
        let census = Self.tally([
            Self.entry(Self.pod1, Self.outside),
            Self.entry(Self.pod1, Self.outside, status: 1 << 1),
            Self.entry(Self.pod1, Self.outside, proto: 6, port: 443, status: 1 << 1 | 1 << 2) { $0.tcpState = 3 },
            Self.entry(Self.pod2, Self.outside, proto: 6, port: 443, status: 1 << 1) { $0.tcpState = 7 },
            Self.entry(Self.pod2, Self.outside, proto: 6, port: 443) { $0.tcpState = 1 },
            Self.entry(Self.pod2, Self.outside, proto: 6, port: 443) { $0.tcpState = 200 },
            Self.entry(Self.pod2, Self.outside, proto: 1, port: 8 << 8),
        ])
        #expect(census.table.used == 7)
        #expect(census.table.limit == 100)
        #expect(census.assured == 1)
        #expect(census.unreplied == 4)
        #expect(census.translated == 0)
        #expect(census.protocols == [1: 1, 6: 4, 17: 2])
        #expect(census.tcpStates == [1: 1, 3: 1, 7: 1, 15: 1])
        #expect(
            census.destinations == [
                .init(proto: 6, endpoint: Endpoint(address: Self.outside, port: 443), count: 4, unreplied: 2),
                .init(proto: 17, endpoint: Endpoint(address: Self.outside, port: 53), count: 2, unreplied: 1),
                .init(proto: 1, endpoint: Endpoint(address: Self.outside, port: 0), count: 1, unreplied: 1),
            ])
        #expect(
            census.table.holders == [
                Holder(HolderOwner(namespace: Self.two), count: 4), Holder(HolderOwner(namespace: Self.one), count: 3),
            ])
        #expect((census.own, census.inbound) == (0, 0))
        #expect(census.stale.isEmpty)
    }

    @Test func whoseAnEntryIs() {
        let loopback = IPAddress(ipv4: 0x7f00_0001)
        let service = IPAddress(ipv4: 0x0a60_000a)
        let census = Self.tally([
            Self.entry(Self.pod1, Self.pod2),  // the opener's
            Self.entry(Self.outside, Self.pod2),  // inbound
            Self.entry(Self.outside, service, status: 1 << 5) { $0.replySource = Self.pod2v6 },
            Self.entry(Self.node, Self.outside),
            Self.entry(loopback, loopback),
            Self.entry(Self.outside, Self.node),  // inbound, the host's
            Self.entry(Self.shared, Self.outside),  // several have it
            Self.entry(Self.outside, service),  // forwarded
        ])
        #expect(
            census.table.holders == [
                Holder(.host, count: 3), Holder(HolderOwner(namespace: Self.two), count: 2),
                Holder(HolderOwner(namespace: Self.one), count: 1),
            ])
        #expect(census.own == 3)
        #expect(census.ownConnections.isEmpty)
        #expect(census.inbound == 3)
        #expect(census.table.used == 8)
    }

    @Test func loopbackBelongsToTheTablesNamespace() {
        let loopback = IPAddress(ipv6High: 0, low: 1)
        let pods = Self.tally([Self.entry(loopback, loopback)], isHost: false, namespace: Self.two)
        #expect(pods.table.holders == [Holder(HolderOwner(namespace: Self.two), count: 1)])
        // Also where none of its addresses is known.
        let other = NamespaceIdentity(inode: 99, mix: 9)
        let unknown = Self.tally([Self.entry(loopback, loopback)], isHost: false, namespace: other)
        #expect(unknown.table.holders == [Holder(HolderOwner(namespace: other), count: 1)])
    }

    @Test func theHostsOwnAreItsSocketsOwners() {
        func connections(_ count: Int, to destination: IPAddress, port: UInt16) -> [TableEntry] {
            (0..<count).map { _ in Self.entry(Self.node, destination, proto: 6, port: port) }
        }
        let second = IPAddress(ipv4: 0xc633_640b)
        let census = Self.tally(
            connections(90, to: Self.outside, port: 443) + connections(40, to: second, port: 443)
                + [
                    Self.entry(Self.node, Self.outside, port: 443),
                    Self.entry(Self.outside, Self.node, proto: 6, port: 443),
                ]
                + [Self.entry(Self.pod1, Self.outside, proto: 6, port: 443)])
        func ports(_ destination: IPAddress, in namespace: NamespaceIdentity = Self.host, _ holders: [Holder])
            -> Occupancy
        {
            let endpoint = Endpoint(address: destination, port: 443)
            return Occupancy(
                Resource(.ports, in: namespace, proto: 6, source: Self.node, destination: endpoint),
                used: holders.reduce(5) { $0 + $1.count }, limit: 1_000, holders: holders)
        }
        let (cgroup, other) = (HolderOwner(cgroupID: 5), HolderOwner(cgroupID: 6))
        let process = HoldingProcess(pid: 7, comm: Comm("curl".utf8))
        #expect(
            census.table.holders == [Holder(.host, count: 132), Holder(HolderOwner(namespace: Self.one), count: 1)])
        #expect(census.own == 132)
        // Fewer sockets than entries: each has one. More: they share what there is.
        let sockets = PortCensus(
            time: 1,
            occupancies: [
                ports(
                    Self.outside,
                    [
                        Holder(cgroup, count: 50), Holder(HolderOwner(cgroupID: 5, process: process), count: 20),
                        Holder(other, count: 10),
                    ]),
                ports(second, [Holder(HolderOwner(process: process), count: 60), Holder(other, count: 20)]),
                ports(Self.outside, in: Self.one, [Holder(cgroup, count: 50)]),
            ])
        #expect(
            census.naming(sockets).table.holders == [
                Holder(cgroup, count: 70), Holder(HolderOwner(process: process), count: 30, isInferred: true),
                Holder(other, count: 20, isInferred: true), Holder(.host, count: 12),
                Holder(HolderOwner(namespace: Self.one), count: 1),
            ])
        // Nobody's sockets: nothing is made up.
        let unowned = PortCensus(time: 1, occupancies: [ports(Self.outside, [])])
        #expect(census.naming(unowned).table.holders == census.table.holders)
    }

    @Test func entriesOfAPodThatIsGone() {
        let entries = [
            Self.entry(Self.gone, Self.outside) { $0.timeout = 400 },
            Self.entry(Self.gone, Self.outside) { $0.timeout = 86_400 },
            // Its replies belong to a pod that lives: another node's pod may have opened it.
            Self.entry(Self.gone, Self.pod1),
            // Somebody's address, although it is not known whose; one that is far from pods.
            Self.entry(Self.shared, Self.outside),
            Self.entry(Self.outside, IPAddress(ipv4: 0x0101_0101)),
            // Where destination NAT still leads.
            Self.entry(Self.pod1, IPAddress(ipv4: 0x0a60_000a), status: 1 << 5) { $0.replySource = Self.gone },
        ]
        let stale: [TableCensus.Stale] = [
            .init(address: Self.gone, count: 2, longestTimeout: 86_400),
            .init(address: Self.gone, isBackend: true, count: 1, longestTimeout: 30),
        ]
        #expect(Self.tally(entries).stale == stale)
        #expect(Self.tally(entries) { $0 != Self.gone }.stale.isEmpty)
        var incomplete = Self.addresses
        incomplete.isComplete = false
        #expect(Self.tally(entries, addresses: incomplete).stale.isEmpty)
    }

    @Test func translations() throws {
        let peer = Endpoint(address: Self.outside, port: 443)
        func masqueraded(_ source: IPAddress, as port: UInt16) -> TableEntry {
            Self.entry(source, Self.outside, proto: 6, port: 443, status: 1 << 4) {
                ($0.replyDestination, $0.replyDestinationPort) = (Self.node, port)
            }
        }
        let ranges = NATRanges()
        var entries = (40_000..<40_020).map { masqueraded(Self.pod1, as: $0) }
        entries += (40_020..<40_025).map { masqueraded(Self.pod2, as: $0) }
        let census = Self.tally(entries + [Self.entry(Self.pod1, Self.outside)], ranges: ranges)
        #expect(census.translated == 25)
        let snat = try #require(census.translations.first)
        #expect(census.translations.count == 1)
        #expect(snat.resource == Resource(.snat, in: Self.host, proto: 6, source: Self.node, destination: peer))
        #expect((snat.used, snat.limit) == (25, 25))
        #expect(
            snat.holders == [
                Holder(HolderOwner(namespace: Self.one), count: 20), Holder(HolderOwner(namespace: Self.two), count: 5),
            ])
        // What was seen is remembered.
        let later = Self.tally([masqueraded(Self.pod1, as: 40_003)], ranges: ranges)
        #expect(later.translations.map(\.limit) == [25])
        #expect(Self.tally(entries).translations.map(\.limit) == [nil])
    }

    @Test func moreGroupsThanThereIsRoomFor() {
        let entries = (0..<40_000).map { number in
            Self.entry(Self.pod1, IPAddress(ipv4: 0x0900_0000 + UInt32(number)), status: 1 << 4) {
                $0.replyDestination = Self.node
            }
        }
        let many = (0..<20_000).map { _ in Self.entry(Self.pod2, Self.outside) }
        let census = Self.tally(Array(many.prefix(1)) + entries + many.dropFirst())
        #expect(census.table.used == 60_000)
        #expect(census.protocols == [17: 60_000])
        #expect(census.translated == 40_000)
        #expect(census.table.holders.map(\.count) == [40_000, 20_000])
        #expect(census.destinations.count == 64)
        #expect(census.destinations.first?.count == 20_000)
        #expect(census.translations.count == 256)
    }
}

struct GroupCountsTests {
    @Test func groupsAreToldApart() {
        var counts = GroupCounts(most: 10_000)
        let addresses = (0..<50).flatMap { number in
            [IPAddress(ipv4: number), IPAddress(ipv6High: 0, low: UInt64(number))]
                + [IPAddress(ipv6High: UInt64(number), low: 7)]
        }
        for _ in 0..<3 {
            for (first, address) in addresses.enumerated() {
                for rest in 0..<UInt64(10) {
                    let second = addresses[(first + 1) % addresses.count]
                    #expect(counts.update(GroupCounts.Key(address, second, rest: rest)) { $0.count += 1 } != nil)
                }
            }
        }
        #expect(counts.groups.count == 1_500)
        #expect(counts.groups.allSatisfy { $0.count == 3 })
        #expect(counts.index(of: GroupCounts.Key(rest: 11)) == nil)
    }

    @Test func whatFindsNoRoomIsLeftOut() {
        var counts = GroupCounts(most: 3)
        let made = (0..<5).map { rest in counts.update(GroupCounts.Key(rest: rest)) { $0.count += 1 } }
        #expect(made == [0, 1, 2, nil, nil])
        #expect(counts.update(GroupCounts.Key(rest: 1)) { $0.count += 1 } == 1)
        #expect(counts.groups.map(\.count) == [1, 2, 1])
    }
}

struct NodeAddressesTests {
    private static let pod = NamespaceIdentity(inode: 1, mix: 1)

    @Test func places() {
        var addresses = NodeAddresses(isComplete: true)
        let (one, two) = (IPAddress(ipv4: 0x0a00_0001), IPAddress(ipv4: 0x0a00_0002))
        addresses.insert(one, .namespace(Self.pod))
        addresses.insert(two, .namespace(Self.pod))
        addresses.insert(two, .host)
        #expect(addresses.place(of: one) == .namespace(Self.pod))
        #expect(addresses.place(of: two) == .unknown)
        #expect(addresses.isKnownToHaveNone(IPAddress(ipv4: 9)))
        #expect(!addresses.isKnownToHaveNone(two))
        #expect(!NodeAddresses(isComplete: false).isKnownToHaveNone(one))
    }

    @Test(
        arguments: [
            (0x0a00_0009, true),  // in the /24
            (0x0a00_0001, false),  // somebody's
            (0x0a00_0109, false),  // the next /24
            (0xa9fe_0009, false),  // link-local
            (0xcb00_7109, false),  // near the host
        ] as [(UInt32, Bool)])
    func nearPods(_ address: UInt32, isNear: Bool) {
        var addresses = NodeAddresses(isComplete: true)
        addresses.insert(IPAddress(ipv4: 0x0a00_0001), .namespace(Self.pod))
        addresses.insert(IPAddress(ipv4: 0xa9fe_0001), .namespace(Self.pod))
        addresses.insert(IPAddress(ipv4: 0xcb00_7102), .host)
        #expect(addresses.isNearPod(IPAddress(ipv4: address)) == isNear)
    }

    @Test func nearPodsOfIPv6() {
        var addresses = NodeAddresses(isComplete: true)
        addresses.insert(IPAddress(ipv6High: 0xfd88 << 48, low: 1), .namespace(Self.pod))
        addresses.insert(IPAddress(ipv6High: 0xfe80 << 48, low: 1), .namespace(Self.pod))
        #expect(addresses.isNearPod(IPAddress(ipv6High: 0xfd88 << 48, low: 1 << 60)))
        #expect(!addresses.isNearPod(IPAddress(ipv6High: 0xfd88 << 48 | 1, low: 1)))
        #expect(!addresses.isNearPod(IPAddress(ipv6High: 0xfe80 << 48, low: 2)))
    }

    @Test func mappedAddressesAreIPv4() {
        #expect(IPAddress(mappedHigh: 0, low: 0xffff_0a00_0001) == IPAddress(ipv4: 0x0a00_0001))
        #expect(IPAddress(mappedHigh: 1, low: 0xffff_0a00_0001).family == .ipv6)
    }
}
