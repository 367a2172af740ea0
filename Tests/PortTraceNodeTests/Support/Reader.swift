import CLinux
import Glibc
import PortTraceCore

@testable import PortTraceNode

extension ConntrackReader {
    /// Asks, and waits for the answer.
    func answer(to clash: NATClash) -> NATClashEvidence? {
        ask(clash)
        return nextAnswers().first?.1
    }

    /// Waits for answers: 10 s at most.
    func nextAnswers() -> [(NATClash, NATClashEvidence?)] {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, 10_000)
        return takeAnswers()
    }
}

extension NATClash {
    /// A flow of the lab's client to its server.
    static func udp(
        in netnsID: UInt32, sourcePort: UInt16, port: UInt16 = 53, zone: UInt16 = 0, natPort: UInt16 = 40000
    ) -> NATClash {
        NATClash(
            pair: NATPair(
                netnsID: netnsID, proto: UInt8(IPPROTO_UDP), zone: zone, natAddress: NATLab.natAddress,
                peer: NATLab.server, peerPort: port),
            source: NATLab.clientAddress, sourcePort: sourcePort, destination: NATLab.server, destinationPort: port,
            natPort: natPort)
    }
}
