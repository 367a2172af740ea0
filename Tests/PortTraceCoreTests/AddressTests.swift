import Testing

@testable import PortTraceCore

@Suite struct AddressTests {
    private func text(_ address: IPAddress, port: UInt16 = 0) -> String {
        written { $0.append(address, port: port) }
    }

    /// Text, and its canonical form (RFC 5952).
    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0"), ("10.0.0.9", "10.0.0.9"), ("255.255.255.255", "255.255.255.255"), ("::", "::"),
        ("::1", "::1"),
        ("1::", "1::"), ("2001:DB8::A", "2001:db8::a"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("0:0:1:0:0:0:0:0", "0:0:1::"), ("1:0:0:0:0:0:0:0", "1::"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("fe80::0042", "fe80::42"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("::ffff:10.0.0.9", "::ffff:10.0.0.9"), ("::ffff:a00:9", "::ffff:10.0.0.9"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("::1.2.3.4", "::102:304"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("1::8", "1::8"), ("0:0:0:0:0:0:0:1", "::1"),
    ])
    func addresses(_ given: String, _ canonical: String) throws {
        let address = try #require(IPAddress(parsing: given.utf8))
        #expect(text(address) == canonical)
        #expect(IPAddress(parsing: canonical.utf8) == address)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.", ".1.2.3", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4",
        "1.2.3.+4",
        "0x1.2.3.4", "1.2.3.4a", ":", ":::", "::1::", "1::2::3", ":1", "1:", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::8", "::1:2:3:4:5:6:7:8", "12345::", "g::", "::1%eth0", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5",
        "::01.2.3.4",
        "1:2:3:4:5:6:7:1.2.3.4", "٣.1.1.1",
    ])
    func notAddresses(_ text: String) {
        #expect(IPAddress(parsing: text.utf8) == nil)
    }

    @Test func ports() throws {
        #expect(text(IPAddress(ipv4: 0x0102_0304), port: 65535) == "1.2.3.4:65535")
        #expect(text(try #require(IPAddress(parsing: "::1".utf8)), port: 80) == "[::1]:80")
    }

    @Test func everyMask() throws {
        let ones = IPAddress(ipv6High: .max, low: .max)
        for length in 0...128 {
            let masked = ones.masked(to: length)
            #expect(masked.high.nonzeroBitCount + masked.low.nonzeroBitCount == length)
            #expect(masked.high.leadingZeroBitCount == (length == 0 ? 64 : 0))
        }
        for length in 0...32 {
            #expect(IPAddress(ipv4: .max).masked(to: length).low == UInt64(UInt32.max) & ~((1 << (32 - length)) - 1))
        }
    }

    @Test func randomAddressesReadBackAsWritten() {
        var random = SplitMix(seed: 5)
        for _ in 0..<20_000 {
            // Many zero groups.
            let high = random.next() & groupMask(random.next())
            let low = random.next() & groupMask(random.next())
            let address = IPAddress(ipv6High: high, low: low)
            #expect(IPAddress(parsing: text(address).utf8) == address)
        }
    }

    private func groupMask(_ bits: UInt64) -> UInt64 {
        (0..<4).reduce(0) { $0 | (bits >> $1 & 1 == 1 ? 0xffff << (16 * $1) : 0) }
    }
}

/// A small generator that gives the same numbers for the same seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        defer { state &+= 0x9e37_79b9_7f4a_7c15 }
        return mixed(state)
    }
}
