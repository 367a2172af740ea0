import Testing

@testable import PortTraceCore

struct TablePaceTests {
    private static let second: UInt64 = 1_000_000_000

    private static func pause(cost: UInt64, then: UInt64, now: UInt64, fullest: UInt64) -> UInt64 {
        var pace = TablePace()
        pace.note(begun: 100 * second, cost: cost, entries: then)
        return pace.earliest(entries: now, fullest: fullest) - 100 * second
    }

    @Test func atOnceBeforeTheFirst() {
        #expect(TablePace().earliest(entries: 500_000, fullest: 999) == 0)
    }

    @Test(
        arguments: [
            // cost in ms, entries then, now, fullest in thousandths, pause in ms
            (500, 500_000, 500_000, 800, 25_000),  // near: 2 % of a core
            (500, 500_000, 500_000, 749, 100_000),  // halfway: a quarter of it
            (500, 500_000, 500_000, 499, 250_000),  // far: a tenth
            (500, 500_000, 1_000_000, 800, 50_000),  // it will cost twice as much
            (500, 500_000, 100_000, 800, 5_000),
            (1, 10, 20, 900, 1_000),  // never more often than each second
            (1, 10, 20, 500, 3_000),
            (1, 10, 20, 0, 10_000),
            (60_000, 500_000, 500_000, 100, 900_000),  // nor more seldom than each quarter of an hour
            (60_000, 500_000, 5_000_000, 999, 900_000),
        ] as [(UInt64, UInt64, UInt64, UInt64, UInt64)])
    func pause(cost: UInt64, then: UInt64, now: UInt64, fullest: UInt64, wanted: UInt64) {
        let million: UInt64 = 1_000_000
        #expect(Self.pause(cost: cost * million, then: then, now: now, fullest: fullest) == wanted * million)
    }

    @Test func absurdFiguresEnd() {
        #expect(Self.pause(cost: .max, then: 0, now: .max / 1_000, fullest: .max) == 900 * Self.second)
    }
}

struct NATRangesTests {
    private static let source = NATRanges.Source(
        namespace: NamespaceIdentity(inode: 1, mix: 1), address: IPAddress(ipv4: 1), proto: 6)

    private static func ranges(_ ports: some Sequence<UInt16>) -> NATRanges {
        let ranges = NATRanges()
        for port in ports { ranges.note(port, of: source) }
        return ranges
    }

    @Test func portsSideBySideAreARange() {
        let ranges = Self.ranges((40_000..<40_016).reversed())
        #expect(ranges.ports(of: Self.source, around: 40_000, 40_015) == 16)
        #expect(ranges.ports(of: Self.source, around: 40_003, 40_004) == 16)
        var other = Self.source
        other.proto = 17
        #expect(ranges.ports(of: other, around: 40_003, 40_004) == nil)
    }

    @Test func fewOrScatteredPortsAreNone() {
        #expect(Self.ranges(40_000..<40_015).ports(of: Self.source, around: 40_000, 40_014) == nil)
        let scattered = Self.ranges((40_000..<40_050).filter { $0 != 40_020 })
        #expect(scattered.ports(of: Self.source, around: 40_000, 40_001) == nil)
        let wide = Self.ranges(stride(from: 1_024, to: 2_048, by: 3))
        #expect(wide.ports(of: Self.source, around: 1_024, 1_030) == nil)
    }

    /// While it is filled for the first time: in any order, two ports at most are missing at its ends.
    @Test func manyPortsCloseTogetherAreARange() throws {
        let ranges = NATRanges()
        // 73 has no divisor in common with 200: all of them, in an order that looks like chance.
        for step in 0..<200 {
            let port = 40_000 + UInt16(step * 73 % 200)
            ranges.note(port, of: Self.source)
            let limit = ranges.ports(of: Self.source, around: 40_000, 40_000)
            if step < 99 { #expect(limit == nil) }
            if step > 101 { #expect((197...200).contains(try #require(limit)), "\(step)") }
        }
        #expect(ranges.ports(of: Self.source, around: 40_000, 40_199) == 200)
    }

    /// Two rules' ranges, or one that was moved: no range of both, and each its own.
    @Test func rangesApartAreTwo() {
        let both = Self.ranges(Array(10_000..<11_000) + Array(11_500..<12_500))
        #expect(both.ports(of: Self.source, around: 10_000, 12_499) == nil)
        #expect(both.ports(of: Self.source, around: 10_000, 10_999) == 1_000)
        #expect(both.ports(of: Self.source, around: 12_000, 12_000) == 1_000)
        let nearly = Self.ranges(Array(10_000..<11_000) + Array(11_032..<12_000))
        #expect(nearly.ports(of: Self.source, around: 10_000, 11_999) == 2_000)
    }

    /// A flow that has kept its own port nearby shows that the range is wider; far from it, it is none of its flows.
    @Test func portsInUseOutsideOfWhatWasChosen() {
        let many = Self.ranges(40_000..<40_100)
        #expect(many.ports(of: Self.source, around: 39_998, 40_110) == 113)
        #expect(many.ports(of: Self.source, around: 39_950, 40_000) == nil)
        #expect(many.ports(of: Self.source, around: 1_024, 40_000) == nil)
        let ranges = Self.ranges(40_000..<40_020)
        #expect(ranges.ports(of: Self.source, around: 40_000, 40_020) == nil)
        #expect(ranges.ports(of: Self.source, around: 39_999, 40_019) == nil)
    }

    /// Where two flows without a range have one port of their own, one of them gets any: it hides no range elsewhere.
    @Test func aPortFarFromARangeIsNoneOfIt() {
        let ranges = Self.ranges([1_500] + Array(40_000..<40_020) + [61_000])
        #expect(ranges.ports(of: Self.source, around: 40_000, 40_019) == 20)
        #expect(ranges.ports(of: Self.source, around: 1_500, 1_500) == nil)
        #expect(ranges.ports(of: Self.source, around: 1_500, 40_019) == nil)
        // Of 1024 to 65535, with a third in use.
        let any = Self.ranges(stride(from: 1_024, to: 65_535, by: 3))
        #expect(any.ports(of: Self.source, around: 40_000, 40_000) == nil)
    }

    @Test func allPortsThereAre() {
        #expect(Self.ranges(.min ... .max).ports(of: Self.source, around: 0, .max) == 65_536)
    }

    @Test func boundedNumberOfAddresses() {
        let ranges = NATRanges()
        for address in 0..<UInt32(100) {
            var source = Self.source
            source.address = IPAddress(ipv4: address)
            for port in 40_000..<UInt16(40_016) { ranges.note(port, of: source) }
        }
        var last = Self.source
        last.address = IPAddress(ipv4: 99)
        #expect(ranges.ports(of: last, around: 40_000, 40_001) == nil)
    }
}
