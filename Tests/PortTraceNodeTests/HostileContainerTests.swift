import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// What others may have put where containers are: nothing outside is read, nothing waits.
struct HostileContainerTests {
    private let host = HostTree()
    private let outside = HostTree()
    private let id = containerID(1)
    private var file: String { "\(ContainerFiles.tasks)/\(id)/config.json" }

    /// Whether a good container beside it is still found, and nothing of this one.
    private func isLeftOut(_ comment: Comment? = nil) {
        host.write("\(ContainerFiles.tasks)/\(containerID(9))/config.json", ContainerFiles.task("good"))
        let start = KernelClock.monotonicNow()
        let watch = host.watch()
        #expect(watch.record(containerID(9))?.container == Array("good".utf8), comment)
        #expect(watch.record(id) == nil, comment)
        #expect(watch.found(id) == nil, comment)
        watch.close()
        #expect(KernelClock.monotonicNow() - start < 5_000_000_000, comment)
    }

    @Test func linkedFile() {
        outside.write("config.json", ContainerFiles.task("outside"))
        for target in ["\(outside.path)/config.json", "../\(containerID(9))/config.json", "/etc/passwd", "config.json"]
        {
            host.remove(file)
            host.link(file, to: target)
            isLeftOut("\(target)")
        }
    }

    @Test func linkedFolder() {
        outside.write("\(id)/config.json", ContainerFiles.task("outside"))
        host.folder(ContainerFiles.tasks)
        for target in ["\(outside.path)/\(id)", "../k8s.io/\(containerID(9))", containerID(9), "/proc/self/cwd"] {
            host.remove("\(ContainerFiles.tasks)/\(id)")
            host.link("\(ContainerFiles.tasks)/\(id)", to: target)
            isLeftOut("\(target)")
        }
    }

    @Test func linkedGroup() {
        outside.write("\(id)/config.json", ContainerFiles.task("outside"))
        host.link("run/containerd/io.containerd.runtime.v2.task/evil", to: outside.path)
        isLeftOut()
    }

    @Test func linkedUserdata() {
        outside.write("config.json", ContainerFiles.task("outside"))
        host.link("run/containers/storage/overlay-containers/\(id)/userdata", to: outside.path)
        isLeftOut()
    }

    /// On the way to a state directory links are followed, below the host's root.
    @Test func linkedBaseStaysBelowTheRoot() {
        host.link("var/run", to: "/run")
        host.write("etc/containerd/config.toml", "state = \"/var/run/other\"\n")
        host.write("run/other/io.containerd.runtime.v2.task/k8s.io/\(id)/config.json", ContainerFiles.task("inside"))
        outside.write(
            "io.containerd.runtime.v2.task/k8s.io/\(containerID(2))/config.json", ContainerFiles.task("outside"))
        host.link("run/k3s/containerd", to: outside.path)
        host.link("run/k0s/containerd", to: "../../../../../../../../../..\(outside.path)")
        let watch = host.watch()
        #expect(watch.record(id)?.container == Array("inside".utf8))
        #expect(watch.record(containerID(2)) == nil)
    }

    @Test func fifo() throws {
        host.folder("\(ContainerFiles.tasks)/\(id)")
        try Shell.run("mkfifo \(host.path)/\(file)")
        isLeftOut()
    }

    @Test func deviceAndSocket() throws {
        guard geteuid() == 0 else { return }
        host.folder("\(ContainerFiles.tasks)/\(id)")
        try Shell.run("mknod \(host.path)/\(file) c 1 5")
        isLeftOut()
        host.remove(file)
        try Shell.run(
            """
            cd \(host.path)/\(ContainerFiles.tasks)/\(id)
            python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("config.json")'
            """)
        isLeftOut()
    }

    @Test func gigabytes() {
        host.write(file, ContainerFiles.task("large"))
        truncate("\(host.path)/\(file)", 8 << 30)
        isLeftOut()
    }

    @Test func folderInsteadOfAFile() {
        host.folder(file)
        isLeftOut()
    }

