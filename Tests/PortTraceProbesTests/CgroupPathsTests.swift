import Testing

@testable import PortTraceProbes

struct CgroupPathsTests {
    @Test(
        arguments: [
            ([], "/"),
            (["system.slice"], "/system.slice"),
            (
                ["cri-containerd-1.scope", "pod.slice", "kubepods.slice"],
                "/kubepods.slice/pod.slice/cri-containerd-1.scope"
            ),
        ] as [([String], String)])
    func namesFromTheKernel(names: [String], path: String) {
        let text = names.map { "\($0)\0" }.joined() + "\0left over from before\0"
        #expect(CgroupPaths.path(of: Array(text.utf8)) == Array(path.utf8))
    }
}
