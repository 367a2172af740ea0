import Testing

@testable import PortTraceCore

@Suite struct OwnerCacheTests {
    private func json(_ entry: OwnerCache.Entry) -> String { String(decoding: entry.json, as: UTF8.self) }

    private func makeCache(
        _ paths: Paths, _ owners: Owners = Owners(), filter: Filter = Filter(), forTerminal: Bool = false
    ) -> OwnerCache {
        OwnerCache(
            paths: paths, owners: owners, addresses: NamedAddresses(), filter: filter, forTerminal: forTerminal)
    }

    @Test func asksOnce() {
        let paths = Paths([5: "/a\"b"])
        var cache = makeCache(paths)
        for _ in 0..<3 {
            #expect(json(cache.entry(for: OwnerKey(cgroupID: 5))) == #","cgroup":{"id":5,"path":"/a\"b"}"#)
        }
        #expect(json(cache.entry(for: OwnerKey(cgroupID: 0))) == "")
        #expect(paths.asked == 1)
    }

    @Test func asksAgainOnceAnIntervalForWhatIsNotKnown() {
        let paths = Paths([6: "/other"])
        var cache = makeCache(paths)
        for _ in 0..<5 {
            #expect(json(cache.entry(for: OwnerKey(cgroupID: 5))) == #","cgroup":{"id":5}"#)
            _ = cache.entry(for: OwnerKey(cgroupID: 6))
        }
        #expect(paths.asked == 2)
        cache.endInterval()
        for _ in 0..<5 { _ = cache.entry(for: OwnerKey(cgroupID: 5)) }
        #expect(paths.asked == 3)
        cache.endInterval()
        paths.paths[5] = Array("/late".utf8)
        for _ in 0..<5 {
            #expect(json(cache.entry(for: OwnerKey(cgroupID: 5))) == #","cgroup":{"id":5,"path":"/late"}"#)
        }
        #expect(paths.asked == 4)
    }

    @Test func verdictIsOfThePath() throws {
        var filter = Filter()
        try filter.addCgroups(parsing: "/a".utf8)
        let paths = Paths([1: "/a/b", 2: "/b"])
        var cache = makeCache(paths, filter: filter, forTerminal: true)
        #expect(cache.entry(for: OwnerKey(cgroupID: 1)).verdict == .pass)
        #expect(cache.entry(for: OwnerKey(cgroupID: 2)).verdict == .reject)
        #expect(cache.entry(for: OwnerKey(cgroupID: 3)).verdict == .undecided)
        #expect(cache.entry(for: OwnerKey(cgroupID: 0)).verdict == .undecided)
        paths.paths[3] = Array("/a".utf8)
        cache.endInterval()
        #expect(cache.entry(for: OwnerKey(cgroupID: 3)).verdict == .pass)
    }

    /// More cgroups than are kept, long and hostile paths: always the right one.
    @Test func isBounded() {
        let ids = UInt64(1)...6_000
        let long = String(repeating: "\u{1}", count: 1_000)
        let paths = Paths(Dictionary(uniqueKeysWithValues: ids.map { ($0, $0 % 3 == 0 ? "/\(long)\($0)" : "/g\($0)") }))
        var cache = makeCache(paths)
        var random = SplitMix(seed: 1)
        for id in Array(ids) + (0..<6_000).map({ _ in UInt64.random(in: ids, using: &random) }) {
            let tail = id % 3 == 0 ? "\\u0001\(id)\"}" : "\"/g\(id)\"}"
            #expect(json(cache.entry(for: OwnerKey(cgroupID: id))).hasSuffix(tail))
            #expect(json(cache.entry(for: OwnerKey(cgroupID: id))).hasPrefix(",\"cgroup\":{\"id\":\(id),"))
        }
        #expect(cache.entryCount <= 4_096)
        #expect(cache.byteCount <= 2 << 20)
    }
}
