internal import CLinux

/// Why the kernel gave no answer over netlink.
enum NetlinkError: Error, Equatable {
    /// A system call on the socket failed, or the kernel refused the request: an errno.
    case system(Int32)
    /// Lengths that do not fit, or a value of the wrong size.
    case malformed
    /// It took too long, or nobody wants it any more.
    case late
}

/// One message of what was received. Its payload lives as long as the bytes that it was found in.
///
/// Netlink is read and written here by hand: libmnl and libnetfilter_conntrack exist as shared libraries only (Debian),
/// and the product is one static file.
struct NetlinkMessage {
    var type: UInt16
    /// The request's.
    var sequence: UInt32
    var payload: UnsafeRawBufferPointer

    /// Calls `body` with each message of a datagram, in order.
    ///
    /// - Throws: ``NetlinkError/malformed`` where a length does not fit, and what `body` throws.
    static func forEach(
        in bytes: UnsafeRawBufferPointer, _ body: (NetlinkMessage) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        try Netlink.forEach(nlmsghdr.self, in: bytes, length: \.nlmsg_len) {
            header, payload throws(NetlinkError) in
            try body(NetlinkMessage(type: header.nlmsg_type, sequence: header.nlmsg_seq, payload: payload))
        }
    }
}

/// One attribute. Its value lives as long as the bytes that it was found in.
struct NetlinkAttribute {
    /// Without the flags `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
    var type: UInt16
    var value: UnsafeRawBufferPointer

    /// Calls `body` with each attribute, in order.
    ///
    /// - Throws: ``NetlinkError/malformed`` where a length does not fit, and what `body` throws.
    static func forEach(
        in bytes: UnsafeRawBufferPointer, _ body: (NetlinkAttribute) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        try Netlink.forEach(nlattr.self, in: bytes, length: \.nla_len) {
            header, value throws(NetlinkError) in
            try body(NetlinkAttribute(type: header.nla_type & Netlink.attributeTypeMask, value: value))
        }
    }

    /// A number in network byte order.
    ///
    /// - Throws: ``NetlinkError/malformed`` where the value has another size.
    func bigEndian<Number: FixedWidthInteger & BitwiseCopyable>(
        as type: Number.Type
    ) throws(NetlinkError) -> Number {
        guard value.count == MemoryLayout<Number>.size else { throw .malformed }
        return Number(bigEndian: value.loadUnaligned(as: type))
    }
}

enum Netlink {
    /// `NLA_TYPE_MASK` (linux/netlink.h).
    static let attributeTypeMask: UInt16 = 0x3fff

    /// `NLMSG_ALIGN` and `NLA_ALIGN`: lengths are padded to four bytes.
    static func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

    /// Takes bytes apart that are headers with what follows each, padded.
    ///
    /// - Parameter length: Bytes of a header and what belongs to it.
    /// - Throws: ``NetlinkError/malformed`` where a length does not fit, and what `body` throws.
    fileprivate static func forEach<Header: BitwiseCopyable, Length: BinaryInteger>(
        _: Header.Type, in bytes: UnsafeRawBufferPointer, length: KeyPath<Header, Length>,
        _ body: (Header, UnsafeRawBufferPointer) throws(NetlinkError) -> Void
    ) throws(NetlinkError) {
        let size = MemoryLayout<Header>.size
        var offset = 0
        while offset < bytes.count {
            guard bytes.count - offset >= size else { throw .malformed }
            let header = bytes.loadUnaligned(fromByteOffset: offset, as: Header.self)
            let length = Int(header[keyPath: length])
            guard length >= size, length <= bytes.count - offset else { throw .malformed }
            try body(header, UnsafeRawBufferPointer(rebasing: bytes[offset + size..<offset + length]))
            offset += aligned(length)
        }
    }
}
