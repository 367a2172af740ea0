public import PortTraceCore

/// A node in trouble that is the same each time: its ports towards one destination run out, its conntrack table fills. One
/// tick is a second.
public final class ReplayedNode: TopSource {
    /// CLOCK_MONOTONIC of tick 0, nanoseconds.
    public static let start: UInt64 = 1_000_000_000_000

    public let node: TopNode
    private let resources: Int
    private let isHostile: Bool
    private var refused: UInt64 = 0
    private var recent: [RecentFailure] = []

    private static let host = NamespaceIdentity(inode: 4_026_531_840, mix: 1)
    private static let shop = NamespaceIdentity(inode: 4_026_532_345, mix: 2)
    private static let other = NamespaceIdentity(inode: 4_026_532_401, mix: 3)

    /// - Parameters:
    ///   - resources: how many there are, at least the 8 that have a story.
    ///   - isHostile: whether some holders are told by their processes, whose names would act on a terminal or take two
    ///     columns a character.
    ///   - forTerminal: whether names are for the screen.
    public init(
        resources: Int = 8, filter: Filter = Filter(), isHostile: Bool = false, forTerminal: Bool = true
    ) {
        self.resources = resources
        self.isHostile = isHostile
        var facts = TopFacts(
            node: Array("worker-17".utf8), kernel: Array("6.12.107-cloud-amd64".utf8),
            hooks: [
                ("connect", "fentry"), ("bind", "none (kprobe: the kernel has no kprobes)"),
                ("conntrack", "tracepoint"),
                ("evictions", "fentry"), ("time_wait", "tracepoint"),
            ])
        facts.hostNamespace = Self.host.inode
        facts.sockets = TopSockets(tcp: 1_312, udp: 96, timeWait: 20_113)
        facts.notVisible = ["the conntrack table of netns 4026532999: Operation not permitted"]
        node = TopNode(
            facts, start: Self.start, clock: Clock(utcOffsetNanoseconds: 1_795_268_786_000_000_000), filter: filter,
            cgroupPaths: ReplayedPaths(), owners: ReplayedOwners(), forTerminal: forTerminal)
    }

    public func refresh(at time: UInt64) {
        let tick = (time - Self.start) / 1_000_000_000
        let ports = min(150 + 8 * tick, 234)
        let entries = 205_000 + 1_500 * tick
        node.facts.conntrack = (entries + Self.shopEntries, 262_144)
        node.refreshNames()
        let found = story(ports: ports, entries: entries) + filler(tick)
        node.look(found.filter { $0.resource.kind != .conntrack }, at: time) { $0.kind != .conntrack }
        node.look(found.filter { $0.resource.kind == .conntrack }, at: time) { $0.kind == .conntrack }
        node.destinations[Self.host] = [
            .init(proto: 17, endpoint: Self.endpoint(10, 96, 0, 10, 53), count: entries / 2, unreplied: 1_200),
            .init(proto: 6, endpoint: Self.endpoint(203, 0, 113, 10, 443), count: entries / 10, unreplied: 3),
        ]
        if ports == 234 {
            refused += 120
            recent = Array((recent + [RecentFailure(time: time, victim: Self.nginx, count: 120)]).suffix(8))
        }
        var tally = FailureTally(
            type: .connectExhausted, cause: .portRange,
            resource: Resource(
                .ports, in: NamespaceIdentity(inode: Self.shop.inode, mix: 0), proto: 6,
                source: Self.endpoint(10, 20, 1, 2, 0).address, destination: Self.endpoint(10, 20, 0, 10, 8080)),
            count: refused)
        tally.recent = recent
        node.failures(refused == 0 ? [] : [tally], at: time)
    }

    /// The picture of a tick; those before it must have been taken.
    public func picture(tick: UInt64) -> TopPicture {
        let time = Self.start + tick * 1_000_000_000
        refresh(at: time)
        return node.picture(at: time)
    }

    // MARK: What there is

