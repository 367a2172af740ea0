internal import CLinux
internal import Glibc
internal import PortTraceCore

/// One direction of a conntrack entry. Ports in host byte order, 0 where the protocol has none; for ICMP the source
/// port is the id and the destination port the type and code (type << 8 | code), as in ``NATClash``.
struct ConntrackTuple: Equatable {
    /// `IPPROTO_*`.
    var proto: UInt8
    var source: IPAddress
    var destination: IPAddress
    var sourcePort: UInt16
    var destinationPort: UInt16
}

extension ConntrackTuple {
    /// Reads the content of `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY`.
    ///
    /// - Parameter zone: Set where the tuple carries one: the zone is this direction's alone.
    /// - Throws: ``NetlinkError/malformed``, also where addresses or protocol are missing or addresses are of two
    ///   families.
    init(parsing bytes: UnsafeRawBufferPointer, zone: inout UInt16?) throws(NetlinkError) {
        var source: IPAddress?
        var destination: IPAddress?
        var numbers = Numbers()
        try NetlinkAttribute.forEach(in: bytes) { attribute throws(NetlinkError) in
            switch ctattr_tuple(UInt32(attribute.type)) {
            case CTA_TUPLE_IP:
                try NetlinkAttribute.forEach(in: attribute.value) { address throws(NetlinkError) in
                    switch ctattr_ip(UInt32(address.type)) {
                    case CTA_IP_V4_SRC: source = IPAddress(ipv4: try address.bigEndian(as: UInt32.self))
                    case CTA_IP_V4_DST: destination = IPAddress(ipv4: try address.bigEndian(as: UInt32.self))
                    case CTA_IP_V6_SRC: source = try IPAddress(ipv6: address.value)
                    case CTA_IP_V6_DST: destination = try IPAddress(ipv6: address.value)
                    default: break
                    }
                }
            case CTA_TUPLE_PROTO:
                try NetlinkAttribute.forEach(in: attribute.value) { number throws(NetlinkError) in
                    try numbers.take(number)
                }
            case CTA_TUPLE_ZONE: zone = try attribute.bigEndian(as: UInt16.self)
            default: break
            }
        }
        guard let source, let destination, source.family == destination.family, let proto = numbers.proto else {
            throw .malformed
        }
        self.init(
            proto: proto, source: source, destination: destination, sourcePort: numbers.source,
            destinationPort: numbers.destination)
    }

    /// The content of `CTA_TUPLE_PROTO`, as it comes.
    private struct Numbers {
        var proto: UInt8?
        var source: UInt16 = 0
        var destination: UInt16 = 0

        mutating func take(_ attribute: NetlinkAttribute) throws(NetlinkError) {
            switch ctattr_l4proto(UInt32(attribute.type)) {
            case CTA_PROTO_NUM: proto = try attribute.bigEndian(as: UInt8.self)
            case CTA_PROTO_SRC_PORT, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID:
                source = try attribute.bigEndian(as: UInt16.self)
            case CTA_PROTO_DST_PORT: destination = try attribute.bigEndian(as: UInt16.self)
            case CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE:
                destination = destination & 0xff | UInt16(try attribute.bigEndian(as: UInt8.self)) << 8
            case CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMPV6_CODE:
                destination = destination & 0xff00 | UInt16(try attribute.bigEndian(as: UInt8.self))
            default: break
            }
        }
    }

    /// Appends the content of a `CTA_TUPLE_*` attribute.
    func append(to request: inout NetlinkRequest) {
        request.append(CTA_TUPLE_IP.rawValue) { request in
            switch source.family {
            case .ipv4:
                request.append(CTA_IP_V4_SRC.rawValue, UInt32(truncatingIfNeeded: source.low).bigEndian)
                request.append(CTA_IP_V4_DST.rawValue, UInt32(truncatingIfNeeded: destination.low).bigEndian)
            case .ipv6:
                request.append(CTA_IP_V6_SRC.rawValue, (source.high.bigEndian, source.low.bigEndian))
                request.append(CTA_IP_V6_DST.rawValue, (destination.high.bigEndian, destination.low.bigEndian))
            }
        }
        request.append(CTA_TUPLE_PROTO.rawValue) { request in
            request.append(CTA_PROTO_NUM.rawValue, proto)
            let type = UInt8(destinationPort >> 8)
            let code = UInt8(truncatingIfNeeded: destinationPort)
            switch Int(proto) {
            case IPPROTO_ICMP:
                request.append(CTA_PROTO_ICMP_ID.rawValue, sourcePort.bigEndian)
                request.append(CTA_PROTO_ICMP_TYPE.rawValue, type)
                request.append(CTA_PROTO_ICMP_CODE.rawValue, code)
            case IPPROTO_ICMPV6:
                request.append(CTA_PROTO_ICMPV6_ID.rawValue, sourcePort.bigEndian)
                request.append(CTA_PROTO_ICMPV6_TYPE.rawValue, type)
                request.append(CTA_PROTO_ICMPV6_CODE.rawValue, code)
            default:  // A protocol without ports takes no notice of them.
                request.append(CTA_PROTO_SRC_PORT.rawValue, sourcePort.bigEndian)
                request.append(CTA_PROTO_DST_PORT.rawValue, destinationPort.bigEndian)
            }
        }
    }
}

extension NATClash {
    /// Its original tuple.
    var original: ConntrackTuple {
        ConntrackTuple(
            proto: pair.proto, source: source, destination: destination, sourcePort: sourcePort,
            destinationPort: destinationPort)
    }

    /// The NAT port (or ICMP id) that an entry with this reply tuple holds; nil where it is none of the pair's.
    func natPort(of reply: ConntrackTuple) -> UInt16? {
        guard reply.proto == pair.proto, reply.source == pair.peer, reply.destination == pair.natAddress else {
            return nil
        }
        // An ICMP tuple has its id in the source in both directions, and one type per direction.
        if isICMP { return reply.destinationPort == replyTypeAndCode ? reply.sourcePort : nil }
        return reply.sourcePort == pair.peerPort ? reply.destinationPort : nil
    }

    private var isICMP: Bool { Int(pair.proto) == IPPROTO_ICMP || Int(pair.proto) == IPPROTO_ICMPV6 }

    /// What answers the original's ICMP type (`invmap`, nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c).
    private var replyTypeAndCode: UInt16 {
        let type = destinationPort >> 8
        let answer: UInt16? =
            switch (Int(pair.proto), type) {
            case (IPPROTO_ICMP, 0): 8
            case (IPPROTO_ICMP, 8): 0
            case (IPPROTO_ICMP, 13), (IPPROTO_ICMP, 15), (IPPROTO_ICMP, 17): type + 1
            case (IPPROTO_ICMP, 14), (IPPROTO_ICMP, 16), (IPPROTO_ICMP, 18): type - 1
            case (IPPROTO_ICMPV6, 128), (IPPROTO_ICMPV6, 139): type + 1
            case (IPPROTO_ICMPV6, 129), (IPPROTO_ICMPV6, 140): type - 1
            default: nil
            }
        return (answer ?? type) << 8 | destinationPort & 0xff
    }
}

extension IPAddress {
    /// An IPv6 address from its sixteen bytes.
    fileprivate init(ipv6 bytes: UnsafeRawBufferPointer) throws(NetlinkError) {
        guard bytes.count == 16 else { throw .malformed }
        self.init(
            ipv6High: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }
}
