import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

struct RouteReplyTests {
    private static func way(_ attributes: String, type: String = "01") throws -> RouteTable.Way {
        // rtmsg: family, lengths, tos, table, protocol, scope, type, flags
        try bytes("02200000 fe00 00\(type) 00000000 \(attributes)").withUnsafeBytes { try RouteReply.way($0) }
    }

    @Test func ways() throws {
        let device = "08000400 05000000"
        #expect(try Self.way("08000100 0a580105 \(device)") == .link(5))
        #expect(try Self.way("\(device) 08000500 cb007101") == .elsewhere)  // RTA_GATEWAY
        #expect(try Self.way("\(device) 08001200 02000000") == .elsewhere)  // RTA_VIA
        #expect(try Self.way("08000900 00000000") == .elsewhere)  // RTA_MULTIPATH
        #expect(try Self.way(device, type: "02") == .elsewhere)  // the namespace's own
        #expect(throws: NetlinkError.malformed) { try Self.way("06000400 0500") }
        #expect(throws: NetlinkError.malformed) {
            try bytes("02200000 fe000001 000000").withUnsafeBytes { try RouteReply.way($0) }
        }
    }

    private static func device(_ attributes: String) throws -> RouteTable.Device {
        try bytes("00000100 05000000 43100000 00000000 \(attributes)").withUnsafeBytes { try RouteReply.device($0) }
    }

    @Test func devices() throws {
        let veth = "10001280 09000100 76657468 00000000"
        let bridge = "10001280 0b000100 62726964 67650000"
        #expect(try Self.device("") == .init(index: 5))
        #expect(try Self.device(veth) == .init(index: 5, isVeth: true))
        #expect(try Self.device("08000a00 09000000 \(veth)") == .init(index: 5, master: 9, isVeth: true))
        #expect(try Self.device(bridge) == .init(index: 5, isBridge: true))
        #expect(throws: NetlinkError.malformed) { try Self.device("05000a00 09000000") }
    }

    @Test func neighbours() throws {
        func isAlive(_ state: String) throws -> Bool {
            try bytes("02000000 05000000 \(state)00 0001").withUnsafeBytes { try RouteReply.isAlive($0) }
        }
        // NUD_REACHABLE, DELAY, PROBE; INCOMPLETE, STALE, FAILED, PERMANENT
        for state in ["02", "08", "10"] { #expect(try isAlive(state)) }
        for state in ["01", "04", "20", "80"] { #expect(try !isAlive(state)) }
    }

    @Test func whereDevicesEnd() {
        let devices: [RouteTable.Device] = [
            .init(index: 1), .init(index: 2, isVeth: true), .init(index: 3, isBridge: true),
            .init(index: 4, master: 3, isVeth: true), .init(index: 5, isBridge: true),
            .init(index: 6, master: 5, isVeth: true), .init(index: 7, master: 5), .init(index: 8, isBridge: true),
        ]
        let ending = (1...9).filter { RouteTable.endsHere(Int32($0), devices) }
        #expect(ending == [2, 3, 4, 6, 8])
    }

    @Test func requests() {
        #expect(
            RouteRequest.route(to: IPAddress(ipv4: 0x0a58_0105), sequence: 3)
                == bytes("24000000 1a000500 03000000 00000000 02200000 00000000 00000000 08000100 0a580105"))
        #expect(
            RouteRequest.neighbour(IPAddress(ipv4: 0x0a58_0105), on: 5, sequence: 3)
                == bytes("24000000 1e000500 03000000 00000000 02000000 05000000 00000000 08000100 0a580105"))
    }
}

/// The kernel's own answers, in namespaces of the test's own.
@Suite(.serialized, .enabled(if: NATLab.obstacle == nil, "\(NATLab.obstacle ?? "")"))
struct RouteTableTests {
    @Test func nobodysAddresses() throws {
        let lab = try NATLab()
        let node = "ip -n \(lab.nodePath.split(separator: "/").last ?? "")"
        try Shell.run(
            """
            \(node) route add blackhole 10.88.1.0/24
            \(node) route add unreachable 10.88.2.0/24
            \(node) route add 10.88.3.0/24 via 198.51.100.2
            \(node) route add 10.88.4.0/24 dev lo
            \(node) route add blackhole 2001:db8:9::/64
            \(node) neigh replace 192.0.2.7 lladdr 02:00:00:00:00:07 dev in nud reachable
            \(node) neigh replace 192.0.2.8 lladdr 02:00:00:00:00:08 dev in nud stale
            """)
        let nobodys: [(String, IPAddress, Bool)] = [
            ("blackhole", IPAddress(ipv4: 0x0a58_0105), true), ("unreachable", IPAddress(ipv4: 0x0a58_0205), true),
            ("by a gateway", IPAddress(ipv4: 0x0a58_0305), false),
            ("behind a device", IPAddress(ipv4: 0x0a58_0405), false),
            ("no route", IPAddress(ipv4: 0x0a58_0505), true), ("on a veth", IPAddress(ipv4: 0xc000_0209), true),
            ("answers", IPAddress(ipv4: 0xc000_0207), false), ("has answered", IPAddress(ipv4: 0xc000_0208), true),
            ("its own", IPAddress(ipv4: 0xc000_0201), false),
            ("blackhole, IPv6", IPAddress(ipv6High: 0x2001_0db8_0009_0000, low: 5), true),
        ]
        var told: [Bool] = []
        NamespaceThread(inside: lab.nodePath) {
            guard let routes = try? RouteTable.ofThisThread() else { return }
            told = nobodys.map { routes.isNobodys($0.1) }
        }.run()
        #expect(told.count == nobodys.count)
        for (told, wanted) in zip(told, nobodys) { #expect(told == wanted.2, "\(wanted.0)") }
    }
}
