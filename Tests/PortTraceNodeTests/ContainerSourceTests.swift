import PortTraceCore
import Testing

@testable import PortTraceNode

/// Each runtime's files, where that runtime has them.
struct ContainerSourceTests {
    private let host = HostTree()
    private let id = containerID(1)
    private let sandboxID = containerID(0)

    @Test(
        arguments: [
            "run/containerd", "run/k3s/containerd", "run/k0s/containerd", "var/snap/microk8s/common/run/containerd",
        ])
    func containerd(state: String) {
        host.write("\(state)/io.containerd.runtime.v2.task/k8s.io/\(id)/config.json", ContainerFiles.task("nginx"))
        let record = host.watch().record(id)
        #expect(
            record?.text
                == "shop/web-1/\(ContainerFiles.uid)/nginx docker.io/library/nginx:1.25  /var/run/netns/cni-1")
        #expect(record?.runtime == .containerd)
        #expect(record?.source == .containerd)
        #expect(record?.id == Array(id.utf8))
    }

    @Test(
        arguments: [
            (
                "version = 2\nroot = \"/data/root\"\nstate=\"/data/state/\" # here\n[plugins]\nstate = \"/no\"",
                "data/state"
            ),
            ("state = '/data/x'\r\n", "data/x"),
        ])
    func containerdWithConfiguration(configuration: String, state: String) {
        host.write("etc/containerd/config.toml", configuration)
        host.write("\(state)/io.containerd.runtime.v2.task/k8s.io/\(id)/config.json", ContainerFiles.task("nginx"))
        #expect(host.watch().record(id)?.container == Array("nginx".utf8))
    }

    /// containerd 1.4: the container has its sandbox's id, and the sandbox its log directory.
    @Test func containerdBeforeUIDs() {
        host.write(
            "\(ContainerFiles.tasks)/\(id)/config.json",
            ContainerFiles.containerd(
                [
                    "io.kubernetes.cri.container-name": "app", "io.kubernetes.cri.container-type": "container",
                    "io.kubernetes.cri.sandbox-id": sandboxID,
                ], netns: nil))
        host.write(
            "\(ContainerFiles.tasks)/\(sandboxID)/config.json",
            ContainerFiles.containerd([
                "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": sandboxID,
                "io.kubernetes.cri.sandbox-log-directory": "/var/log/pods/shop_web-1_\(ContainerFiles.uid)",
            ]))
        let watch = host.watch()
        #expect(watch.record(id)?.text == "shop/web-1/\(ContainerFiles.uid)/app   /var/run/netns/cni-1")
        #expect(watch.record(sandboxID)?.text == "shop/web-1/\(ContainerFiles.uid)/   /var/run/netns/cni-1 sandbox")
        #expect(watch.pod(ContainerFiles.uid)?.text == "shop/web-1")
    }

    @Test func containerdWithoutKubernetes() {
        let folder = "run/containerd/io.containerd.runtime.v2.task/default"
        host.write("\(folder)/\(id)/config.json", ContainerFiles.containerd([:], netns: nil))
        host.write("\(folder)/\(sandboxID)/config.json", #"{"ociVersion":"1.0.2","process":{}}"#)
        let watch = host.watch()
        #expect(watch.record(id)?.text == "///   ")
        #expect(watch.record(id)?.runtime == .containerd)
        #expect(watch.record(sandboxID)?.text == "///   ")
    }

    @Test(arguments: ["run/containers/storage", "var/lib/containers/storage"])
    func crio(storage: String) {
        let labels = ContainerFiles.labels("app")
        let annotations = [
            "io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.ImageName": "quay.io/shop/app:2", "io.kubernetes.cri-o.Image": "app:2",
            "io.kubernetes.cri-o.Labels": ContainerFiles.json(labels), "io.kubernetes.cri-o.SandboxID": sandboxID,
        ]
        host.write(
            "\(storage)/overlay-containers/\(id)/userdata/config.json",
            ContainerFiles.containerd(annotations.merging(labels) { $1 }))
        // An old one: without plain labels.
        host.write(
            "\(storage)/overlay-containers/\(containerID(2))/userdata/config.json",
            ContainerFiles.containerd(annotations.merging(["io.kubernetes.cri-o.ImageName": ""]) { $1 }))
        let watch = host.watch()
        let record = watch.record(id)
        #expect(record?.text == "shop/web-1/\(ContainerFiles.uid)/app quay.io/shop/app:2  /var/run/netns/cni-1")
        #expect(record?.runtime == .crio)
        #expect(record?.source == .storage)
        #expect(
            watch.record(containerID(2))?.text == "shop/web-1/\(ContainerFiles.uid)/app app:2  /var/run/netns/cni-1")
    }

    /// A pod's own annotations stand over the runtime's: they change no name, and hide no pod.
    @Test func crioSandboxThatLies() {
        let victim = ContainerFiles.labels("app", pod: "victim", namespace: "kube-system", uid: "u-victim")
        var annotations = [
            "io.container.manager": "libpod", "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.ImageName": "victim", "io.kubernetes.cri-o.Image": "victim",
            "io.kubernetes.cri-o.Labels": ContainerFiles.json(victim),
        ]
        annotations.merge(ContainerFiles.labels("POD")) { $1 }
        let storage = "run/containers/storage/overlay-containers"
        host.write("\(storage)/\(id)/userdata/config.json", ContainerFiles.containerd(annotations))
        let watch = host.watch()
        #expect(watch.record(id)?.text == "shop/web-1/\(ContainerFiles.uid)/   /var/run/netns/cni-1 sandbox")
        #expect(watch.record(id)?.runtime == .crio)
        #expect(watch.pod("u-victim") == nil)
    }

    /// Labels that cannot be read are not made up for by annotations.
    @Test func crioWithBadLabels() {
        let storage = "run/containers/storage/overlay-containers"
        for (number, labels) in ["{", "7", #"{"a":"\#(String(repeating: "x", count: 3 << 20))"}"#].enumerated() {
            let annotations = ["io.kubernetes.cri-o.Labels": labels, "io.kubernetes.pod.name": "other"]
            host.write(
                "\(storage)/\(containerID(number))/userdata/config.json", ContainerFiles.containerd(annotations))
        }
        let watch = host.watch()
        for number in 0..<3 {
            #expect(watch.record(containerID(number))?.text == "///   /var/run/netns/cni-1")
        }
    }

    @Test func podman() {
        let storage = "var/lib/containers/storage/overlay-containers"
        for id in [id, sandboxID] {
            host.write(
                "\(storage)/\(id)/userdata/config.json",
                ContainerFiles.containerd([
                    "io.container.manager": "libpod", "io.kubernetes.cri-o.TTY": "false",
                    "io.kubernetes.cri-o.SandboxID": sandboxID, "io.kubernetes.cri-o.ContainerType": "container",
                    "io.podman.annotations.autoremove": "FALSE", "io.kubernetes.pod.name": "not-kubernetes",
                ]))
        }
        let metadata = #"{"image-name":"docker.io/library/busybox:latest","image-id":"ab","name":"web"}"#
        host.write(
            "\(storage)/containers.json",
            #"[{"id":"x"},{"id":"\#(id)","names":["web"],"image":"ab","metadata":\#(ContainerFiles.quoted(metadata))}]"#
        )
        let watch = host.watch()
        #expect(watch.record(id)?.text == "/// docker.io/library/busybox:latest web /var/run/netns/cni-1")
        #expect(watch.record(id)?.runtime == .podman)
        #expect(watch.record(sandboxID)?.text == "///   /var/run/netns/cni-1")
    }

    @Test func storageElsewhere() {
        host.write("etc/containers/storage.conf", "[storage]\ndriver = \"vfs\"\nrunroot = \"/r\"\ngraphroot = \"/g\"\n")
        host.write("etc/crio/crio.conf.d/10-x.conf", "[crio]\nroot = \"/c\"\n[crio.runtime]\nroot = \"/no\"\n")
        host.write("g/vfs-containers/\(id)/userdata/config.json", ContainerFiles.task("a"))
        host.write("c/overlay-containers/\(sandboxID)/userdata/config.json", ContainerFiles.task("b"))
        let watch = host.watch()
        #expect(watch.record(id) != nil)
        #expect(watch.record(sandboxID) != nil)
    }

    private func docker(_ name: String, labels: [String: String]) -> String {
        """
        {"StreamConfig":{},"State":{"Running":true,"Pid":123},"ID":"\(id)","Created":"2024-01-01T00:00:00Z",
        "Config":{"Hostname":"x","Image":"nginx:1.25","Labels":\(ContainerFiles.json(labels))},"Image":"sha256:ab",
        "NetworkSettings":{"Bridge":"","SandboxKey":"/var/run/docker/netns/e0"},"Name":"\(name)","Driver":"overlay2"}
        """
    }

    @Test func docker() {
        // Docker's own tasks are containerd's too.
        host.write(
            "run/containerd/io.containerd.runtime.v2.task/moby/\(id)/config.json", ContainerFiles.containerd([:]))
        host.write("var/lib/docker/containers/\(id)/config.v2.json", docker("/web", labels: [:]))
        let record = host.watch().record(id)
        #expect(record?.text == "/// nginx:1.25 web /var/run/docker/netns/e0")
        #expect(record?.runtime == .docker)
    }

    private let labels = ContainerFiles.labels("app").merging(["io.kubernetes.docker.type": "container"]) { $1 }

    @Test func dockerOfKubernetes() {
        host.write("etc/docker/daemon.json", #"{"data-root":"/data/docker/"}"#)
        host.write("data/docker/containers/\(id)/config.v2.json", docker("/k8s_app_web-1_shop_x_0", labels: labels))
        #expect(
            host.watch().record(id)?.text == "shop/web-1/\(ContainerFiles.uid)/app nginx:1.25  /var/run/docker/netns/e0"
        )
    }

    /// Labels come with images, too.
    @Test func dockerWithForeignLabels() {
        host.write("var/lib/docker/containers/\(id)/config.v2.json", docker("/web", labels: labels))
        #expect(host.watch().record(id)?.text == "/// nginx:1.25 web /var/run/docker/netns/e0")
    }

    @Test func dockerSandbox() {
        var labels = labels
        labels["io.kubernetes.docker.type"] = "podsandbox"
        host.write("var/lib/docker/containers/\(id)/config.v2.json", docker("/k8s_POD_web-1_shop_x_0", labels: labels))
        let record = host.watch().record(id)
        #expect(record?.isSandbox == true)
        #expect(record?.container == [])
        #expect(record?.pod == Array("web-1".utf8))
    }

    @Test func logsWithoutARuntime() {
        let staticPod = "kube-system_etcd-node1_5f4f9d8c6b7a4e3d2c1b0a9f8e7d6c5b"
        host.folder("var/log/pods/\(staticPod)/etcd")
        host.folder("var/log/pods/shop_web-1_\(ContainerFiles.uid)/app")
        host.link(
            "var/log/containers/web-1_shop_app-\(id).log",
            to: "/var/log/pods/shop_web-1_\(ContainerFiles.uid)/app/0.log")
        let watch = host.watch()
        #expect(watch.record(id)?.text == "shop/web-1/\(ContainerFiles.uid)/app   ")
        #expect(watch.record(id)?.runtime == nil)
        #expect(watch.record(id)?.source == .logs)
        #expect(watch.pod("5f4f9d8c6b7a4e3d2c1b0a9f8e7d6c5b")?.text == "kube-system/etcd-node1")
        // A container that nobody knows, in a pod that the kubelet knows: its record may still come.
        #expect(watch.found(sandboxID, podUID: ContainerFiles.uid) == nil)
        #expect(watch.pod(ContainerFiles.uid)?.text == "shop/web-1")
        #expect(watch.found(containerID(2)) == nil)
    }

    /// The cgroup's UID is what an old runtime does not say.
    @Test func takesTheUIDFromTheQuestion() {
        host.write(
            "\(ContainerFiles.tasks)/\(id)/config.json",
            ContainerFiles.containerd(["io.kubernetes.cri.container-name": "app"], netns: nil))
        host.folder("var/log/pods/shop_web-1_\(ContainerFiles.uid)")
        let watch = host.watch()
        #expect(watch.record(id)?.text == "///app   ")
        #expect(watch.found(id, podUID: ContainerFiles.uid)?.text == "shop/web-1/\(ContainerFiles.uid)/app   ")
    }
}

