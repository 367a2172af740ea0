/// What the header of `porttrace top` says of the node.
public struct TopFacts: Sendable {
    /// The node's name, any bytes; empty: not known.
    public var node: [UInt8]
    /// `uname -r`.
    public var kernel: [UInt8]
    /// Each hook and its tier, in the order to show.
    public var hooks: [(hook: String, tier: String)]
    /// Entries of all conntrack tables together, and nf_conntrack_max, which is each one's; nil: not known, limit nil: unlimited.
    public var conntrack: (used: UInt64, limit: UInt64?)?
    /// Sockets of all namespaces; nil: not known.
    public var sockets: TopSockets?
    /// The inode of the node's own network namespace; 0: not known.
    public var hostNamespace: UInt32
    /// What cannot be seen, and why: in words that are safe on a terminal.
    public var notVisible: [String]

    public init(node: [UInt8], kernel: [UInt8], hooks: [(hook: String, tier: String)]) {
        self.node = node
        self.kernel = kernel
        self.hooks = hooks
        hostNamespace = 0
        notVisible = []
    }

    /// Failures that no hook sees, and what no look has found, each with why.
    var unseen: [String] {
        hooks.compactMap { hook, tier in
            tier.hasPrefix("none") ? "failures of \(hook): \(tier.dropFirst(4).trimmingParentheses)" : nil
        } + notVisible
    }

    /// The hooks by tier: `none: bind  fentry: connect evictions`, what sees nothing first.
    var tiers: String {
        var groups: [(tier: Substring, hooks: String)] = []
        for (hook, tier) in hooks {
            let name = tier.prefix { $0 != " " }
            if let index = groups.firstIndex(where: { $0.tier == name }) {
                groups[index].hooks += " \(hook)"
            } else {
                groups.insert((name, hook), at: name == "none" ? 0 : groups.count)
            }
        }
        return groups.map { "\($0.tier): \($0.hooks)" }.joined(separator: "  ")
    }
}

/// Numbers of sockets.
public struct TopSockets: Sendable {
    /// TCP's that are no listeners and not in TIME_WAIT.
    public var tcp: UInt64
    public var udp: UInt64
    public var timeWait: UInt64

    public init(tcp: UInt64, udp: UInt64, timeWait: UInt64) {
        self.tcp = tcp
        self.udp = udp
        self.timeWait = timeWait
    }

    /// All namespaces together.
    public init(of census: PortCensus) {
        self.init(tcp: 0, udp: 0, timeWait: 0)
        for namespace in census.namespaces {
            tcp += UInt64(namespace.tcpSockets)
            udp += UInt64(namespace.udpSockets)
            timeWait += UInt64(namespace.timeWait)
        }
    }
}

extension Substring {
    /// ` (why)` without what is around it.
    fileprivate var trimmingParentheses: Substring {
        let inside = drop { $0 == " " || $0 == "(" }
        return inside.hasSuffix(")") ? inside.dropLast() : inside
    }
}
