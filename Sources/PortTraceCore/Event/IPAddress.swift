/// The family of an address or socket.
public enum IPFamily: UInt8, Sendable {
    case ipv4 = 4
    case ipv6 = 6

    /// The name in the contract.
    var name: StaticString {
        switch self {
        case .ipv4: "ipv4"
        case .ipv6: "ipv6"
        }
    }

    /// Bits of an address.
    var bits: Int {
        switch self {
        case .ipv4: 32
        case .ipv6: 128
        }
    }
}

/// An IPv4 or IPv6 address as numbers: `high` holds the first eight bytes of IPv6, `low` the last eight, or
/// IPv4's four.
public struct IPAddress: Hashable, Sendable {
    public var family: IPFamily
    public var high: UInt64
    public var low: UInt64

    /// An IPv4 address from its number in host byte order.
    public init(ipv4 number: UInt32) {
        family = .ipv4
        high = 0
        low = UInt64(number)
    }

    /// An IPv6 address from its two halves in host byte order.
    public init(ipv6High high: UInt64, low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    /// An address of either family from its halves in host byte order, IPv4 being v4-mapped.
    public init(mappedHigh high: UInt64, low: UInt64) {
        self.init(ipv6High: high, low: low)
        if isMapped { self.init(ipv4: UInt32(truncatingIfNeeded: low)) }
    }

    /// The sixteen-bit group of an IPv6 address, 0 the first.
    func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index & 3)))
    }

    /// IPv6 that stands for IPv4 (`::ffff:0:0/96`).
    var isMapped: Bool { family == .ipv6 && high == 0 && low >> 32 == 0xffff }

    /// The address with all bits after the first `length` cleared.
    ///
    /// - Parameter length: 0 to the family's number of bits.
    func masked(to length: Int) -> IPAddress {
        var masked = self
        // Swift's shift by the whole width gives 0, as is wanted here.
        switch family {
        case .ipv4:
            masked.low = low & (~0 << UInt64(32 - length)) & 0xffff_ffff
        case .ipv6:
            masked.high = high & (~0 << UInt64(64 - min(length, 64)))
            masked.low = low & (~0 << UInt64(64 - max(length - 64, 0)))
        }
        return masked
    }
}
