/// A wider `ip_local_port_range` for a namespace.
struct PortRangeWidening {
    let range: PortRange
    /// Services' ports that lie in it and are to be reserved; nil: none.
    let reserved: PortRange?
    /// How many ports connect() gains.
    let gain: UInt32

    /// Where ports begin that programs seldom listen at, and where those begin that any user may take.
    private static let floors: [UInt16] = [10_000, 1_024]

    /// The range that leaves listeners and Services' ports outside and gains a tenth, first upwards; then one that reaches
    /// below Services' ports, which the host's namespace must reserve: only there do they count. Nil: there is no room.
    ///
    /// - Parameter hostReservesPorts: Whether the host's namespace may have a list of reserved ports, which a new one would
    ///   overwrite.
    init?(of namespace: NamespaceCensus, nodePorts: PortRange, hostReservesPorts: Bool) {
        let range = namespace.portRange
        let size = UInt32(range.high) - UInt32(range.low) + 1
        let top = namespace.listenerAbove > range.high ? max(namespace.listenerAbove - 1, range.high) : 65_535
        let above = range.low > nodePorts.high ? min(range.low, nodePorts.high + 1) : range.low
        for floor in [above] + PortRangeWidening.floors {
            let listener = namespace.listenerBelow < range.low ? namespace.listenerBelow : 0
            let low = min(max(floor, listener + 1), range.low)
            let wider = PortRangeWidening.aligned(PortRange(low: low, high: top), around: range)
            var gain = UInt32(wider.high) - UInt32(wider.low) + 1 - size
            let overlaps = wider.low <= nodePorts.high && wider.high >= nodePorts.low && range.low > nodePorts.high
            let reserves = overlaps && namespace.isHost
            if reserves, hostReservesPorts { continue }
            if reserves { gain -= min(gain, UInt32(nodePorts.high - nodePorts.low) + 1) }
            guard gain >= max(size / 10, 16) else { continue }
            self.range = wider
            reserved = reserves ? nodePorts : nil
            self.gain = gain
            return
        }
        return nil
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
