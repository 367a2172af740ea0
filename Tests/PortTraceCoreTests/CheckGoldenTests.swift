import Foundation
import Testing

@testable import PortTraceCore

/// Verdicts, byte for byte.
@Suite struct CheckGoldenTests {
    typealias Node = StagedNode

    private static let hostile = Comm("$(reboot)\u{1b}[2J".utf8)

    /// The hog is in a container that has names; the victim's cgroup is known by its path alone.
    private func report(_ node: StagedNode, _ format: CheckReport.Format) -> String {
        let id = String(repeating: "ab", count: 32)
        let paths = Paths([1: "/kubepods.slice/cri-containerd-\(id).scope", 2: "/evil\u{1b}]0;\"\\"])
        let owners = Owners()
        var names = OwnerNames()
        names.namespace = Array("shop".utf8)
        names.pod = Array("checkout".utf8)
        names.container = Array("web".utf8)
        names.containerID = Array(id.utf8)
        owners.containers[Array(id.utf8)] = names
        let report = CheckReport(
            node.sample, format, node: Array("node-1".utf8), time: 1_763_735_587_512_345_678, paths: paths,
            owners: owners)
        return String(decoding: report.bytes, as: UTF8.self)
    }

    private var hostileNode: StagedNode {
        Node.portsExhausted.with {
            $0.sample.failures[0].victims = [
                Holder(
                    HolderOwner(cgroupID: 2, process: HoldingProcess(pid: 99, comm: CheckGoldenTests.hostile)),
                    count: 20, isInferred: true)
            ]
            $0.sample.notVisible = [NotVisible(.other, "bind failures", why: "no \"kprobes\"\u{1b}")]
        }
    }

    @Test func textOfExhaustedPorts() {
        #expect(report(hostileNode, .text) == CheckGoldenTests.ports)
    }

    @Test func textOfAFullTable() {
        #expect(report(Node.tableFull, .text) == CheckGoldenTests.table)
    }

