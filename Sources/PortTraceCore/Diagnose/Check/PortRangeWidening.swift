/// A wider `ip_local_port_range` for a namespace.
struct PortRangeWidening {
    let range: PortRange
    /// Services' ports that lie in it and are to be reserved; nil: none.
    let reserved: PortRange?
    /// How many ports connect() gains.
    let gain: UInt32
    /// Whether it has room for all that is wanted, and a fifth more.
    let covers: Bool

    /// Where ports begin that programs seldom listen at, and where those begin that any user may take.
    private static let floors: [UInt16] = [10_000, 1_024]

    /// The smallest range that leaves listeners outside and covers what is wanted; else the widest. First upwards, then below
    /// Services' ports, which the host's namespace must reserve: only there do they count. Nil: there is no room.
    ///
    /// - Parameters:
    ///   - demand: Ports that are wanted at the same time.
    ///   - hostReservesPorts: Whether the host's namespace may have a list of reserved ports, which a new one would overwrite.
    init?(of namespace: NamespaceCensus, demand: UInt64, nodePorts: PortRange, hostReservesPorts: Bool) {
        let floor = namespace.portRange.low
        let above = floor > nodePorts.high ? min(floor, nodePorts.high + 1) : floor
        let all = ([above] + PortRangeWidening.floors).compactMap {
            PortRangeWidening(
                of: namespace, from: $0, demand: demand, nodePorts: nodePorts, hostReservesPorts: hostReservesPorts)
        }
        guard let best = all.first(where: \.covers) ?? all.max(by: { $0.gain < $1.gain }) else { return nil }
        self = best
    }

    private init?(
        of namespace: NamespaceCensus, from floor: UInt16, demand: UInt64, nodePorts: PortRange, hostReservesPorts: Bool
    ) {
        let range = namespace.portRange
        let size = UInt32(range.high) - UInt32(range.low) + 1
        let top = namespace.listenerAbove > range.high ? max(namespace.listenerAbove - 1, range.high) : 65_535
        let listener = namespace.listenerBelow < range.low ? namespace.listenerBelow : 0
        let low = min(max(floor, listener + 1), range.low)
        let wider = PortRangeWidening.aligned(PortRange(low: low, high: top), around: range)
        var gain = UInt32(wider.high) - UInt32(wider.low) + 1 - size
        let overlaps = wider.low <= nodePorts.high && wider.high >= nodePorts.low && range.low > nodePorts.high
        let reserves = overlaps && namespace.isHost
        if reserves, hostReservesPorts { return nil }
        if reserves { gain -= min(gain, UInt32(nodePorts.high - nodePorts.low) + 1) }
        guard gain >= max(size / 10, 16) else { return nil }
        self.range = wider
        reserved = reserves ? nodePorts : nil
        self.gain = gain
        covers = demand * 5 <= UInt64(namespace.usablePorts + gain) * 4
    }

    /// One end even and one odd, as the kernel wants them (ipv4_local_port_range(), net/ipv4/sysctl_net_ipv4.c).
    private static func aligned(_ wider: PortRange, around range: PortRange) -> PortRange {
        if (wider.low ^ wider.high) & 1 == 1 { return wider }
        if wider.low < range.low { return PortRange(low: wider.low + 1, high: wider.high) }
        if wider.high > range.high { return PortRange(low: wider.low, high: wider.high - 1) }
        return wider
    }

    /// What to set.
    var settings: [(name: String, value: String)] {
        let range = ("net.ipv4.ip_local_port_range", "\(self.range.low) \(self.range.high)")
        guard let reserved else { return [range] }
        return [("net.ipv4.ip_local_reserved_ports", CheckWords.range(reserved)), range]
    }
}