    @Test(
        arguments: [
            "", "{", "[]", "null", "{\"annotations\":{}}", "{\"ociVersion\":\"1\",\"annotations\":[}}",
            "{\"ociVersion\":\"1\",\"annotations\":{\"a\":\"\\ud800\"}}",
            "{\"ociVersion\":\"1\",\"annotations\":\(String(repeating: "[", count: 500_000))",
        ])
    func noJSON(text: String) {
        host.write(file, text)
        isLeftOut()
    }

    @Test func noUTF8() {
        host.write(
            file, Array("{\"ociVersion\":\"1\",\"annotations\":{\"a\":\"".utf8) + [0xff, 0xfe] + Array("\"}}".utf8))
        isLeftOut()
    }

    @Test func deepJSON() {
        let deep = String(repeating: "[", count: 1 << 20) + String(repeating: "]", count: 1 << 20)
        let task = ContainerFiles.task("app")
        host.write(file, "{\"deep\":\(deep)," + task.dropFirst())
        #expect(host.watch().record(id)?.container == Array("app".utf8))
        host.write(file, "{\"ociVersion\":\"1\",\"annotations\":{\"a\":\(deep)}}")
        isLeftOut()
    }

    @Test func hostileNames() {
        let name = "a\n\u{1b}[31m\"\\\u{202e}é"
        host.write(file, ContainerFiles.task(name, pod: "p\u{0}q", namespace: String(repeating: "n", count: 64)))
        let record = host.watch().record(id)
        #expect(record?.container == Array(name.utf8))
        #expect(record?.pod == [])
        #expect(record?.namespace == [])
        #expect(record?.podUID == Array(ContainerFiles.uid.utf8))
    }

    @Test func longNames() {
        func long(_ count: Int) -> String { String(repeating: "x", count: count) }
        host.write(file, ContainerFiles.task(long(63), pod: long(253), namespace: long(63), uid: long(64)))
        let other = containerID(2)
        host.write(
            "\(ContainerFiles.tasks)/\(other)/config.json",
            ContainerFiles.task(long(64), pod: long(254), namespace: long(64), uid: long(65), sandbox: other))
        let watch = host.watch()
        #expect(watch.record(id)?.text.hasPrefix("\(long(63))/\(long(253))/\(long(64))/\(long(63)) ") == true)
        #expect(watch.record(other)?.text == "/// docker.io/library/nginx:1.25  /var/run/netns/cni-1")
    }

    @Test func entriesThatAreNoContainers() {
        for name in ["..data", "a", String(id.dropLast()), id + "0", "A" + id.dropFirst(), "é\n", "-rf", "\u{ff}"] {
            host.write("\(ContainerFiles.tasks)/\(name)/config.json", ContainerFiles.task("odd"))
        }
        for number in 0..<100 { host.folder("run/containerd/io.containerd.runtime.v2.task/group\(number)") }
        let watch = host.watch()
        #expect(watch.size.entries == 0)
        watch.close()
    }

    @Test func oddConfiguration() {
        host.write("etc/docker/daemon.json", #"{"data-root":"relative","graph":7}"#)
        host.write(
            "etc/containerd/config.toml",
            Array("state = \"\nstate=\n[[[\n=\nstate = \"/a\0b\"\nstate = \"".utf8) + [0xff])
        host.link("etc/containers/storage.conf", to: "/dev/zero")
        host.link("etc/crio/crio.conf", to: "crio.conf")
        host.write(file, ContainerFiles.task("app"))
        #expect(host.watch().record(id)?.container == Array("app".utf8))
    }

    /// More of them than are waited for.
    @Test func foldersThatStayEmpty() {
        for number in 100..<1_000 { host.folder("\(ContainerFiles.tasks)/\(containerID(number))") }
        let watch = host.watch()
        host.write("\(ContainerFiles.tasks)/\(containerID(999))/config.json", ContainerFiles.task("app"))
        host.write(file, ContainerFiles.task("app"))
        #expect(watch.waits { watch.record(id) != nil })
        #expect(watch.found(containerID(999)) != nil)
    }

    @Test func tenThousand() {
        let template = ContainerFiles.task("app", pod: "a-deployment-5d8f9c7b6d-POD", uid: "UID")
        for number in 0..<10_000 {
            let uid = containerID(number / 2).suffix(36)
            let text = template.replacing("POD", with: "\(number / 2)").replacing("UID", with: uid)
            host.write("\(ContainerFiles.tasks)/\(containerID(number))/config.json", text)
        }
        let watch = host.watch()
        let size = watch.size
        #expect(size.entries == 15_000, "\(size)")
        #expect(size.bytes <= 8 << 20)
        #expect(watch.record(containerID(0)) != nil && watch.record(containerID(9_999)) != nil)
    }
}
