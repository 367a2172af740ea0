import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// The names of this node's containers and pods, from its disk and its network namespaces.
final class NodeNames: OwnerSource {
    private let session: ProbeSession

    init(session: ProbeSession) {
        self.session = session
    }

    var version: UInt64 { 0 }

    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? { nil }

    func names(of namespace: NamespaceIdentity) -> OwnerNames? { nil }

    func namespace(at address: IPAddress) -> NamespaceIdentity? { session.conntrack?.namespace(at: address) }
}
