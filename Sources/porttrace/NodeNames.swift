import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// The names of this node's containers and pods, from its disk and its network namespaces.
final class NodeNames: OwnerSource {
    /// Milliseconds that the start waits for all containers' names; what is not there by then comes later.
    private static let patience: Int32 = 300

    private let containers: ContainerWatch
    /// Tells whose an address is; nil where the hook does not stand that knows.
    private let conntrack: ConntrackAudit?

    /// Begins to read, and waits for the names of what is there already, not for long.
    init(hostRoot: String, conntrack: ConntrackAudit?) {
        self.conntrack = conntrack
        containers = ContainerWatch(hostRoot: hostRoot)
        if let files = conntrack?.namespaceFiles { containers.namespaces.begin { files.identity(of: $0) } }
        containers.start()
        _ = containers.awaitFirstPass(milliseconds: Self.patience)
    }

    func close() {
        containers.close()
    }

    /// Which source has told of the containers that are there, and how many; those are not told of again.
    func takeSources() -> String {
        var counts: [ContainerRecord.Source: Int] = [:]
        for record in containers.takePresentRecords() { counts[record.source, default: 0] += 1 }
        let known = ContainerRecord.Source.allCases.compactMap { source in
            counts[source].map { "\(source.rawValue) \($0)" }
        }
        return known.isEmpty ? "none" : known.joined(separator: ", ")
    }

    /// Says what has hindered the reading since the last call, and where that is wanted which source has told of what.
    func report(isVerbose: Bool) {
        for problem in containers.takeProblems() { StandardError.write(line: problem) }
        if let arrivals = containers.takeArrivals(), isVerbose {
            StandardError.write(line: "names of containers have come: \(arrivals)")
        }
    }

    // MARK: OwnerSource

    var version: UInt64 { containers.version }

    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? {
        var known = id.isEmpty ? nil : containers.record(ofContainer: id)
        if let known, podUID.isEmpty || !known.pod.isEmpty { return OwnerNames(known) }
        containers.look(for: id.isEmpty ? nil : id, podUID: podUID)
        guard let pod = containers.pod(ofUID: podUID) else { return known.map { OwnerNames($0) } }
        known?.namespace = pod.namespace
        known?.pod = pod.pod
        return known.map { OwnerNames($0) } ?? OwnerNames(pod, uid: podUID)
    }

    func names(of namespace: NamespaceIdentity) -> OwnerNames? {
        containers.pod(of: namespace).map { OwnerNames($0.names, uid: $0.uid) }
    }

    func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)? {
        // Asking the kernel for each destination of a storm costs something, and is in vain on a node without containers.
        guard containers.size.entries > 0, case .namespace(let namespace) = place(of: address) else { return nil }
        return (namespace, UInt64(KernelClock.monotonicNow()))
    }

    func place(of address: IPAddress) -> AddressPlace { conntrack?.place(of: address) ?? .unknown }
}
