import Testing

@testable import PortTraceCore

/// Exhaustion or a race: every rule, and what comes close to it.
@Suite struct NATClashVerdictTests {
    typealias Holder = NATClashEvidence.Holder

    private static let tcp: UInt8 = 6
    private static let second: UInt64 = 1_000_000_000

    struct Case: CustomTestStringConvertible {
        var testDescription: String
        var verdict: NATClashVerdict
        var proto: UInt8 = 17
        var sourcePort: UInt16 = 5555
        var hasOriginal = false
        /// Nil: it could not be read.
        var holders: [Holder]?
        /// What an entry of another port has left that was made just now; nil: there is none.
        var fresh: UInt32?
        var earlier: [Holder]?
        /// What the NAT address was seen with before; nil: nothing else than the holders.
        var known: ClosedRange<UInt16>?
        var delay: UInt64 = 50_000_000

        init(_ description: String, _ verdict: NATClashVerdict, _ holders: [Holder]?) {
            testDescription = description
            self.verdict = verdict
            self.holders = holders
        }

        /// Beside an entry of the same state that was made just now.
        func beside(_ timeout: UInt32 = 30) -> Case { with { $0.fresh = timeout } }

        func with(_ change: (inout Case) -> Void) -> Case {
            var changed = self
            change(&changed)
            return changed
        }
    }

    private static let young = Holder(port: 40000, id: 1)
    private static func holder(
        status: UInt32 = 0, timeout: UInt32?, tcpState: UInt8? = nil, port: UInt16 = 40000
    ) -> Holder {
        Holder(port: port, id: 1, status: status, timeout: timeout, tcpState: tcpState)
    }
    private static func row(_ ports: ClosedRange<UInt16>) -> [Holder] { ports.map { Holder(port: $0, id: 1) } }
    private static let (seenReply, assured, fixedTimeout): (UInt32, UInt32, UInt32) = (2, 4, 1 << 10)
    private static let old = NATClashVerdict.exhausted(.heldBefore, limit: nil)

