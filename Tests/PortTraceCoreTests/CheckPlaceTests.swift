import Testing

@testable import PortTraceCore

/// Where a setting acts, and how it stays.
@Suite struct CheckPlaceTests {
    typealias Node = StagedNode

    private func fixes(_ node: StagedNode) -> [Fix] { node.diagnosis.findings.first?.fixes ?? [] }

    @Test func persistence() {
        func persist(_ node: StagedNode, _ index: Int = 0) -> String? { fixes(node).dropFirst(index).first?.persist }
        #expect(
            persist(Node.portsExhausted)
                == #"the pod's securityContext.sysctls: [{name: net.ipv4.ip_local_port_range, value: "32768 65535"}] "#
                + "(a safe sysctl)")
        #expect(
            persist(CheckFixTests.wholeRange)?.contains("--allowed-unsafe-sysctls=net.ipv4.tcp_tw_reuse") == true)
        #expect(
            persist(CheckFixTests.onHost)
                == "/etc/sysctl.d/90-ports.conf: net.ipv4.ip_local_reserved_ports = 30000-32767, "
                + "net.ipv4.ip_local_port_range = 10000 65535")
        let table = Node.tableFull.with { $0.sample.facts.conntrackBuckets = 1_024 }
        let files = persist(table)
        for part in [
            "sysctl.d/90-conntrack.conf: net.netfilter.nf_conntrack_max = 262144", "modules-load.d",
            "modprobe.d/conntrack.conf: options nf_conntrack hashsize=262144",
        ] {
            #expect(files?.contains(part) == true)
        }
        let proxied = table.with { $0.sample.facts.hasKubeProxy = true }
        #expect(persist(proxied)?.hasPrefix("kube-proxy's --conntrack-min=262144") == true)
        #expect(persist(proxied)?.contains("sysctl.d/") == false)
        #expect(persist(proxied)?.contains("modprobe.d/conntrack.conf: options nf_conntrack hashsize=262144") == true)
        let timeout = persist(Node.tableFull, 1)
        #expect(timeout?.contains("sysctl.d/90-conntrack.conf: net.netfilter.nf_conntrack_tcp_timeout") == true)
        #expect(timeout?.contains("modules-load.d/conntrack.conf: nf_conntrack") == true)
    }

    /// What a pod's specification, a container's options and a unit have in common is that each has its own.
    @Test func aNamespaceIsKeptByWhoMakesIt() {
        let id = String(repeating: "ab", count: 32)
        func persist(_ path: String?) -> String? {
            fixes(
                Node.portsExhausted.with {
                    $0.sample.facts.keepers = path.map { [Node.pod.inode: CgroupOwner(path: Array($0.utf8))] } ?? [:]
                })[0].persist
        }
        let pod = "/kubepods.slice/kubepods-pod00000000_0000_0000_0000_000000000007.slice/cri-containerd-\(id).scope"
        #expect(persist(pod)?.hasPrefix("the pod's securityContext.sysctls: [") == true)
        let option = #"--sysctl net.ipv4.ip_local_port_range="32768 65535""#
        #expect(persist("/system.slice/docker-\(id).scope") == "docker run \(option); of compose: sysctls")
        #expect(persist("/machine.slice/libpod-\(id).scope")?.hasPrefix("podman run \(option)") == true)
        #expect(persist("/system.slice/nerdctl-\(id).scope")?.hasPrefix("linux.sysctl in the container's own") == true)
        #expect(persist("/system.slice/app.service")?.contains("pod") == false)
        #expect(persist(nil)?.hasPrefix("if it is a pod's: ") == true)
    }

    @Test func aNamespaceWithoutAProcessHasNoCommandAndSaysSo() {
        let fix = fixes(Node.portsExhausted.with { $0.sample.facts.processes = [:] })[0]
        #expect(fix.command == nil)
        #expect(fix.why.contains("(no command can be given: the host's process ids are not seen from here)"))
        let empty = fixes(Node.portsExhausted.with { $0.sample.facts.processes = [Node.host.inode: 1] })[0]
        #expect(empty.command == nil)
        #expect(empty.why.contains("(no command can be given: no process is in it)"))
    }
}
