import Testing

@testable import PortTraceProbes

struct CgroupPathsTests {
    @Test(arguments: [
        ([], "/"),
        (["system.slice"], "/system.slice"),
        (["cri-containerd-1.scope", "pod.slice", "kubepods.slice"], "/kubepods.slice/pod.slice/cri-containerd-1.scope"),
    ])
    func namesFromTheKernel(names: [String], path: String) {
        var bytes = names.flatMap { Array($0.utf8) + [0] } + [0]
        bytes += Array("left over from before\0".utf8)
        #expect(CgroupPaths.path(of: bytes) == Array(path.utf8))
    }
}
