internal import CLinux
internal import Glibc
internal import PortTraceCore

/// Where the addresses around a network namespace are, by its routes, devices and neighbours.
final class RouteTable {
    /// Where the kernel would send a packet for an address.
    enum Way: Equatable {
        /// Nowhere: it has no route, or one that ends here (blackhole, unreachable, prohibit).
        case none
        /// To somebody on a link, by the device's index.
        case link(Int32)
        /// Through a gateway, to this namespace itself, or that is not known.
        case elsewhere
    }

    /// A device, as far as it tells who is behind it.
    struct Device: Equatable {
        var index: Int32
        /// The index of the bridge that it is a port of; 0: of none.
        var master: Int32 = 0
        var isVeth = false
        var isBridge = false
    }

    private let socket: NetlinkSocket
    private var known: [Device]?

    /// The routes of the network namespace that the calling thread is in.
    static func ofThisThread() throws(NetlinkError) -> RouteTable {
        RouteTable(try NetlinkSocket.ofThisThread(NETLINK_ROUTE))
    }

    private init(_ socket: NetlinkSocket) {
        self.socket = socket
    }

    /// Whether an address that no namespace of this node has can belong to nobody else: the kernel knows no way to it, or
    /// one that leads through veth devices alone, of which the other ends are on this node; and no neighbour has answered
    /// for it lately, as a virtual machine inside a pod would. False where that cannot be told.
    func isNobodys(_ address: IPAddress) -> Bool {
        guard let way = try? way(to: address) else { return false }
        switch way {
        case .none: return true
        case .elsewhere: return false
        case .link(let index):
            guard let devices = try? devices(), Self.endsHere(index, devices) else { return false }
            return (try? !isAlive(address, on: index)) ?? false
        }
    }

    /// Whether all that is behind a device is on this node: it is a veth, or a bridge with veths as its only ports.
    static func endsHere(_ index: Int32, _ devices: [Device]) -> Bool {
        guard let device = devices.first(where: { $0.index == index }) else { return false }
        if device.isVeth { return true }
        return device.isBridge && devices.allSatisfy { $0.master != index || $0.isVeth }
    }

    // MARK: Questions

    func way(to address: IPAddress) throws(NetlinkError) -> Way {
        let sequence = socket.nextSequence()
        var way = Way.elsewhere
        do throws(NetlinkError) {
            try socket.exchange(RouteRequest.route(to: address, sequence: sequence)) {
                received, isComplete throws(NetlinkError) in
                try RouteReply.forEach(in: received, sequence: sequence, RTM_NEWROUTE, isComplete: &isComplete) {
                    payload throws(NetlinkError) in way = try RouteReply.way(payload)
                }
            }
        } catch {
            // fib_props (net/ipv4/fib_semantics.c), ip6_rt_type_to_error() (net/ipv6/route.c)
            guard [.system(EINVAL), .system(EHOSTUNREACH), .system(EACCES), .system(ENETUNREACH)].contains(error)
            else { throw error }
            return .none
        }
        return way
    }

    func devices() throws(NetlinkError) -> [Device] {
        if let known { return known }
        let sequence = socket.nextSequence()
        var devices: [Device] = []
        try socket.exchange(RouteRequest.devices(sequence: sequence)) {
            received, isComplete throws(NetlinkError) in
            try RouteReply.forEach(in: received, sequence: sequence, RTM_NEWLINK, isComplete: &isComplete) {
                payload throws(NetlinkError) in devices.append(try RouteReply.device(payload))
            }
        }
        known = devices
        return devices
    }

    /// Whether a neighbour answers for the address, or has done so within a minute or so.
    private func isAlive(_ address: IPAddress, on index: Int32) throws(NetlinkError) -> Bool {
        let sequence = socket.nextSequence()
        var isAlive = false
        do throws(NetlinkError) {
            try socket.exchange(RouteRequest.neighbour(address, on: index, sequence: sequence)) {
                received, isComplete throws(NetlinkError) in
                try RouteReply.forEach(in: received, sequence: sequence, RTM_NEWNEIGH, isComplete: &isComplete) {
                    payload throws(NetlinkError) in isAlive = try RouteReply.isAlive(payload)
                }
            }
        } catch {
            guard error == .system(ENOENT) else { throw error }
        }
        return isAlive
    }
}

/// The requests to rtnetlink.
enum RouteRequest {
    static func route(to address: IPAddress, sequence: UInt32) -> [UInt8] {
        var request = NetlinkRequest(type: UInt16(RTM_GETROUTE), flags: NLM_F_ACK, sequence: sequence)
        var header = rtmsg()
        header.rtm_family = family(address)
        header.rtm_dst_len = address.family == .ipv4 ? 32 : 128
        request.append(header: header)
        append(UInt32(RTA_DST.rawValue), address, to: &request)
        return request.bytes
    }

