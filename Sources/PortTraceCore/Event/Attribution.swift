/// How an owner was found: the contract's `attribution`.
enum Attribution: UInt8 {
    /// The failing task.
    case task = 1
    /// The creator of the failing, or the packet's, socket.
    case socket = 2
    /// The one socket that fits address, protocol and port.
    case tuple = 3
    /// The network namespace that has the address: who in it is not known.
    case netns = 4
    /// The address alone, by a list of names; on no record.
    case address = 255

    /// The name in the contract.
    var name: StaticString {
        switch self {
        case .task: "task"
        case .socket: "socket"
        case .tuple: "tuple"
        case .netns: "netns"
        case .address: "address"
        }
    }
}