    private static let checkout = HolderOwner(cgroupID: 11)
    private static let nginx = HolderOwner(cgroupID: 11, process: process(4_711, "nginx"))
    private static let worker = HolderOwner(cgroupID: 12)
    private static let unit = HolderOwner(cgroupID: 13)
    /// Whose entries these are, by their address alone.
    private static let pod = HolderOwner(namespace: shop)
    private static let node = HolderOwner.host
    /// What it calls itself would clear the screen and name the window.
    private static let evil = HolderOwner(cgroupID: 14, process: process(666, "\u{1b}[2J\u{1b}]0;x\u{7}"))
    private static let wide = HolderOwner(cgroupID: 15, process: process(88, "日本語é"))

    private static func process(_ pid: UInt32, _ comm: String) -> HoldingProcess {
        HoldingProcess(pid: pid, comm: Comm(comm.utf8))
    }

    private static func endpoint(_ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: UInt32, _ port: UInt16) -> Endpoint {
        Endpoint(address: IPAddress(ipv4: a << 24 | b << 16 | c << 8 | d), port: port)
    }

    private static let shopEntries: UInt64 = 310

    private func story(ports: UInt64, entries: UInt64) -> [Occupancy] {
        let binders =
            isHostile
            ? [Holder(Self.evil, count: 120), Holder(Self.wide, count: 60)] : [Holder(Self.unit, count: 190)]
        let pod = Self.endpoint(10, 20, 1, 2, 0).address
        let documentation = IPAddress(ipv6High: 0x2001_0db8_0000_0000, low: 0x1234_5678_9abc_def0)
        return [
            Occupancy(
                Resource(
                    .ports, in: Self.shop, proto: 6, source: pod, destination: Self.endpoint(10, 20, 0, 10, 8080)),
                used: ports, limit: 234,
                holders: [Holder(Self.checkout, count: ports - 40), Holder(Self.worker, count: 30, isInferred: true)]),
            Occupancy(
                Resource(.conntrack, in: Self.host), used: entries, limit: 262_144,
                holders: [
                    Holder(Self.node, count: entries / 2), Holder(Self.pod, count: entries / 4),
                    Holder(isHostile ? Self.wide : Self.worker, count: entries / 16),
                ]),
            Occupancy(
                Resource(
                    .snat, in: Self.host, proto: 6, source: Self.endpoint(192, 0, 2, 1, 0).address,
                    destination: Self.endpoint(203, 0, 113, 10, 443)),
                used: 58, limit: 60, holders: [Holder(Self.pod, count: 58)]),
            Occupancy(
                Resource(.timeWait, in: Self.shop), used: 20_113, limit: 65_536,
                holders: [
                    Holder(isHostile ? Self.nginx : Self.checkout, count: 14_079), Holder(Self.worker, count: 4_022),
                ]),
            Occupancy(
                Resource(.bindPorts, in: Self.other, proto: 17), used: 190, limit: 234, holders: binders),
            Occupancy(
                Resource(
                    .ports, in: Self.host, proto: 6, source: documentation,
                    destination: Endpoint(address: documentation, port: 443)),
                used: 9_000, limit: 28_232, holders: [Holder(Self.unit, count: 9_000)]),
            Occupancy(Resource(.conntrack, in: Self.shop), used: Self.shopEntries, limit: nil, holders: []),
            Occupancy(Resource(.bindPorts, in: Self.host, proto: 6), used: 0, limit: 28_232, holders: []),
        ]
    }

    private func filler(_ tick: UInt64) -> [Occupancy] {
        (0..<max(resources - 8, 0)).map { index in
            let number = UInt32(index)
            return Occupancy(
                Resource(
                    .ports, in: Self.host, proto: 6, source: IPAddress(ipv4: 0x0a14_0000 | number >> 8),
                    destination: Endpoint(address: IPAddress(ipv4: 0x0a15_0000 | number & 0xff), port: 443)),
                used: UInt64(index) * 7 % 20_000 + tick % 3, limit: 28_232,
                holders: [Holder(HolderOwner(cgroupID: 100 + UInt64(index % 500)), count: UInt64(index) * 5 % 14_000)])
        }
    }
}
