/// Who reads the kernel's conntrack table for evidence of a clash.
public protocol NATClashReader {
    /// Asks for evidence; the answer goes to ``EventStream/answer(_:_:at:)`` later, nil where there is none.
    ///
    /// Must not hold up its caller, and must not answer before it returns.
    func ask(_ clash: NATClash)
}

extension Failure {
    /// What is asked about a clash that waits for its verdict; nil for anything else.
    var natClash: NATClash? {
        guard isClash, let source, let destination, let nat else { return nil }
        let port = icmp.map { ($0.id, UInt16($0.type) << 8 | UInt16($0.code)) } ?? (sourcePort, destinationPort)
        return NATClash(
            pair: NATPair(
                netnsID: netnsID, proto: proto, zone: zone, natAddress: nat.address,
                peer: backend?.address ?? destination, peerPort: backend?.port ?? destinationPort),
            source: source, sourcePort: port.0, destination: destination, destinationPort: port.1,
            natPort: nat.port, freshTimeout: freshTimeout)
    }

    /// Makes a clash what its verdict says.
    mutating func settle(_ verdict: NATClashVerdict) {
        isClash = false
        switch verdict {
        case .exhausted(let evidence, let limit):
            type = .snatExhausted
            cause = .natPorts
            self.evidence = evidence
            self.limit = limit ?? 0
        case .race:
            type = .conntrackInsertFailed
            cause = .race
        }
    }
}
