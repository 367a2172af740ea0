/// What the node's disk says of a container. What is not known is empty.
///
/// Names are valid UTF-8 but otherwise foreign input: any character but NUL may be in them.
public struct ContainerRecord: Equatable, Sendable {
    /// Where it was found.
    public enum Source: String, Sendable, CaseIterable {
        /// containerd's task state.
        case containerd
        /// The containers' storage of CRI-O and podman.
        case storage
        /// Docker's own files.
        case docker
        /// The names of the kubelet's log directories.
        case logs
    }

    /// The container's id: 64 hexadecimal digits.
    public var id: [UInt8]
    /// Kubernetes: namespace, pod, its UID, and the container's name in it. A sandbox has no container name.
    public var namespace: [UInt8] = []
    public var pod: [UInt8] = []
    public var podUID: [UInt8] = []
    public var container: [UInt8] = []
    public var image: [UInt8] = []
    /// What the runtime itself calls a container that is in no pod.
    public var name: [UInt8] = []
    /// Where its network namespace is mounted, on the host; empty for the host's own, or where that is not said.
    public var netnsPath: [UInt8] = []
    /// nil where only log directories are known.
    public var runtime: ContainerRuntime?
    /// Whether it is the one that holds a pod's namespaces.
    public var isSandbox = false
    public var source: Source

    public init(id: [UInt8], runtime: ContainerRuntime?, source: Source) {
        self.id = id
        self.runtime = runtime
        self.source = source
    }
}

/// A pod by the names that people use.
public struct PodNames: Equatable, Sendable {
    public var namespace: [UInt8]
    public var pod: [UInt8]

    public init(namespace: [UInt8], pod: [UInt8]) {
        self.namespace = namespace
        self.pod = pod
    }
}