    @Test func textOfHealth() {
        let unused = Node().with {
            $0.sample.tables = []
            $0.sample.tablesBefore = []
            $0.sample.isConntrackIdle = true
        }
        let health = "the fullest port range is used by 0%"
        #expect(
            report(Node(), .text) == "HEALTHY: \(health), the fullest conntrack table by 0% (1,000 of 262,144)\n")
        #expect(report(unused, .text) == "conntrack not in use here\nHEALTHY: \(health)\n")
    }

    @Test func json() {
        #expect(report(hostileNode, .json) == CheckGoldenTests.document)
        #expect(
            report(Node(), .json)
                == #"{"schema":1,"timestamp":"2025-11-21T14:33:07.512345678Z","node":"node-1","status":"healthy","#
                + "\"findings\":[],\"not_visible\":[]}\n")
    }

    /// One document, whatever the node and the names; holders sum up to what is used.
    @Test func jsonIsValid() throws {
        for (name, node) in Node.inTrouble {
            let object = try LineSums.object(report(node, .json))
            let findings = try #require(object["findings"] as? [[String: Any]], "\(name)")
            #expect(!findings.isEmpty)
            for finding in findings {
                let resource = try #require(finding["resource"] as? [String: Any])
                let culprits = try #require(finding["culprits"] as? [[String: Any]])
                let sum = culprits.reduce(0) { $0 + (($1["count"] as? NSNumber)?.uint64Value ?? 0) }
                let ofFailures: [String: UInt64] = ["DNS": 40, "NAT race": 40, "tuple": 0]
                let whole = ofFailures[name] ?? (resource["used"] as? NSNumber)?.uint64Value
                #expect(sum == whole, "\(name)")
                for key in ["problem", "severity", "victims", "evidence", "fixes"] { #expect(finding[key] != nil) }
            }
        }
    }

    /// One finding is one screen of 80 by 24, its culprit and its victim in the first rows, and nothing acts on the terminal.
    @Test func oneFindingIsOneScreen() {
        for (name, node) in Node.inTrouble where node.diagnosis.findings.count == 1 {
            let text = report(node, .text)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            let rows = lines.reduce(0) { $0 + max(($1.unicodeScalars.count + 79) / 80, 1) }
            #expect(rows <= 24, "\(name): \(rows)\n\(text)")
            #expect(name == "TIME_WAIT" || lines[1].hasPrefix("culprit: "), "\(name)")
            #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || !isHazardous($0.value) })
        }
    }

    /// Several findings are one long screen: the worst in full, of each other one what is short, who has it, and its first fix.
    @Test func severalFindingsAreOneLongScreen() {
        let crowd = Node.several.with {
            for port in UInt16(1)...30 {
                var resource = Node.ports
                resource.destination?.port = port
                $0.use(resource, 27_000, of: 28_232, timeWait: 0)
            }
            $0.sample.notVisible = (1...9).map { NotVisible(.other, "thing \($0)", why: "no kprobes") }
        }
        for node in [Node.several, crowd] {
            let text = report(node, .text)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            let rows = lines.reduce(0) { $0 + max(($1.unicodeScalars.count + 79) / 80, 1) }
            #expect(rows <= 40, "\(text)")
            let count = node.diagnosis.findings.count
            let shown = lines.count { $0.hasPrefix("warning: ") || $0.hasPrefix("failing: ") } + 1
            #expect(lines.count { $0.hasPrefix("culprit: ") } == shown)
            #expect(lines.count { $0.hasPrefix("  keep: ") } == 1)
            #expect(shown >= min(count, 3))
            let last = text[(text.range(of: "left out: ")?.lowerBound ?? text.endIndex)...]
            #expect(shown == count || last.contains("\(count - shown) finding"), "\(text)")
        }
        let text = report(Node.several, .text)
        #expect(text.contains("\n\nfailing: the conntrack table is full"))
        #expect(text.contains("\n    sysctl -w net.netfilter.nf_conntrack_max="))
    }

    /// What finds no room on the screen is counted; what a verdict rests on, and one note, come before the rest.
    @Test func whatIsCutIsSaid() throws {
        let node = Node.tableFull.with {
            $0.sample.notVisible = (1...9).map { NotVisible(.other, "thing \($0)", why: "no kprobes") }
            $0.sample.notVisible.append(NotVisible(.conntrack, "another table", why: "EPERM"))
            $0.sample.counters = (1...UInt32(3)).map { inode in
                var counters = NamespaceCounters(netnsID: inode)
                counters.total.drop = 5
                return counters
            }
        }
        let diagnosis = node.diagnosis
        let text = report(node, .text)
        let lines = text.split(separator: "\n")
        #expect(lines.count <= 24)
        let last = try #require(lines.last)
        #expect(last.hasPrefix("left out: "))
        let shown = lines.count { $0.hasPrefix("- ") }
        let sentences = diagnosis.findings[0].evidence.count - shown
        #expect(sentences == 0 || last.contains("\(sentences) sentence"))
        let fixes = diagnosis.findings[0].fixes.count - lines.count { $0.hasPrefix("now: ") || $0.hasPrefix("later: ") }
        #expect(fixes == 0 || last.contains("\(fixes) fix"), "\(text)")
        let unseen = lines.count { $0.hasPrefix("not visible: ") }
        #expect(last.contains("\(10 - unseen) not visible"), "\(text)")
        if unseen > 0 { #expect(text.contains("not visible: another table (EPERM)")) }
        let notes = diagnosis.remarks.count - lines.count { $0.hasPrefix("note: ") }
        #expect(
            notes == 0 || last.hasSuffix("(porttrace check -o json); \(notes) note\(notes == 1 ? "" : "s")"), "\(text)")
        #expect(lines[0].hasPrefix("FAILING: ") && lines[1].hasPrefix("culprit: ") && text.contains("now: "))
        #expect(!report(Node(), .text).contains("left out"))
    }

    /// A naming that forgot to escape: the text is harmless and the document valid all the same.
    @Test func hostileNaming() throws {
        let diagnosis = NodeDiagnosis(Node.portsExhausted.sample) { _ in "a\u{1b}[31m\n\u{202e}\"b" }
        var text = OutputBuffer()
        CheckText { _ in "a\u{1b}[31m\n\u{202e}\"b" }.append(diagnosis, to: &text)
        let shown = text.withBytes { String(decoding: $0, as: UTF8.self) }
        #expect(shown.contains(#"culprit: a\x1b[31m\n\u202e"b holds 210"#))
        #expect(shown.unicodeScalars.allSatisfy { $0 == "\n" || !isHazardous($0.value) })
    }

    private static let ports = #"""
        FAILING: 10.20.1.2 has no source port left towards 10.20.0.10:8080 (234 of 234 used, 100%)
        culprit: shop/checkout/web nginx[4711] holds 210 (89%)
        refused: $(reboot)\x1b[2J[99] /evil\x1b]0;"\ failed 20 (74%), inferred
        - 27 connects failed with EADDRNOTAVAIL: no free source port; in 5.0 s, 5.4 a
          second.
        - ip_local_port_range there is 32768-33001.
        - Of the 234 in use, 10 are in TIME_WAIT (each for 60 s) and 224 are open.
        - Not conntrack: its table holds 1,000 of 262,144 entries.
        now: Widen ip_local_port_range by 32,534 ports, to 32768-65535 in network
             namespace 4026532345, by way of process 4711, short of listeners and
             Services' ports.
            nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range="32768 65535"
          risk: a program that listens at a port of the wider range may find it in use
          keep: the pod's securityContext.sysctls: [{name: net.ipv4.ip_local_port_range,
                value: "32768 65535"}] (a safe sysctl)
        later: shop/checkout/web nginx[4711]: reuse connections to 10.20.0.10:8080:
               keep-alive, a pool, HTTP/2. Each that is closed keeps its port for 60 s
               more.
        later: Spread the load: each further source address, destination address or
               destination port has a whole range of ports of its own.
        not visible: bind failures (no "kprobes"\x1b)

        """#

    private static let table = #"""
        FAILING: the conntrack table is full (100,000 of 100,000 used, 100%)
        culprit: shop/checkout/web nginx[4711] holds 90,000 (90%)
        refused: worker[99] /evil\x1b]0;"\ failed 500 (100%)
        - 500 packets were dropped: the table is full; in 5.0 s, 100 a second.
        - Filled by connections that stay open: 90,000 entries (90%) are established.
        - 1,000 entries are not assured: only those can be evicted to make room.
        - nf_conntrack_max is small against its hash of 262,144 buckets, which the
          kernel means for as many entries.
        now: Raise nf_conntrack_max to 262,144, in the node's own network namespace: it
             counts for all. A full table takes 86 MB then.
            sysctl -w net.netfilter.nf_conntrack_max=262144
          risk: memory only
          keep: /etc/sysctl.d/90-conntrack.conf: net.netfilter.nf_conntrack_max =
                262144; /etc/modules-load.d/conntrack.conf: nf_conntrack, so that it is
                there when sysctl.d is read
        later: Shorten nf_conntrack_tcp_timeout_established from 432,000 s to 7,200 s in
               the node's own network namespace; each entry takes it with its next
               packet.
        later: shop/checkout/web nginx[4711]: close connections that are not used, and
               send keep-alives on the others: a connection that died unseen keeps its
               entry for the whole timeout.
        left out: 2 sentences (porttrace check -o json)

        """#

    private static let document =
        [
            ##"{"schema":1,"timestamp":"2025-11-21T14:33:07.512345678Z","node":"node-1","status":"failing","##,
            ##""findings":[{"problem":"port_exhaustion","severity":"failing","resource":{"kind":"ports","##,
            ##""netns_id":4026532345,"proto":"tcp","src":{"addr":"10.20.1.2"},"dst":{"addr":"10.20.0.10","##,
            ##""port":8080},"used":234,"limit":234},"culprits":[{"cgroup":{"id":1,"##,
            ##""path":"/kubepods.slice/cri-containerd-ababababababababababababababababababababababababababababa"##,
            ##"bababab.scope"},"k8s":{"namespace":"shop","pod":"checkout","container":"web"},"##,
            ##""proc":{"pid":4711,"comm":"nginx"},"count":210,"share":0.8974},"##,
            ##"{"unknown":true,"count":24,"share":0.1026}],"victims":[{"cgroup":{"id":2,"##,
            ##""path":"/evil\u001b]0;\"\\"},"proc":{"pid":99,"comm":"$(reboot)\u001b[2J"},"count":20,"##,
            ##""share":0.7407,"inferred":true},{"unknown":true,"count":7,"share":0.2593}],"##,
            ##""evidence":["27 connects failed with EADDRNOTAVAIL: no free source port; in 5.0 s,"##,
            ##" 5.4 a second.","ip_local_port_range there is 32768-33001.","Of the 234 in use,"##,
            ##" 10 are in TIME_WAIT (each for 60 s) and 224 are open.","Not conntrack: its table holds 1,"##,
            ##"000 of 262,144 entries."],"fixes":[{"when":"now","why":"Widen ip_local_port_range by 32,"##,
            ##"534 ports, to 32768-65535 in network namespace 4026532345, by way of process 4711,"##,
            ##" short of listeners and Services' ports.","##,
            ##""command":"nsenter -t 4711 -n sysctl -w net.ipv4.ip_local_port_range=\"32768 65535\"","##,
            ##""persist":"the pod's securityContext.sysctls: [{name: net.ipv4.ip_local_port_range,"##,
            ##" value: \"32768 65535\"}] (a safe sysctl)","##,
            ##""risk":"a program that listens at a port of the wider range may find it in use"},"##,
            ##"{"when":"later","why":"shop/checkout/web nginx[4711]: reuse connections to 10.20.0.10:8080: keep"##,
            ##"-alive, a pool, HTTP/2. Each that is closed keeps its port for 60 s more.","##,
            ##""risk":"an idle connection may be cut by what lies between: send keep-alives"},{"when":"later","##,
            ##""why":"Spread the load: each further source address,"##,
            ##" destination address or destination port has a whole range of ports of its own.","##,
            ##""risk":"more addresses to manage"}]}],"not_visible":["bind failures (no \"kprobes\"\u001b)"]}"##,
        ].joined() + "\n"
}
