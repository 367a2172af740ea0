/// A timeout of conntrack's that a verdict may propose to shorten, each namespace's own: `net.netfilter.nf_conntrack_…`.
public enum ConntrackTimeout: String, Sendable, CaseIterable {
    case established = "tcp_timeout_established"
    case timeWait = "tcp_timeout_time_wait"
    case synSent = "tcp_timeout_syn_sent"
    /// Until a flow has gone on for 2 s in both directions (nf_conntrack_udp_packet()); then the next one.
    case udp = "udp_timeout"
    case udpStream = "udp_timeout_stream"
}
