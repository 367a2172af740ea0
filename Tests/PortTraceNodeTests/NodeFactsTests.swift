import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// A node's procfs as files; what stands for a network namespace is a file, too.
struct NodeFactsTests {
    private let tree = HostTree()

    init() {
        tree.write("proc/sys/net/netfilter/nf_conntrack_max", "131072\n")
        tree.write("proc/sys/net/netfilter/nf_conntrack_buckets", "32768\n")
        tree.write("proc/meminfo", "MemTotal:        2048 kB\nMemFree:          17 kB\n")
        process(1, "systemd", namespace: "host")
    }

    private func process(_ number: Int, _ comm: String, namespace: String) {
        tree.write("netns/\(namespace)", "")
        tree.write("proc/\(number)/comm", "\(comm)\n")
        tree.link("proc/\(number)/ns/net", to: "\(tree.path)/netns/\(namespace)")
    }

    private var facts: NodeFacts { NodeFactsReader(hostRoot: tree.path).read() }

    @Test func sysctlsAndMemory() {
        let facts = facts
        #expect(facts.conntrackMax == 131_072)
        #expect(facts.conntrackBuckets == 32_768)
        #expect(facts.memory == 2_048 * 1_024)
        #expect(!facts.hasKubeProxy)
        #expect(facts.otherDataPath == nil)
        tree.remove("proc/sys")
        #expect(self.facts.conntrackMax == nil)
        #expect(self.facts.conntrackBuckets == 0)
    }

    @Test func kubeProxy() {
        process(20, "kube-proxy", namespace: "pod")  // calls itself that
        process(21, "kube-proxy-more", namespace: "host")
        #expect(!facts.hasKubeProxy)
        process(22, "kube-proxy", namespace: "host")
        #expect(facts.hasKubeProxy)
    }

    @Test(arguments: ["k3s-server", "k3s-agent", "kubelite"]) func kubeProxyWithinAnother(_ name: String) {
        process(22, name, namespace: "pod")
        #expect(!facts.hasKubeProxy)
        process(23, name, namespace: "host")
        #expect(facts.hasKubeProxy)
    }

    /// By the cgroup of the first process in each namespace, but the host's.
    @Test func keepersOfNamespaces() {
        process(20, "app", namespace: "pod")
        process(21, "app", namespace: "unit")
        process(22, "app", namespace: "unknown")
        tree.write("proc/1/cgroup", "0::/init.scope\n")
        tree.write("proc/20/cgroup", "12:pids:/docker/\(containerID(3))\n0::/x.service\n")
        tree.write("proc/21/cgroup", "0::/system.slice/app.service\n")
        let keepers = facts.keepers
        #expect(keepers.count == 2)
        #expect(keepers.values.contains { $0.runtime == .docker && $0.containerID == Array(containerID(3).utf8) })
        #expect(keepers.values.contains { $0.unit == Array("app.service".utf8) })
    }

    @Test func cilium() {
        process(20, "cilium-agent", namespace: "pod")
        tree.write("sys/fs/bpf/tc/globals/other", "")
        #expect(facts.otherDataPath == nil)
        tree.write("sys/fs/bpf/tc/globals/cilium_ct4_global", "")
        #expect(facts.otherDataPath == "cilium")
        tree.remove("sys")
        process(21, "cilium-agent", namespace: "host")
        #expect(facts.otherDataPath == "cilium")
    }

    /// Whose numbers they are is not known here: that takes the initial pid namespace.
    @Test func processesAreNotClaimedToBeTheHosts() {
        #expect(facts.processes.isEmpty)
        #expect(NamespaceSurvey(proc: "\(tree.path)/proc").processes.count == 1)
    }

    @Test func firstProcessOfEachNamespace() {
        for number in [30, 12, 400] { process(number, "app", namespace: "pod") }
        let survey = NamespaceSurvey(proc: "\(tree.path)/proc")
        #expect(Set(survey.processes.values) == [1, 12])
        #expect(survey.host == survey.processes.first { $0.value == 1 }?.key)
        #expect(!survey.hasHostNumbers)
    }

    @Test(
        arguments: [
            ("0::/user.slice/session-4.scope\n", false), ("0::/\n", false),
            ("12:pids:/x\n0::/kubepods/pod8f7c4b1e-0d3a-4a55-9d55-0a4c57a1d001/\(containerID(1))\n", true),
            ("0::/system.slice/docker-\(containerID(2)).scope\n", true),
        ] as [(String, Bool)])
    func containersCgroup(_ content: String, isIn: Bool) {
        tree.write("cgroup", content)
        #expect(OwnContainer.isInContainersCgroup("\(tree.path)/cgroup") == isIn)
    }
}

struct ProcFileTests {
    private let tree = HostTree()

    @Test func counters() {
        tree.write(
            "netstat",
            """
            TcpExt: SyncookiesSent TW TCPTimeWaitOverflow
            TcpExt: 1 22 333
            IpExt: InNoRoutes TW
            IpExt: 4 5

            """)
        let path = "\(tree.path)/netstat"
        #expect(ProcFile.counter(path, group: "TcpExt:", name: "TCPTimeWaitOverflow") == 333)
        #expect(ProcFile.counter(path, group: "IpExt:", name: "TW") == 5)
        #expect(ProcFile.counter(path, group: "IpExt:", name: "TCPTimeWaitOverflow") == nil)
        #expect(ProcFile.counter("\(path)-none", group: "IpExt:", name: "TW") == nil)
    }

    @Test func numbers() {
        tree.write("number", "262144\n")
        tree.write("bare", "7")
        tree.write("word", "many\n")
        #expect(ProcFile.number("\(tree.path)/number") == 262_144)
        #expect(ProcFile.number("\(tree.path)/bare") == 7)
        #expect(ProcFile.number("\(tree.path)/word") == nil)
        #expect(ProcFile.number("\(tree.path)/none") == nil)
    }
}

struct DriverLimitsTests {
    @Test func movement() {
        func reading(_ device: String, _ value: UInt64) -> DriverLimits.Reading {
            DriverLimits.Reading(device: device, counter: "conntrack_allowance_exceeded", value: value)
        }
        let before = DriverLimits([reading("eth0", 5), reading("eth1", 7), reading("eth2", 9)])
        let after = DriverLimits([reading("eth0", 8), reading("eth1", 7), reading("eth2", 0), reading("eth3", 4)])
        let moved = after.moved(since: before)
        #expect(moved.map(\.device) == ["eth0"])
        #expect(moved.map(\.moved) == [3])
    }

    /// No device of this machine is Amazon's; what is asked of each ends well.
    @Test func devicesWithoutSuchACounter() {
        #expect(DriverLimits.read().readings.allSatisfy { $0.counter == "conntrack_allowance_exceeded" })
    }
}
