/// Where the names of containers and pods come from. No call may hold up its caller.
public protocol OwnerSource {
    /// Moves whenever more is known than before.
    var version: UInt64 { get }

    /// The names of a container, of which the kernel tells the id, or the pod's UID, or both; nil while they are not
    /// known: then they are looked for.
    ///
    /// - Parameters:
    ///   - id: 64 hexadecimal digits; empty: not known.
    ///   - podUID: empty: it is in no pod, or that is not known.
    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames?

    /// The names of the one pod whose network namespace it is; nil where there is none, or it is not known yet.
    func names(of namespace: NamespaceIdentity) -> OwnerNames?

    /// The namespace that has an address, where it may be a pod's, and when that was asked: CLOCK_MONOTONIC, nanoseconds;
    /// nil where it is the host's, none's or several ones', or there are no pods.
    func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)?

    /// Whose an address is at this moment.
    func place(of address: IPAddress) -> AddressPlace
}

/// Where on this node an address is.
public enum AddressPlace: Equatable, Sendable {
    /// In that network namespace.
    case namespace(NamespaceIdentity)
    /// In the host's own.
    case host
    /// In none, in several, or that is not known.
    case unknown
}