    static let cases: [Case] = [
        Case("could not be read", .race, nil),
        Case("nobody holds anything", .race, []),
        Case("another port is held: gone", .race, [Holder(port: 40001, id: 1)]),
        Case("the port's holder is young", .race, [young]),
        Case("the flow's own entry", .race, row(40000...40009)).with { $0.hasOriginal = true },
        Case("the flow's own entry beside an old one", .race, [holder(timeout: 5)]).beside().with {
            $0.hasOriginal = true
        },

        Case("the same entry was there before", old, [young]).with { $0.earlier = [young] },
        Case("another entry was there before", .race, [young]).with { $0.earlier = [Holder(port: 40000, id: 2)] },
        Case("the entry held another port before", .race, [young]).with { $0.earlier = [Holder(port: 1, id: 1)] },
        Case("it was there before, and is gone", .race, []).with { $0.earlier = [young] },
        Case("there before, among many", .exhausted(.heldBefore, limit: 10), row(40000...40009)).with {
            $0.earlier = row(39000...41000)
        },
        Case("there before, however late", old, [young]).with { ($0.earlier, $0.delay) = ([young], .max) },

        Case("UDP: idle for 2 s", old, [holder(timeout: 28)]).beside(),
        Case("UDP: idle for 1 s", .race, [holder(timeout: 29)]).beside(),
        Case("UDP: idle for long", old, [holder(timeout: 0)]).beside(),
        Case("UDP: a policy's short timeout", .race, [holder(timeout: 5)]).beside(6),
        Case("nothing to compare with", .race, [holder(timeout: 0)]),
        Case("only itself to compare with", .race, [holder(timeout: 5)]).beside(5),
        Case("UDP: replied, of another timeout", .race, [holder(status: seenReply, timeout: 28)]).beside(),
        Case(
            "UDP: compared with a stream", .race, [young, holder(status: seenReply | assured, timeout: 120, port: 1)]),
        Case("idle since the clash", .race, [holder(timeout: 28)]).beside().with { $0.delay = second },
        Case("idle for 2 s, read late", old, [holder(timeout: 28)]).beside().with { $0.delay = second / 2 },
        Case("idle for longer than the reading took", old, [holder(timeout: 20)]).beside().with {
            $0.delay = 8 * second
        },
        Case("idle for as long as the reading took", .race, [holder(timeout: 20)]).beside().with {
            $0.delay = 10 * second
        },
        Case("no telling when", .race, [holder(timeout: 0)]).beside().with { $0.delay = .max },
        Case("no telling what is left", .race, [holder(timeout: nil)]).beside(),
        Case("a timeout that packets do not set", .race, [holder(status: fixedTimeout, timeout: 0)]).beside(),
        Case("offloaded, to compare with", .race, [young, holder(status: 1 << 14, timeout: 86_400, port: 1)]),
        Case("any of two on one port", old, [young, holder(timeout: 5)]).beside(),
        Case("an old one on another port", .race, [young, holder(timeout: 0, port: 39000)]),

        Case("TCP: SYN_SENT, idle", old, [holder(timeout: 118, tcpState: 1)]).beside(120).with { $0.proto = tcp },
        Case("TCP: SYN_SENT, young", .race, [holder(timeout: 119, tcpState: 1)]).beside(120).with { $0.proto = tcp },
        Case("TCP: SYN_RECV has a timeout of its own", .race, [holder(status: seenReply, timeout: 59, tcpState: 2)])
            .beside(120).with { $0.proto = tcp },
        Case("TCP: unreplied in another state", .race, [holder(timeout: 5, tcpState: 8)]).beside(120).with {
            $0.proto = tcp
        },
        Case("TCP: established", .race, [holder(status: seenReply | assured, timeout: 300, tcpState: 3)])
            .beside(432_000).with { $0.proto = tcp },
        Case("ICMP: idle", old, [holder(timeout: 28)]).beside().with { $0.proto = 1 },
        Case("ICMPv6: idle", old, [holder(timeout: 28)]).beside().with { $0.proto = 58 },
        Case("SCTP has several first states", .race, [holder(timeout: 1)]).beside().with { $0.proto = 132 },

        Case("all held", .exhausted(.allHeld, limit: 16), row(40000...40015)),
        Case("all held, in the middle", .exhausted(.allHeld, limit: 17), row(39990...40006)),
        Case("all held, one of them twice", .exhausted(.allHeld, limit: 16), row(39995...40010) + [young]),
        Case("all held that were ever seen", .exhausted(.allHeld, limit: 16), row(40000...40015)).with {
            $0.known = 40003...40009
        },
        Case("half of a range, of which more was seen", .race, row(40000...40015)).with { $0.known = 40000...40031 },
        Case("in a row, and a lower one was seen", .race, row(40000...40015)).with { $0.known = 39999...40001 },
        Case("a few side by side: half of a small range", .race, row(40000...40004)),
        Case("two side by side", .race, row(39999...40000)),
        Case("one too few in a row", .race, row(40000...40014)),
        Case("all but one", .race, row(39990...39997) + row(39999...40009)),
        Case("as many as fit, one of them twice", .race, [young, young] + row(40002...40017)),
        Case("all but this one", .race, row(40001...40020)),
        Case("it kept its own port", .race, row(40000...40015)).with { $0.sourcePort = 40000 },
        Case("all ports there are", .exhausted(.allHeld, limit: 65_536), row(0...65_535)),
        Case("old, and all held", .exhausted(.heldBefore, limit: 2), [holder(timeout: 5), Holder(port: 40001, id: 2)]),
        Case("old, and others were seen", old, [holder(timeout: 5), Holder(port: 40001, id: 2)]).with {
            $0.known = 40000...40009
        },
        Case(
            "old, kept its own port", .exhausted(.heldBefore, limit: 2),
            [holder(timeout: 5), Holder(port: 40001, id: 2)]
        ).with { $0.sourcePort = 40000 },
    ]

    @Test(arguments: cases) func verdict(_ test: Case) {
        let pair = NATPair(
            netnsID: 1, proto: test.proto, zone: 0, natAddress: IPAddress(ipv4: 1), peer: IPAddress(ipv4: 2),
            peerPort: 53)
        let clash = NATClash(
            pair: pair, source: IPAddress(ipv4: 3), sourcePort: test.sourcePort, destination: IPAddress(ipv4: 2),
            destinationPort: 53, natPort: 40000)
        let evidence = test.holders.map {
            NATClashEvidence(
                hasOriginal: test.hasOriginal,
                holders: $0
                    + (test.fresh.map {
                        [Self.holder(timeout: $0, tcpState: test.proto == Self.tcp ? 1 : nil, port: 60_000)]
                    } ?? []))
        }
        let bounds = [test.known, evidence?.span].compactMap { $0 }
        let low = bounds.map(\.lowerBound).min()
        let high = bounds.map(\.upperBound).max()
        let judgement = clash.judge(
            evidence, earlier: test.earlier.map(NATHolders.init), span: low.flatMap { low in high.map { low...$0 } },
            delay: test.delay)
        #expect(judgement.verdict(clashes: 0) == test.verdict)
    }

    @Test func holdersAreFound() {
        var random = SplitMix(seed: 3)
        let some = (0..<500).map { _ in
            Holder(port: UInt16.random(in: 0...200, using: &random), id: UInt32.random(in: 0...9, using: &random))
        }
        let holders = NATHolders(some)
        #expect(holders.count == 500)
        for port in UInt16(0)...201 {
            for id in UInt32(0)...10 {
                #expect(holders.contains(port: port, id: id) == some.contains { $0.port == port && $0.id == id })
            }
        }
        #expect(!NATHolders([]).contains(port: 0, id: 0))
    }
}
