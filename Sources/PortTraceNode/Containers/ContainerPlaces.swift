internal import PortTraceCore

/// Where the runtimes of a node keep their containers: where they do by default, and where their configuration says; and
/// where the kubelet does.
enum ContainerPlaces {
    /// containerd's state directories: its own, and of those that bring it along.
    private static let containerdStates = [
        "/run/containerd", "/run/k3s/containerd", "/run/k0s/containerd", "/var/snap/microk8s/common/run/containerd",
    ]
    private static let containerdConfigurations = [
        "/etc/containerd/config.toml", "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        "/var/lib/rancher/rke2/agent/etc/containerd/config.toml", "/etc/k0s/containerd.toml",
        "/var/snap/microk8s/current/args/containerd.toml",
    ]
    /// Task plugins: of shims, and of containerd before 2.0.
    private static let taskPlugins = ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"]

    private static let storageRoots = ["/run/containers/storage", "/var/lib/containers/storage"]
    private static let storageConfigurations = [
        ("/usr/share/containers/storage.conf", "storage"), ("/etc/containers/storage.conf", "storage"),
        ("/etc/crio/crio.conf", "crio"),
    ]
    private static let crioDropIns = "/etc/crio/crio.conf.d"
    /// Storage drivers, whose names the folders bear.
    private static let storageDrivers = ["overlay", "vfs", "btrfs", "zfs"]

    private static let dockerRoots = ["/var/lib/docker", "/var/snap/docker/common/var-lib-docker"]
    private static let dockerConfiguration = "/etc/docker/daemon.json"

    private static let mostDropIns = 64

    /// In the order in which they are asked.
    static func places(of root: HostFolder) -> [ContainerPlace] {
        let tasks = ContainerdTasks()
        var places = states(root).flatMap { state in
            taskPlugins.map { ContainerPlace(path: "\(state)/\($0)", hasGroups: true, source: tasks) }
        }
        for storage in storages(root) {
            for driver in storageDrivers {
                // Each has an index of its own.
                let source = ContainerStorage()
                places.append(ContainerPlace(path: "\(storage)/\(driver)-containers", hasGroups: false, source: source))
            }
        }
        let docker = DockerContainers()
        for folder in unique(dockerRoots + [TextConfiguration.dockerRoot(root.configuration(dockerConfiguration))]) {
            places.append(ContainerPlace(path: "\(folder)/containers", hasGroups: false, source: docker))
        }
        // What runtimes say of a container comes first.
        return places + [ContainerPlace(path: KubeletLogs.path, hasGroups: false, source: KubeletLogs())]
    }

    private static func states(_ root: HostFolder) -> [String] {
        unique(
            containerdStates
                + containerdConfigurations.map { TextConfiguration(root.configuration($0)).path("state", table: "") })
    }

    private static func storages(_ root: HostFolder) -> [String] {
        var configurations = storageConfigurations
        var dropIns: [String] = []
        root.resolved(crioDropIns)?.forEachName { name in
            dropIns.append("\(crioDropIns)/\(String(decoding: name, as: UTF8.self))")
            return dropIns.count < mostDropIns
        }
        configurations += dropIns.sorted().map { ($0, "crio") }
        var found: [String?] = []
        for (file, table) in configurations {
            let configuration = TextConfiguration(root.configuration(file))
            // Podman's names of them, and CRI-O's.
            for key in table == "crio" ? ["runroot", "root"] : ["runroot", "graphroot"] {
                found.append(configuration.path(key, table: table))
            }
        }
        return unique(storageRoots + found)
    }

    private static func unique(_ paths: [String?]) -> [String] {
        var unique: [String] = []
        for case let path? in paths where !unique.contains(path) { unique.append(path) }
        return unique
    }
}
