/// What fills a conntrack table, by its entries.
struct TableFilling {
    enum Kind {
        /// Short connections: TCP's TIME_WAIT.
        case churn
        /// UDP, which nothing ends but a timeout.
        case udp
        /// Connections that stay open.
        case longLived
        /// Entries of addresses that are nobody's any more.
        case stale
        /// TCP towards one destination that does not answer.
        case retries
        case mixed
    }

    let kind: Kind
    /// Entries of that kind.
    let count: UInt64
    /// The destination that stands out.
    let destination: TableCensus.Destination?

    /// The kind that explains the most of at least a quarter of the table; what has a cure of its own comes before the rest.
    init(_ table: TableCensus) {
        let used = table.table.used
        let tcp = table.protocols[TransportProtocol.tcp] ?? 0
        let udp = table.protocols[TransportProtocol.udp] ?? 0
        let timeWait = table.tcpStates[ConntrackTCPState.timeWait] ?? 0
        let established = table.tcpStates[ConntrackTCPState.established] ?? 0
        let stale = table.stale.reduce(0) { $0 + $1.count }
        func top(_ proto: UInt8) -> TableCensus.Destination? {
            table.destinations.lazy.filter { $0.proto == proto }.max { $0.count < $1.count }
        }
        let dns = table.destinations.first { $0.proto == TransportProtocol.udp && $0.endpoint.port == 53 }
        let retried = table.destinations.lazy
            .filter { $0.proto == TransportProtocol.tcp && $0.unreplied * 5 >= $0.count * 4 }.max {
                $0.count < $1.count
            }

        if stale * 4 >= used, stale > 0 {
            (kind, count, destination) = (.stale, stale, nil)
        } else if let retried, retried.count * 5 >= used * 2 {
            (kind, count, destination) = (.retries, retried.unreplied, retried)
        } else if udp * 2 > used {
            // DNS first: it is the most frequent cause, and has cures of its own.
            let first = dns.flatMap { $0.count * 4 >= udp ? $0 : nil } ?? top(TransportProtocol.udp)
            (kind, count, destination) = (.udp, udp, first)
        } else if timeWait * 2 > tcp, tcp * 4 >= used, tcp > 0 {
            (kind, count, destination) = (.churn, timeWait, top(TransportProtocol.tcp))
        } else if established * 2 > tcp, tcp * 4 >= used, tcp > 0 {
            (kind, count, destination) = (.longLived, established, top(TransportProtocol.tcp))
        } else {
            (kind, count, destination) = (.mixed, used, nil)
        }
    }

    /// Whether it is questions to a name server.
    var isDNS: Bool { kind == .udp && destination?.endpoint.port == 53 }
}
