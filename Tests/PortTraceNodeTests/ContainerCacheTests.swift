import PortTraceCore
import Testing

@testable import PortTraceNode

struct ContainerCacheTests {
    private let minute: Int64 = 60_000_000_000

    private func id(_ number: Int) throws -> ContainerID { try #require(ContainerID(Array(containerID(number).utf8))) }

    private func record(_ number: Int, pod: String, uid: String, source: ContainerRecord.Source = .containerd)
        -> ContainerRecord
    {
        var record = ContainerRecord(id: Array(containerID(number).utf8), runtime: .containerd, source: source)
        (record.namespace, record.pod, record.podUID) = (Array("shop".utf8), Array(pod.utf8), Array(uid.utf8))
        record.container = Array("app".utf8)
        record.image = Array("nginx".utf8)
        record.name = Array("n".utf8)
        record.netnsPath = Array("/run/netns/x".utf8)
        record.isSandbox = number % 2 == 0
        return record
    }

    @Test func givesBackWhatItTakes() throws {
        var cache = ContainerCache()
        for number in 0..<4 { cache.insert(try id(number), record(number, pod: "p\(number)", uid: "u"), now: 0) }
        for number in 0..<4 { #expect(cache.record(try id(number)) == record(number, pod: "p\(number)", uid: "u")) }
        let bare = ContainerRecord(id: Array(containerID(9).utf8), runtime: nil, source: .logs)
        cache.insert(try id(9), bare, now: 0)
        #expect(cache.record(try id(9)) == bare)
        #expect(cache.record(try id(5)) == nil)
    }

    @Test func keepsTheGoneForTenMinutes() throws {
        var cache = ContainerCache()
        cache.insert(try id(1), record(1, pod: "p", uid: "u"), now: 0)
        cache.insert(try id(2), record(2, pod: "p", uid: "u"), now: 0)
        cache.noteGone(try id(1), now: minute)
        cache.expire(now: 10 * minute)
        #expect(cache.record(try id(1)) != nil)
        cache.expire(now: 11 * minute)
        #expect(cache.record(try id(1)) == nil)
        #expect(cache.record(try id(2)) != nil)
        #expect(cache.pod(Array("u".utf8)) != nil)
        cache.noteGone(try id(2), now: 12 * minute)
        cache.expire(now: 21 * minute)
        #expect(cache.pod(Array("u".utf8)) != nil)
        cache.expire(now: 22 * minute)
        #expect(cache.pod(Array("u".utf8)) == nil)
        #expect(cache.entryCount == 0)
        #expect(cache.byteCount == 0)
    }

    @Test func comesBack() throws {
        var cache = ContainerCache()
        cache.insert(try id(1), record(1, pod: "p", uid: "u"), now: 0)
        cache.noteGone(try id(1), now: 0)
        cache.insert(try id(1), record(1, pod: "q", uid: "u"), now: minute)
        cache.expire(now: 30 * minute)
        #expect(cache.record(try id(1))?.pod == Array("q".utf8))
        #expect(cache.pod(Array("u".utf8))?.pod == Array("q".utf8))
    }

    @Test func anothersUIDTakesNothingFromAPodThatIsThere() throws {
        var cache = ContainerCache()
        let uid = Array("u".utf8)
        cache.insert(try #require(PodLogName(Array("shop_logged_u".utf8))), now: 0)
        cache.insert(try id(1), record(1, pod: "p", uid: "u"), now: 0)
        #expect(cache.pod(uid)?.pod == Array("p".utf8))
        cache.insert(try id(2), record(2, pod: "forged", uid: "u"), now: 0)
        cache.insert(try #require(PodLogName(Array("shop_forged_u".utf8))), now: 0)
        #expect(cache.pod(uid)?.pod == Array("p".utf8))
    }

    @Test func logsKeepAPod() throws {
        var cache = ContainerCache()
        let logs = try #require(PodLogName(Array("shop_p_u".utf8)))
        cache.insert(logs, now: 0)
        cache.insert(try id(1), record(1, pod: "p", uid: "u"), now: 0)
        cache.noteGone(try id(1), now: 0)
        cache.expire(now: 30 * minute)
        #expect(cache.pod(Array("u".utf8)) != nil)
        cache.noteGone(logs, now: 30 * minute)
        cache.expire(now: 40 * minute)
        #expect(cache.pod(Array("u".utf8)) == nil)
    }

    @Test func whatAPassHasNotSeenIsGone() throws {
        var cache = ContainerCache()
        cache.beginPass()
        for number in 1...2 { cache.insert(try id(number), record(number, pod: "p", uid: "u\(number)"), now: 0) }
        cache.endPass(now: 0)
        cache.beginPass()
        cache.insert(try id(2), record(2, pod: "p", uid: "u2"), now: minute)
        cache.endPass(now: minute)
        #expect(!cache.isPresent(try id(1)))
        #expect(cache.isPresent(try id(2)))
        #expect(cache.record(try id(1)) != nil)
    }

    /// The gone leave first.
    @Test func isBounded() throws {
        var cache = ContainerCache()
        let image = [UInt8](repeating: UInt8(ascii: "i"), count: 512)
        for number in 0..<20_000 {
            var record = record(number, pod: "p\(number)", uid: "u\(number)")
            record.image = image
            cache.insert(try id(number), record, now: Int64(number))
            if number >= 100, number % 2 == 0 { cache.noteGone(try id(number), now: Int64(number)) }
        }
        #expect(cache.entryCount <= ContainerCache.mostEntries)
        #expect(cache.byteCount <= ContainerCache.mostBytes)
        #expect(cache.isPresent(try id(19_999)))
        #expect(cache.entryCount > 4_000)
    }
}
