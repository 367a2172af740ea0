internal import CLinux

/// A message to the kernel while it is written: header, then attributes.
struct NetlinkRequest {
    private(set) var bytes: [UInt8] = []

    /// - Parameter flags: `NLM_F_*`, apart from `NLM_F_REQUEST`.
    init(type: UInt16, flags: Int32, sequence: UInt32) {
        append(
            raw: nlmsghdr(
                nlmsg_len: 0, nlmsg_type: type, nlmsg_flags: UInt16(NLM_F_REQUEST | flags), nlmsg_seq: sequence,
                nlmsg_pid: 0))
        setLength()
    }

    /// A fixed header behind the message's own.
    mutating func append<Value: BitwiseCopyable>(header value: Value) {
        append(raw: value)
        setLength()
    }

    /// An attribute with these bytes as they lie in memory; numbers have been given their byte order.
    mutating func append<Value: BitwiseCopyable>(_ type: UInt32, _ value: Value) {
        append(
            raw: nlattr(
                nla_len: UInt16(MemoryLayout<nlattr>.size + MemoryLayout<Value>.size), nla_type: UInt16(type)))
        append(raw: value)
        while bytes.count != Netlink.aligned(bytes.count) { bytes.append(0) }
        setLength()
    }

    /// An attribute that holds those which `content` appends.
    mutating func append(_ type: UInt32, nested content: (inout NetlinkRequest) -> Void) {
        let start = bytes.count
        append(raw: nlattr(nla_len: 0, nla_type: UInt16(type) | UInt16(NLA_F_NESTED)))
        content(&self)
        let length = UInt16(bytes.count - start)
        withUnsafeBytes(of: length) { bytes.replaceSubrange(start..<start + $0.count, with: $0) }
    }

    private mutating func append<Value: BitwiseCopyable>(raw value: Value) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    private mutating func setLength() {
        withUnsafeBytes(of: UInt32(bytes.count)) { bytes.replaceSubrange(0..<$0.count, with: $0) }
    }
}
