/// What `porttrace check` says of a node as a whole: the contract's `status`.
public enum CheckStatus: String, Sendable {
    case healthy
    case warning
    case failing
    /// Nothing was found, but ports or conntrack could not be read.
    case unknown

    /// The exit status that scripts rely on.
    public var exitStatus: Int32 {
        switch self {
        case .healthy: 0
        case .warning: 10
        case .failing: 20
        case .unknown: 1
        }
    }
}