struct LogNameTests {
    @Test(
        arguments: [
            "", "a_b", "a_b_c_d", "_b_c", "a__c", "a_b_", "a b_c_d", "a_b_c\n", "a_../.._c",
            String(repeating: "n", count: 64) + "_b_c", "a_" + String(repeating: "n", count: 254) + "_c",
        ])
    func noPod(name: String) {
        #expect(PodLogName(Array(name.utf8)) == nil)
    }

    @Test func container() {
        let id = containerID(7)
        let name = ContainerLogName(Array("web-1.x_shop_app-\(id).log".utf8))
        #expect(name?.pod == Array("web-1.x".utf8))
        #expect(name?.namespace == Array("shop".utf8))
        #expect(name?.container == Array("app".utf8))
        #expect(name?.id == ContainerID(Array(id.utf8)))
        for bad in ["web_shop_app-\(id)", "web_shop_app\(id).log", "web_app-\(id).log", "-\(id).log", "\(id).log"] {
            #expect(ContainerLogName(Array(bad.utf8)) == nil)
        }
    }
}

struct ContainerIDTests {
    @Test func digits() {
        let text = "0123456789abcdef" + "fedcba9876543210" + "00000000ffffffff" + "8000000000000001"
        #expect(ContainerID(Array(text.utf8))?.string == text)
        for bad in ["", String(text.dropLast()), text + "0", text.uppercased(), "g" + text.dropFirst()] {
            #expect(ContainerID(Array(bad.utf8)) == nil)
        }
        #expect(ContainerID(Array(containerID(1).utf8)) != ContainerID(Array(containerID(2).utf8)))
    }
}
