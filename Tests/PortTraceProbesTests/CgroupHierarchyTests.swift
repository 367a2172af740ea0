import Testing

@testable import PortTraceProbes

@Suite struct CgroupHierarchyTests {
    @Test(arguments: [
        ("memory\t4\t19\t1", CgroupHierarchy.memory), ("pids\t8\t3\t1", .pids), ("cpu\t1\t1\t1", .cpu),
        ("memory\t0\t19\t1", nil), ("memory\t4\t19\t0", nil), ("cpuset\t3\t1\t1", nil),
        ("#subsys_name\thierarchy\tnum_cgroups\tenabled", nil), ("", nil), ("memory\t4", nil),
    ])
    func lines(_ line: String, _ controller: CgroupHierarchy?) {
        #expect(CgroupHierarchy.controller(line: line) == controller)
    }
}
