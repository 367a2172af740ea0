import CLinux
import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// Real tables, in namespaces of the test's own.
@Suite(.serialized, .enabled(if: NATLab.obstacle == nil, "\(NATLab.obstacle ?? "")"))
struct ConntrackReaderTests {
    private static let sourceNAT: UInt32 = 1 << 4  // IPS_SRC_NAT
    private static let seenReply: UInt32 = 1 << 1  // IPS_SEEN_REPLY

    private let lab: NATLab
    private let reader = ConntrackReader()

    init() throws { lab = try NATLab() }

    @Test func datagrams() throws {
        try lab.send(from: 1001...1005, to: "198.51.100.2", port: 53)
        try lab.send(from: 1001...1002, to: "198.51.100.3", port: 53)
        try lab.send(from: 1001...1002, to: "198.51.100.2", port: 54)
        try lab.send(from: 1001...1002, to: "198.51.100.2", port: 53, protocol: "tcp")
        let evidence = try #require(reader.answer(to: .udp(in: lab.netnsID, sourcePort: 1003)))
        #expect(evidence.hasOriginal)
        #expect(evidence.holders.count == 5)
        #expect(Set(evidence.holders.map(\.port)).count == 5)
        #expect(Set(evidence.holders.map(\.id)).count == 5)
        for holder in evidence.holders {
            #expect(NATLab.ports.contains(holder.port))
            #expect(holder.status & (Self.sourceNAT | Self.seenReply) == Self.sourceNAT)
            #expect(holder.timeout.map { (20...NATLab.udpTimeout).contains($0) } == true)
            #expect(holder.tcpState == nil)
        }
    }

    @Test func anotherFlowIsNotTheOriginal() throws {
        try lab.send(from: 1001...1001, to: "198.51.100.2", port: 53)
        let evidence = try #require(reader.answer(to: .udp(in: lab.netnsID, sourcePort: 999)))
        #expect(!evidence.hasOriginal)
        #expect(evidence.holders.count == 1)
        // The kernel finds the entry by its reply tuple, too.
        var clash = NATClash.udp(in: lab.netnsID, sourcePort: 53)
        clash.source = NATLab.server
        clash.destination = NATLab.natAddress
        clash.destinationPort = try #require(evidence.holders.first?.port)
        #expect(reader.answer(to: clash)?.hasOriginal == false)
    }

    @Test func connections() throws {
        let server = "import socket, time; server = socket.create_server((\"\", 80)); time.sleep(3600)"
        try lab.run(in: "server", "python3 -c '\(server)' >/dev/null 2>&1 &")
        try lab.run(in: "server", "sh -c 'until ss -Htln sport = :80 | grep -q .; do sleep 0.1; done'")
        try lab.send(from: 2001...2001, to: "198.51.100.2", port: 80, protocol: "tcp", suffix: ">/dev/null 2>&1 &")
        var clash = NATClash.udp(in: lab.netnsID, sourcePort: 2001, port: 80)
        clash.pair.proto = UInt8(IPPROTO_TCP)
        var evidence: NATClashEvidence?
        for _ in 0..<50 {
            evidence = reader.answer(to: clash)
            if evidence?.hasOriginal == true, evidence?.holders.first?.tcpState == 3 { break }
            usleep(100_000)
        }
        #expect(evidence?.hasOriginal == true)
        #expect(evidence?.holders.count == 1)
        #expect(evidence?.holders.first?.tcpState == 3)  // TCP_CONNTRACK_ESTABLISHED
    }

    @Test func echoRequests() throws {
        try lab.send(from: 3001...3003, to: "198.51.100.2", port: 0, protocol: "icmp")
        var clash = NATClash.udp(in: lab.netnsID, sourcePort: 3002, port: 0)
        clash.pair.proto = UInt8(IPPROTO_ICMP)
        clash.destinationPort = 8 << 8
        let evidence = try #require(reader.answer(to: clash))
        #expect(evidence.hasOriginal)
        #expect(evidence.holders.map(\.port).sorted() == [3001, 3002, 3003])
    }

