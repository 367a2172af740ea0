import Testing

@testable import PortTraceNode

struct NamespaceMountsTests {
    @Test(
        arguments: [
            ("412 28 0:4 net:[4026532345] /run/netns/blue rw shared:214 - nsfs nsfs rw\n", "/run/netns/blue"),
            ("412 28 0:4 net:[4026532345] /run/netns/a\\040b\\134c rw - nsfs nsfs rw", "/run/netns/a b\\c"),
            ("412 28 0:4 net:[402653234] /run/netns/other rw - nsfs nsfs rw", nil),
            ("412 28 0:4 mnt:[4026532345] /run/mnt/x rw - nsfs nsfs rw", nil),
            ("29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw", nil),
            ("412 28 0:4 net:[4026532345] /run/netns/blue", nil),
            ("", nil),
        ] as [(String, String?)])
    func mountPoint(line: String, point: String?) {
        #expect(NamespaceMounts.point(inode: 4_026_532_345, line: Array(line.utf8)) == point)
    }
}
