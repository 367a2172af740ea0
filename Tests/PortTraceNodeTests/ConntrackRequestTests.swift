import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// Requests byte by byte, as a little-endian machine has them.
struct ConntrackRequestTests {
    @Test func getWithZone() {
        let clash = NATClash.udp(in: 1, sourcePort: 1001, port: 5001)
        #expect(
            ConntrackRequest.get(clash.original, zone: 8, sequence: 7)
                == bytes(
                    """
                    50000000 01010500 07000000 00000000 02000000
                      34000180 14000180 08000100 c0000202 08000200 c6336402
                               1c000280 05000100 11000000 06000200 03e90000 06000300 13890000
                      06001200 00080000
                    """))
    }

    @Test func getOfAnIPv6EchoRequest() {
        var clash = NATClash.udp(in: 1, sourcePort: 3001)
        clash.pair.proto = UInt8(IPPROTO_ICMPV6)
        (clash.source, clash.destination) = (NATLab.clientAddress6, NATLab.server6)
        clash.destinationPort = 128 << 8 | 1
        #expect(
            ConntrackRequest.get(clash.original, zone: 0, sequence: 1)
                == bytes(
                    """
                    68000000 01010500 01000000 00000000 0a000000
                      54000180 2c000180 14000300 20010db8 00000001 00000000 00000002
                                        14000400 20010db8 00000002 00000000 00000002
                               24000280 05000100 3a000000 06000700 0bb90000 05000800 80000000 05000900 01000000
                    """))
    }

    @Test func filteredDump() {
        let clash = NATClash.udp(in: 1, sourcePort: 1001)
        #expect(
            ConntrackRequest.dump(clash.pair, filtered: true, sequence: 7)
                == bytes(
                    """
                    54000000 01010103 07000000 00000000 02000000
                      34000280 14000180 08000100 c6336402 08000200 c6336401
                               1c000280 05000100 11000000 06000200 00350000 06000300 00000000
                      0c001980 08000200 1b000000
                    """))
    }

    /// The kernel's comparison of IPv6 addresses cannot be used.
    @Test func filteredDumpForIPv6() {
        var pair = NATClash.udp(in: 1, sourcePort: 1001).pair
        (pair.natAddress, pair.peer) = (NATLab.natAddress6, NATLab.server6)
        #expect(ConntrackRequest.dump(pair, filtered: true, sequence: 7).suffix(4) == bytes("18000000"))
    }

    @Test func wholeDump() {
        let clash = NATClash.udp(in: 1, sourcePort: 1001)
        #expect(
            ConntrackRequest.dump(clash.pair, filtered: false, sequence: 7)
                == bytes("14000000 01010103 07000000 00000000 02000000"))
    }

    @Test func filterProbe() {
        #expect(
            ConntrackRequest.filterProbe(sequence: 3)
                == bytes("24000000 01010103 03000000 00000000 02000000 04000280 0c001980 08000200 01000000"))
    }
}
