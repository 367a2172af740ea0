/// A state of a TCP socket, as in include/net/tcp_states.h.
enum TCPState: UInt8 {
    case established = 1
    case synSent
    case synReceived
    case finWait1
    case finWait2
    case timeWait
    case close
    case closeWait
    case lastACK
    case listen
    case closing
    case newSynReceived

    /// The kernel's name, without `TCP_`.
    var name: StaticString {
        switch self {
        case .established: "ESTABLISHED"
        case .synSent: "SYN_SENT"
        case .synReceived: "SYN_RECV"
        case .finWait1: "FIN_WAIT1"
        case .finWait2: "FIN_WAIT2"
        case .timeWait: "TIME_WAIT"
        case .close: "CLOSE"
        case .closeWait: "CLOSE_WAIT"
        case .lastACK: "LAST_ACK"
        case .listen: "LISTEN"
        case .closing: "CLOSING"
        case .newSynReceived: "NEW_SYN_RECV"
        }
    }
}

/// A change of state: the contract's `detail.old` and `detail.new`.
struct TCPStateChange: Equatable {
    var old: TCPState
    var new: TCPState
}
