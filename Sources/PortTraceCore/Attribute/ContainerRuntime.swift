/// The programs that start containers, by the names in the contract (`runtime.name`).
public enum ContainerRuntime: String, Sendable, CaseIterable {
    case containerd
    case crio = "cri-o"
    case docker
    case podman
}
