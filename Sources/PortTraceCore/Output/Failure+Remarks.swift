extension Failure {
    /// What else helps a person: `tcp range 32768-33001 EADDRNOTAVAIL`, `new udp flow dropped: conntrack table full (max
    /// 262144)`; as far as known.
    var remarks: TerminalText {
        var words: [String] = []
        if type.isConntrack {
            words.append(whatHappened)
            if direction == .inbound { words.append("(inbound)") }
            if let backend { words.append("(backend \(backend.text))") }
            if zone != 0 { words.append("(zone \(zone))") }
        } else {
            words.append(flow)
            if type == .timeWaitOverflow { words.append(whatHappened) }
            if let change { words.append("\(change.old.name) → \(change.new.name)") }
            if let portRange, type != .connectConflict { words.append("range \(portRange.low)-\(portRange.high)") }
        }
        if error != 0 {
            words.append(ErrorNumber.name(of: error).map { "\($0)" } ?? "errno \(error)")
        }
        if probe == .counter { words.append("(kernel's counter, no owner)") }
        var text = TerminalText()
        text.append(words.filter { !$0.isEmpty }.joined(separator: " "))
        return text
    }

    /// What of conntrack's failed, or of TIME_WAIT, and why.
    private var whatHappened: String {
        let flow = flow.isEmpty ? "" : flow + " "
        let maximum = limit == 0 ? "" : " (max \(limit))"
        switch type {
        case .conntrackTableFull: return "new \(flow)flow dropped: conntrack table full\(maximum)"
        case .conntrackEvicted: return "\(flow)entry evicted: conntrack table full\(maximum)"
        case .snatExhausted:
            let address = nat.map { " on \(Endpoint(address: $0.address, port: 0).text)" } ?? ""
            let (one, all) = icmp == nil ? ("port", "ports") : ("id", "ids")
            let start = flow.isEmpty ? "" : "\(self.flow): "
            return "\(start)no free \(one)\(address) for this destination" + (limit == 0 ? "" : " (\(limit) \(all))")
        case .timeWaitOverflow:
            return "closed without TIME_WAIT: "
                + (cause == .noMemory ? "no memory for it" : "tcp_max_tw_buckets reached\(maximum)")
        case .conntrackInsertFailed, .connectExhausted, .connectConflict, .bindExhausted, .tcpState, .pressure,
            .lost, .summary:
            return "\(flow)packet dropped: \(cause?.words ?? "no conntrack entry")"
        }
    }

    /// `tcp`, `icmp echo request`; empty where the protocol is not known.
    private var flow: String {
        if proto == 0 { return "" }
        let name = TransportProtocol.name(of: proto).map { "\($0)" } ?? "proto \(proto)"
        guard let icmp else { return name }
        switch (proto, icmp.type) {
        case (TransportProtocol.icmp, 8), (TransportProtocol.icmpv6, 128): return "\(name) echo request"
        default: return "\(name) type \(icmp.type) code \(icmp.code)"
        }
    }
}

extension Cause {
    /// The words for a person.
    fileprivate var words: String {
        switch self {
        case .race: "lost a race for its port or tuple"
        case .chainTooLong: "hash chain too long"
        case .dying: "its entry was being deleted"
        case .noMemory: "no memory for an entry"
        case .portRange, .tupleTaken, .tableFull, .natPorts, .timeWaitBuckets: "\(name)"
        }
    }
}

extension Endpoint {
    /// `10.1.2.3:8080`, `[2001:db8::1]:443`; without the port where it is 0.
    fileprivate var text: String {
        var buffer = OutputBuffer()
        buffer.append(address, port: port)
        return buffer.withBytes { String(decoding: $0, as: UTF8.self) }
    }
}
