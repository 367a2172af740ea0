import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// Which pod a network namespace belongs to. Namespaces are files here: processes in the same one have the same file.
struct PodNamespacesTests {
    private let host = HostTree()

    /// A host with a process 1.
    private func namespaces(mounts: String = "") throws -> PodNamespaces {
        host.write("namespaces/host", "")
        try process(1, "/init.scope", in: "host")
        host.write("proc/1/mountinfo", mounts)
        host.link("proc/1/root", to: host.path)
        let namespaces = PodNamespaces(hostRoot: host.path)
        namespaces.begin { Self.identity($0) }
        return namespaces
    }

    private func process(_ number: Int, _ cgroup: String, in namespace: String) throws {
        host.write("proc/\(number)/cgroup", "12:cpu:/\n0::\(cgroup)\n")
        host.folder("proc/\(number)/ns")
        try Shell.run(
            "cd \(host.path); touch namespaces/\(namespace); ln namespaces/\(namespace) proc/\(number)/ns/net")
    }

    private static func identity(_ descriptor: Int32) -> NamespaceIdentity? {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return NamespaceIdentity(inode: UInt32(truncatingIfNeeded: status.st_ino), mix: 1)
    }

    private func identity(_ namespace: String) throws -> NamespaceIdentity {
        let file = open("\(host.path)/namespaces/\(namespace)", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        return try #require(Self.identity(file))
    }

    private func pod(_ name: String, uid: String? = nil) -> PodNamespaces.Pod {
        PodNamespaces.Pod(
            uid: Array((uid ?? "u-\(name)").utf8),
            names: PodNames(namespace: Array("shop".utf8), pod: Array(name.utf8)))
    }

    private func record(_ name: String, uid: String? = nil, netns: String) -> ContainerRecord {
        var record = ContainerRecord(id: Array(containerID(1).utf8), runtime: .containerd, source: .containerd)
        (record.namespace, record.pod) = (Array("shop".utf8), Array(name.utf8))
        record.podUID = Array((uid ?? "u-\(name)").utf8)
        record.netnsPath = Array(netns.utf8)
        return record
    }

    /// Pods by the last digit of a container's id.
    private func podOf(_ owner: CgroupOwner) -> PodNamespaces.Pod? {
        owner.containerID.last.map { pod(String(decoding: [$0], as: UTF8.self)) }
    }

    private func seek(_ namespaces: PodNamespaces, _ wanted: Set<NamespaceIdentity>? = nil) {
        namespaces.seek(wanted, meanwhile: {}, podOf: podOf)
    }

    @Test func processesTellIfTheyAgree() throws {
        let namespaces = try namespaces()
        try process(10, "/kubepods/burstable/x/\(containerID(1))", in: "one")
        try process(11, "/kubepods/burstable/x/\(containerID(1))", in: "one")
        try process(20, "/docker/\(containerID(2))", in: "two")
        try process(21, "/docker/\(containerID(3))", in: "two")
        try process(30, "/docker/\(containerID(4))", in: "mixed")
        try process(31, "/system.slice/other.service", in: "mixed")
        var between = 0
        namespaces.seek(nil, meanwhile: { between += 1 }, podOf: podOf)
        #expect(between == 7)
        #expect(namespaces.pod(of: try identity("one")) == pod("1"))
        #expect(namespaces.pod(of: try identity("two")) == nil)
        #expect(namespaces.pod(of: try identity("mixed")) == nil)
    }

    /// A pod on the host's network is nobody's by address.
    @Test func theHostsOwnIsNoPods() throws {
        let namespaces = try namespaces(mounts: "40 28 0:4 net:[1] /run/netns/host rw - nsfs nsfs rw\n")
        try process(10, "/docker/\(containerID(1))", in: "host")
        try Shell.run("mkdir -p \(host.path)/run/netns; ln \(host.path)/namespaces/host \(host.path)/run/netns/host")
        seek(namespaces)
        namespaces.note(record("web", netns: "/run/netns/host"))
        #expect(namespaces.pod(of: try identity("host")) == nil)
        #expect(!namespaces.isToBeSought(try identity("host")))
    }

    @Test func onlyWhatIsWantedIsLookedFor() throws {
        let namespaces = try namespaces()
        try process(10, "/docker/\(containerID(1))", in: "one")
        try process(20, "/docker/\(containerID(2))", in: "two")
        seek(namespaces, [try identity("two")])
        #expect(namespaces.pod(of: try identity("one")) == nil)
        #expect(namespaces.pod(of: try identity("two")) == pod("2"))
        // Once a second.
        #expect(namespaces.isToBeSought(try identity("one")))
        #expect(!namespaces.isToBeSought(try identity("one")))
    }

    /// Where nothing but the cgroup tells of a pod, its UID; its names as soon as anything has them.
    @Test func aCgroupGivesTheUIDAndOthersTheNamesLater() throws {
        let uid = "0a1b2c3d-1111-2222-3333-444455556666"
        host.folder("var/log/pods")
        _ = try namespaces()
        try process(10, "/kubepods/burstable/pod\(uid)/\(containerID(1))", in: "one")
        try process(11, "/kubepods/burstable/pod\(uid)/\(containerID(2))", in: "one")
        try process(12, "/docker/\(containerID(3))", in: "other")
        let watch = ContainerWatch(hostRoot: host.path)
        defer { watch.close() }
        watch.namespaces.begin { Self.identity($0) }
        #expect(watch.start() && watch.awaitFirstPass(milliseconds: 10_000))
        let one = try identity("one")
        #expect(watch.waits { watch.pod(of: one) != nil })
        #expect(watch.pod(of: one)?.uid == Array(uid.utf8))
        #expect(watch.pod(of: one)?.names == nil)
        #expect(watch.pod(of: try identity("other")) == nil)
        host.folder("var/log/pods/shop_web-1_\(uid)")
        #expect(watch.waits { watch.pod(of: one)?.names != nil })
        #expect(watch.pod(of: one)?.names == PodNames(namespace: Array("shop".utf8), pod: Array("web-1".utf8)))
    }

    /// The runtime's word counts more than processes, which only a mount can give.
    @Test func mountsTell() throws {
        let line = "40 28 0:4 net:[1] /run/netns/cni-1 rw - nsfs nsfs rw\n"
        let namespaces = try namespaces(mounts: line)
        try process(10, "/docker/\(containerID(2))", in: "one")
        try Shell.run(
            """
            cd \(host.path); mkdir -p run/netns net
            ln namespaces/one run/netns/cni-1; ln namespaces/one net/unmounted
            """)
        namespaces.note(record("elsewhere", netns: "/net/unmounted"))
        #expect(namespaces.pod(of: try identity("one")) == nil)
        seek(namespaces)
        #expect(namespaces.pod(of: try identity("one")) == pod("2"))
        let version = namespaces.version
        namespaces.note(record("web", netns: "/var/run/netns/cni-1"))
        #expect(namespaces.pod(of: try identity("one")) == pod("web"))
        #expect(namespaces.version > version)
        seek(namespaces, [try identity("one")])
        #expect(namespaces.pod(of: try identity("one")) == pod("web"))
    }

    @Test(arguments: [("other", "u-web"), ("web", "u-other")])
    func whoeverSaysTheSameOfItLeavesItToNobody(name: String, uid: String) throws {
        let namespaces = try namespaces(mounts: "40 28 0:4 net:[1] /run/netns/cni-1 rw - nsfs nsfs rw\n")
        try Shell.run("cd \(host.path); mkdir -p run/netns; touch namespaces/one; ln namespaces/one run/netns/cni-1")
        namespaces.note(record("web", netns: "/run/netns/cni-1"))
        namespaces.note(record("web", netns: "/run/netns/cni-1"))
        #expect(namespaces.pod(of: try identity("one")) == pod("web"))
        namespaces.note(record(name, uid: uid, netns: "/run/netns/cni-1"))
        #expect(namespaces.pod(of: try identity("one")) == nil)
        namespaces.note(record("web", netns: "/run/netns/cni-1"))
        #expect(namespaces.pod(of: try identity("one")) == nil)
    }

    @Test func whatComesBeforeItBeginsIsKept() throws {
        host.write("namespaces/one", "")
        host.write("proc/1/mountinfo", "40 28 0:4 net:[1] /run/netns/cni-1 rw - nsfs nsfs rw\n")
        try process(1, "/", in: "host")
        host.link("proc/1/root", to: host.path)
        try Shell.run("cd \(host.path); mkdir -p run/netns; ln namespaces/one run/netns/cni-1")
        let namespaces = PodNamespaces(hostRoot: host.path)
        namespaces.note(record("web", netns: "/run/netns/cni-1"))
        namespaces.begin { Self.identity($0) }
        #expect(namespaces.pod(of: try identity("one")) == pod("web"))
    }
}

struct MountedNamespacesTests {
    @Test func seesChanges() throws {
        guard geteuid() == 0, (try? Shell.run("unshare --net true")) != nil else { return }
        let name = "pt-mounted-\(getpid())"
        var mounts = MountedNamespaces(mountInfo: "/proc/self/mountinfo")
        let before = mounts.point(of: "/var/run/netns/\(name)")
        #expect(before == nil)
        try Shell.run("ip netns add \(name)")
        defer { _ = try? Shell.run("ip netns del \(name)") }
        let after = mounts.point(of: "/var/run/netns/\(name)")
        #expect(after == "/run/netns/\(name)")
        let seen = mounts.point(of: "/netns/\(name)", below: "/run")
        #expect(seen == "/netns/\(name)")
        let elsewhere = mounts.point(of: "/run/netns/\(name)", below: "/host")
        #expect(elsewhere == nil)
    }
}