    static func devices(sequence: UInt32) -> [UInt8] {
        var request = NetlinkRequest(type: UInt16(RTM_GETLINK), flags: NLM_F_DUMP, sequence: sequence)
        request.append(header: ifinfomsg())
        return request.bytes
    }

    /// Linux 5.0: 82cbb5c631a0 ("neighbour: register rtnl doit handler").
    static func neighbour(_ address: IPAddress, on index: Int32, sequence: UInt32) -> [UInt8] {
        var request = NetlinkRequest(type: UInt16(RTM_GETNEIGH), flags: NLM_F_ACK, sequence: sequence)
        var header = ndmsg()
        header.ndm_family = family(address)
        header.ndm_ifindex = index
        request.append(header: header)
        append(UInt32(NDA_DST), address, to: &request)
        return request.bytes
    }

    private static func family(_ address: IPAddress) -> UInt8 {
        UInt8(address.family == .ipv4 ? AF_INET : AF_INET6)
    }

    private static func append(_ type: UInt32, _ address: IPAddress, to request: inout NetlinkRequest) {
        switch address.family {
        case .ipv4: request.append(type, UInt32(truncatingIfNeeded: address.low).bigEndian)
        case .ipv6: request.append(type, (address.high.bigEndian, address.low.bigEndian))
        }
    }
}

/// What rtnetlink answers.
enum RouteReply {
    /// Calls `body` with the payload of each message of that type. Messages with another sequence number are passed over.
    static func forEach(
        in bytes: UnsafeRawBufferPointer, sequence: UInt32, _ type: Int, isComplete: inout Bool,
        _ body: (UnsafeRawBufferPointer) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        var ended = isComplete
        try NetlinkMessage.forEach(in: bytes) { message throws(NetlinkError) in
            guard message.sequence == sequence, try !message.isControl(&ended) else { return }
            guard Int(message.type) == type else { throw .malformed }
            try body(message.payload)
        }
        isComplete = ended
    }

    static func way(_ payload: UnsafeRawBufferPointer) throws(NetlinkError) -> RouteTable.Way {
        let header = try header(rtmsg.self, of: payload)
        guard header.rtm_type == UInt8(RTN_UNICAST) else { return .elsewhere }
        var index: Int32?
        var hasGateway = false
        try forEachAttribute(after: rtmsg.self, of: payload) { attribute throws(NetlinkError) in
            switch Int(attribute.type) {
            case Int(RTA_OIF.rawValue): index = try number(attribute)
            case Int(RTA_GATEWAY.rawValue), Int(RTA_VIA.rawValue), Int(RTA_MULTIPATH.rawValue): hasGateway = true
            default: break
            }
        }
        guard let index, !hasGateway else { return .elsewhere }
        return .link(index)
    }

    static func device(_ payload: UnsafeRawBufferPointer) throws(NetlinkError) -> RouteTable.Device {
        var device = RouteTable.Device(index: try header(ifinfomsg.self, of: payload).ifi_index)
        try forEachAttribute(after: ifinfomsg.self, of: payload) { attribute throws(NetlinkError) in
            switch Int(attribute.type) {
            case Int(IFLA_MASTER): device.master = try number(attribute)
            case Int(IFLA_LINKINFO):
                try NetlinkAttribute.forEach(in: attribute.value) { information throws(NetlinkError) in
                    guard Int(information.type) == Int(IFLA_INFO_KIND) else { return }
                    let kind = information.value.prefix { $0 != 0 }
                    device.isVeth = kind.elementsEqual("veth".utf8)
                    device.isBridge = kind.elementsEqual("bridge".utf8)
                }
            default: break
            }
        }
        return device
    }

    /// Stale entries stay for as long as there is room, and permanent ones have nobody behind them.
    static func isAlive(_ payload: UnsafeRawBufferPointer) throws(NetlinkError) -> Bool {
        let state = Int32(try header(ndmsg.self, of: payload).ndm_state)
        return state & (NUD_REACHABLE | NUD_DELAY | NUD_PROBE) != 0
    }

    private static func header<Header: BitwiseCopyable>(
        _: Header.Type, of payload: UnsafeRawBufferPointer
    ) throws(NetlinkError) -> Header {
        guard payload.count >= MemoryLayout<Header>.size else { throw .malformed }
        return payload.loadUnaligned(as: Header.self)
    }

    private static func forEachAttribute<Header>(
        after _: Header.Type, of payload: UnsafeRawBufferPointer,
        _ body: (NetlinkAttribute) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        let start = Netlink.aligned(MemoryLayout<Header>.size)
        guard payload.count >= start else { throw .malformed }
        try NetlinkAttribute.forEach(in: UnsafeRawBufferPointer(rebasing: payload[start...]), body)
    }

    /// In host byte order, as rtnetlink has them.
    private static func number(_ attribute: NetlinkAttribute) throws(NetlinkError) -> Int32 {
        guard attribute.value.count == MemoryLayout<Int32>.size else { throw .malformed }
        return attribute.value.loadUnaligned(as: Int32.self)
    }
}
