import Testing

@testable import PortTraceCore

/// What a verdict says beside its findings, and of too many of them.
@Suite struct CheckOutsideTests {
    typealias Node = StagedNode

    /// Each limit that others have, and what a container cannot see.
    @Test func outsideTheNode() {
        let cloud = Node().with {
            $0.sample.facts.driverLimits = [("eth0", "conntrack_allowance_exceeded", 12)]
        }
        #expect(cloud.diagnosis.status == .healthy)
        #expect(cloud.diagnosis.notVisible.contains { $0.contains("eth0: conntrack_allowance_exceeded +12") })
        #expect(cloud.diagnosis.notVisible.contains { $0.contains("NAT gateway") })
        let contained = Node().with { $0.sample.facts.isInContainer = true }
        #expect(contained.diagnosis.notVisible.contains { $0.contains("outside of this container") })
        let other = CheckVerdictTests.cilium.diagnosis
        #expect(other.notVisible.contains { $0.contains("how full cilium's own tables of connections are") })
        #expect(Node().diagnosis.notVisible.isEmpty)
    }

    /// Ten thousand resources near their limit: the fullest are shown, and it is said that there are more. A table that is
    /// less full than any of them is shown too.
    @Test func manyFindingsAreCut() {
        let node = Node.tableFilling.with {
            for port in UInt16(1)...10_000 {
                var resource = Node.ports
                resource.destination?.port = port
                $0.use(resource, 860 + UInt64(port % 140), of: 1_000)
            }
        }
        let diagnosis = node.diagnosis
        let problems = diagnosis.findings.map(\.problem)
        #expect(problems.count { $0 == .portExhaustion } == NodeDiagnosis.mostFindings)
        #expect(problems.last == .conntrackFull && problems.count == NodeDiagnosis.mostFindings + 1)
        #expect(diagnosis.findings.first?.occupancy.used == 999)
        #expect(diagnosis.notVisible.contains { $0.hasPrefix("9,980 more findings") })
    }
}
