internal import CLinux
internal import PortTraceCore

extension TableEntry {
    /// Takes the payload of an `IPCTNL_MSG_CT_NEW` message in place of what was there (`ctnetlink_fill_info()`,
    /// nf_conntrack_netlink.c). Allocates nothing: a dump has hundreds of thousands of them.
    ///
    /// - Returns: false where it is malformed, or a tuple or the status is missing.
    mutating func read(_ payload: UnsafeRawPointer, length: Int) -> Bool {
        let headerSize = MemoryLayout<nfgenmsg>.size
        guard length >= headerSize else { return false }
        var cursor = AttributeCursor(payload, from: headerSize, to: length)
        var tuples = 0
        var hasStatus = false
        timeout = 0
        tcpState = 0
        while cursor.advance() {
            switch ctattr_type(UInt32(cursor.type)) {
            case CTA_TUPLE_ORIG:
                guard let tuple = Tuple(cursor.nested) else { return false }
                (proto, source, destination) = (tuple.proto, tuple.source, tuple.destination)
                (sourcePort, destinationPort) = (tuple.sourcePort, tuple.destinationPort)
                tuples |= 1
            case CTA_TUPLE_REPLY:
                guard let tuple = Tuple(cursor.nested) else { return false }
                (replySource, replyDestination) = (tuple.source, tuple.destination)
                (replySourcePort, replyDestinationPort) = (tuple.sourcePort, tuple.destinationPort)
                tuples |= 2
            case CTA_STATUS:
                status = cursor.number(UInt32.self)
                hasStatus = true
            case CTA_TIMEOUT: timeout = cursor.number(UInt32.self)
            case CTA_PROTOINFO: readState(&cursor)
            default: break
            }
        }
        return !cursor.isMalformed && tuples == 3 && hasStatus
    }

    private mutating func readState(_ cursor: inout AttributeCursor) {
        var information = cursor.nested
        while information.advance() {
            guard ctattr_protoinfo(UInt32(information.type)) == CTA_PROTOINFO_TCP else { continue }
            var tcp = information.nested
            while tcp.advance() {
                guard ctattr_protoinfo_tcp(UInt32(tcp.type)) == CTA_PROTOINFO_TCP_STATE else { continue }
                tcpState = tcp.number(UInt8.self)
            }
            information.join(tcp)
        }
        cursor.join(information)
    }

    /// The content of `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY`, as ``ConntrackTuple`` reads it.
    private struct Tuple {
        var proto: UInt8 = 0
        var source = IPAddress(ipv4: 0)
        var destination = IPAddress(ipv4: 0)
        var sourcePort: UInt16 = 0
        var destinationPort: UInt16 = 0

        /// nil where it is malformed, or addresses or protocol are missing or addresses are of two families.
        @inline(__always)
        init?(_ attributes: AttributeCursor) {
            var cursor = attributes
            var found = 0
            while cursor.advance() {
                switch ctattr_tuple(UInt32(cursor.type)) {
                case CTA_TUPLE_IP: found |= readAddresses(&cursor)
                case CTA_TUPLE_PROTO: found |= readNumbers(&cursor)
                default: break
                }
            }
            guard !cursor.isMalformed, found == 7, source.family == destination.family else { return nil }
        }

        /// - Returns: bits: 1 the source was there, 2 the destination.
        @inline(__always)
        private mutating func readAddresses(_ cursor: inout AttributeCursor) -> Int {
            var address = cursor.nested
            var found = 0
            while address.advance() {
                switch ctattr_ip(UInt32(address.type)) {
                case CTA_IP_V4_SRC:
                    source = IPAddress(ipv4: address.number(UInt32.self))
                    found |= 1
                case CTA_IP_V4_DST:
                    destination = IPAddress(ipv4: address.number(UInt32.self))
                    found |= 2
                case CTA_IP_V6_SRC:
                    let (high, low) = address.pair()
                    source = IPAddress(ipv6High: high, low: low)
                    found |= 1
                case CTA_IP_V6_DST:
                    let (high, low) = address.pair()
                    destination = IPAddress(ipv6High: high, low: low)
                    found |= 2
                default: break
                }
            }
            cursor.join(address)
            return found
        }

        /// - Returns: 4 where the protocol was there.
        @inline(__always)
        private mutating func readNumbers(_ cursor: inout AttributeCursor) -> Int {
            var number = cursor.nested
            var found = 0
            while number.advance() {
                switch ctattr_l4proto(UInt32(number.type)) {
                case CTA_PROTO_NUM:
                    proto = number.number(UInt8.self)
                    found = 4
                case CTA_PROTO_SRC_PORT, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID:
                    sourcePort = number.number(UInt16.self)
                case CTA_PROTO_DST_PORT: destinationPort = number.number(UInt16.self)
                case CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE:
                    destinationPort = destinationPort & 0xff | UInt16(number.number(UInt8.self)) << 8
                case CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMPV6_CODE:
                    destinationPort = destinationPort & 0xff00 | UInt16(number.number(UInt8.self))
                default: break
                }
            }
            cursor.join(number)
            return found
        }
    }
}
