import Testing

@testable import PortTraceProbes

struct OnlineCPUsTests {
    @Test(
        arguments: [
            ("0\n", [0]), ("0-3\n", [0, 1, 2, 3]), ("0-1,4,6-7\n", [0, 1, 4, 6, 7]),
        ] as [(String, [UInt32])])
    func list(_ text: String, _ cpus: [UInt32]) {
        #expect(OnlineCPUs.list(parsing: text) == cpus)
    }

    @Test(arguments: ["", "\n", "a", "3-1", "1-2-3", "-1", "0-99999999", "4294967296"])
    func noList(_ text: String) {
        #expect(OnlineCPUs.list(parsing: text) == nil)
    }
}