    @Test(arguments: ["udp", "icmp"])
    func ipv6(_ proto: String) throws {
        try lab.send(from: 1001...1004, to: "2001:db8:0:2::2", port: 53, protocol: proto)
        try lab.send(from: 1001...1002, to: "2001:db8:0:2::3", port: 53, protocol: proto)
        var clash = NATClash.udp(in: lab.netnsID, sourcePort: 1003)
        if proto == "icmp" {
            clash.pair.proto = UInt8(IPPROTO_ICMPV6)
            clash.pair.peerPort = 0
            clash.destinationPort = 128 << 8
        }
        (clash.pair.natAddress, clash.pair.peer) = (NATLab.natAddress6, NATLab.server6)
        (clash.source, clash.destination) = (NATLab.clientAddress6, NATLab.server6)
        let evidence = try #require(reader.answer(to: clash))
        #expect(evidence.hasOriginal)
        #expect(Set(evidence.holders.map(\.port)).count == 4)
    }

    @Test func zones() throws {
        for port: UInt16 in [5000, 5001, 5002] { try lab.send(from: 1001...1002, to: "198.51.100.2", port: port) }
        for (port, zone, count) in [(5000, 7, 2), (5000, 0, 0), (5001, 8, 2), (5001, 0, 2), (5002, 0, 2)] {
            let clash = NATClash.udp(in: lab.netnsID, sourcePort: 1001, port: UInt16(port), zone: UInt16(zone))
            let evidence = try #require(reader.answer(to: clash))
            #expect(evidence.holders.count == count, "port \(port), zone \(zone)")
            #expect(evidence.hasOriginal == (port == 5002 || zone != 0), "port \(port), zone \(zone)")
        }
    }

    /// What the kernel leaves out is nothing that is wanted.
    @Test(arguments: ["198.51.100.2", "2001:db8:0:2::2"])
    func withAndWithoutTheKernelsFilter(_ server: String) throws {
        try lab.send(from: 1001...1003, to: server, port: 53)
        try lab.send(from: 1001...1002, to: server, port: 54)
        var clash = NATClash.udp(in: lab.netnsID, sourcePort: 1001)
        if server.contains(":") { (clash.pair.natAddress, clash.pair.peer) = (NATLab.natAddress6, NATLab.server6) }
        var ports: [[UInt16]] = []
        NamespaceThread(inside: lab.nodePath) {
            guard let table = try? ConntrackTable.ofThisThread() else { return }
            for filtered in [nil, false] {
                let holders = try? table.holders(clash, filtered: filtered) { false }
                ports.append(holders?.map(\.port).sorted() ?? [])
            }
        }.run()
        #expect(ports.map(\.count) == [3, 3])
        #expect(Set(ports).count == 1)
    }

    /// A thread begins in the namespace of the one that makes it.
    @Test func ownNamespace() throws {
        try lab.send(from: 1001...1002, to: "198.51.100.2", port: 53)
        let clash = NATClash.udp(in: lab.netnsID, sourcePort: 1001)
        var answer: NATClashEvidence?
        NamespaceThread(inside: lab.nodePath) { answer = ConntrackReader().answer(to: clash) }.run()
        #expect(answer?.holders.count == 2)
    }

    @Test func namespaceOfAProcess() throws {
        let process = try Shell.run("unshare --net sleep 3600 >/dev/null 2>&1 & echo $!; sleep 1")
        let pid = try #require(process.split(separator: "\n").first)
        defer { _ = try? Shell.run("kill \(pid)") }
        let inode = try #require(UInt32(Shell.run("stat -L -c %i /proc/\(pid)/ns/net").dropLast()))
        let evidence = try #require(reader.answer(to: .udp(in: inode, sourcePort: 1)))
        #expect(!evidence.hasOriginal)
        #expect(evidence.holders.isEmpty)
    }

    @Test func comesBackHome() throws {
        #expect(reader.answer(to: .udp(in: lab.netnsID, sourcePort: 1)) != nil)
        // Threads of other tests are elsewhere too, for moments.
        let places = "stat -L -c %i /proc/\(getpid())/task/*/ns/net 2>/dev/null | sort -u | wc -l"
        let isHome = try (0..<100).contains { _ in
            if try Shell.run(places) == "1\n" { return true }
            usleep(100_000)
            return false
        }
        #expect(isHome)
    }

    /// More namespaces than are kept open, twice over.
    @Test func manyNamespaces() throws {
        let names = (0..<10).map { "pt-node-\(getpid())-\($0)" }
        defer { for name in names { _ = try? Shell.run("ip netns del \(name)") } }
        let inodes = try names.map { name in
            try #require(UInt32(Shell.run("ip netns add \(name)\nstat -L -c %i /run/netns/\(name)").dropLast()))
        }
        for inode in inodes + inodes {
            #expect(reader.answer(to: .udp(in: inode, sourcePort: 1))?.holders.count == 0)
        }
    }
}
