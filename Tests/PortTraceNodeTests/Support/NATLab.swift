import Glibc
import PortTraceCore
import Synchronization

/// Three network namespaces in a row: a client, a node that masquerades to ten ports, a server. Nothing outside them is
/// changed; they go away with it.
final class NATLab {
    static let server = IPAddress(ipv4: 0xc633_6402)  // 198.51.100.2
    static let natAddress = IPAddress(ipv4: 0xc633_6401)  // 198.51.100.1
    static let server6 = IPAddress(ipv6High: 0x2001_0db8_0000_0002, low: 2)
    static let natAddress6 = IPAddress(ipv6High: 0x2001_0db8_0000_0002, low: 1)
    static let clientAddress = IPAddress(ipv4: 0xc000_0202)
    static let clientAddress6 = IPAddress(ipv6High: 0x2001_0db8_0000_0001, low: 2)
    static let ports: ClosedRange<UInt16> = 40000...40009
    /// As the node has it, unlike the machine.
    static let udpTimeout: UInt32 = 33

    /// Why there can be none here; nil where there can.
    static let obstacle: String? = {
        guard geteuid() == 0 else { return "needs root" }
        guard (try? Shell.run("ip -V; nft -v; python3 -V; unshare --net true")) != nil else {
            return "needs ip, nft, python3, unshare and network namespaces"
        }
        return nil
    }()

    private static let count = Atomic(0)
    private let name = "pt-node-\(getpid())-\(count.add(1, ordering: .relaxed).newValue)"
    /// Inode of the node's namespace.
    let netnsID: UInt32

    init() throws {
        do {
            netnsID = UInt32(try Shell.run(Self.setUp(name)).split(separator: "\n").last ?? "") ?? 0
        } catch {
            _ = try? Shell.run(Self.tearDown(name))
            throw error
        }
    }

    deinit { _ = try? Shell.run(Self.tearDown(name)) }

    var nodePath: String { "/run/netns/\(name)-node" }

    /// Runs a command inside one of `client`, `node` and `server`.
    @discardableResult
    func run(in place: String, _ command: String) throws -> String {
        try Shell.run("ip netns exec \(name)-\(place) \(command)")
    }

    /// Sends a datagram from each of the client's ports.
    ///
    /// - Parameters:
    ///   - proto: `udp`; `tcp`: connects, and stays if that succeeds; `icmp`: echo requests with those numbers as ids.
    ///   - suffix: Appended to the shell's command.
    func send(
        from ports: ClosedRange<UInt16>, to address: String, port: UInt16, protocol proto: String = "udp",
        suffix: String = ""
    ) throws {
        let arguments = "\(ports.lowerBound) \(ports.upperBound) \(address) \(port) \(proto)"
        try run(in: "client", "python3 -c '\(Self.sender)' \(arguments) \(suffix)")
    }

    private static let sender = """
        import socket, struct, sys, time
        low, high, address, port, proto = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        def checksum(data):
            total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
            while total >> 16:
                total = (total & 0xffff) + (total >> 16)
            return ~total & 0xffff
        for number in range(low, high + 1):
            if proto == "udp":
                sender = socket.socket(family, socket.SOCK_DGRAM)
                sender.bind(("", number))
                sender.sendto(b"x", (address, port))
            elif proto == "tcp":
                sender = socket.socket(family, socket.SOCK_STREAM)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sender.bind(("", number))
                sender.settimeout(0.1)
                try:
                    sender.connect((address, port))
                    time.sleep(3600)
                except OSError:
                    pass
            elif family == socket.AF_INET:
                sender = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
                header = struct.pack("!BBHHH", 8, 0, 0, number, 1)
                header = struct.pack("!BBHHH", 8, 0, checksum(header), number, 1)
                sender.sendto(header, (address, 0))
            else:
                sender = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
                sender.sendto(struct.pack("!BBHHH", 128, 0, 0, number, 1), (address, 0))
        """

    private static func setUp(_ name: String) -> String {
        """
        for place in client node server; do ip netns add \(name)-$place; ip -n \(name)-$place link set lo up; done
        link() { # NAME NAMESPACE ADDRESSES: from the node to one of the others
          ip -n \(name)-node link add $1 type veth peer name eth0 netns \(name)-$2
          ip -n \(name)-node addr add $3.1/24 dev $1
          ip -n \(name)-node addr add $4::1/64 dev $1 nodad
          ip -n \(name)-node link set $1 up
          ip -n \(name)-$2 addr add $3.2/24 dev eth0
          ip -n \(name)-$2 addr add $4::2/64 dev eth0 nodad
          ip -n \(name)-$2 link set eth0 up
          ip -n \(name)-$2 route add default via $3.1
          ip -n \(name)-$2 route add default via $4::1
        }
        link in client 192.0.2 2001:db8:0:1
        link out server 198.51.100 2001:db8:0:2
        ip -n \(name)-server addr add 198.51.100.3/24 dev eth0
        ip -n \(name)-server addr add 2001:db8:0:2::3/64 dev eth0 nodad
        ip netns exec \(name)-node nft -f - <<'RULES'
        table inet lab {
            chain zones {
                type filter hook prerouting priority -300
                udp dport 5000 ct zone set 7
                udp dport 5001 ct original zone set 8
            }
            chain nat {
                type nat hook postrouting priority 100
                oifname out meta l4proto { tcp, udp } masquerade to :\(ports.lowerBound)-\(ports.upperBound)
                oifname out masquerade
            }
        }
        RULES
        ip netns exec \(name)-node sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        ip netns exec \(name)-node sysctl -q -w net.netfilter.nf_conntrack_udp_timeout=\(udpTimeout)
        stat -L -c %i /run/netns/\(name)-node
        """
    }

    private static func tearDown(_ name: String) -> String {
        """
        for place in client node server; do
          ip netns pids \(name)-$place 2>/dev/null | xargs -r kill -9
          ip netns del \(name)-$place 2>/dev/null || :
        done
        """
    }
}
