/// Files as the runtimes write them, without what nobody here looks at.
enum ContainerFiles {
    static let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
    static let uid = "0b1c9b0e-7d7c-4f3c-9d3e-6b5d5d3f9a01"

    /// containerd's config.json.
    static func containerd(_ annotations: [String: String], netns: String? = "/var/run/netns/cni-1") -> String {
        let path = netns.map { #","path":"\#($0)""# } ?? ""
        return """
            {"ociVersion":"1.0.2-dev","process":{"user":{"uid":0,"gid":0},"args":["/pause"],
            "env":["A=\\"annotations\\":{}"],"rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1}]},
            "root":{"path":"rootfs"},"annotations":\(json(annotations)),
            "linux":{"resources":{"memory":{"limit":9223372036854771712}},"cgroupsPath":"/kubepods/x",
            "namespaces":[{"type":"pid"},{"type":"network"\(path)},{"type":"mount"}],"seccomp":{"syscalls":[]}}}
            """
    }

    static func task(
        _ container: String, pod: String = "web-1", namespace: String = "shop", uid: String = uid,
        sandbox: String = containerID(0)
    ) -> String {
        containerd([
            "io.kubernetes.cri.container-name": container, "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "docker.io/library/nginx:1.25",
            "io.kubernetes.cri.sandbox-id": sandbox, "io.kubernetes.cri.sandbox-name": pod,
            "io.kubernetes.cri.sandbox-namespace": namespace, "io.kubernetes.cri.sandbox-uid": uid,
        ])
    }

    /// The kubelet's labels, as Docker and CRI-O keep them.
    static func labels(_ container: String, pod: String = "web-1", namespace: String = "shop", uid: String = uid)
        -> [String: String]
    {
        [
            "io.kubernetes.container.name": container, "io.kubernetes.pod.name": pod,
            "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid,
        ]
    }

    static func json(_ object: [String: String]) -> String {
        "{" + object.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }.joined(separator: ",")
            + "}"
    }

    static func quoted(_ text: String) -> String {
        "\""
            + text.unicodeScalars.map { scalar in
                switch scalar {
                case "\"", "\\": "\\\(scalar)"
                case "\u{0}"..<" ": "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
                default: String(scalar)
                }
            }.joined() + "\""
    }
}
