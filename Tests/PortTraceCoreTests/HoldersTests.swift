import CPortTraceWire
import Testing

@testable import PortTraceCore

/// Who holds what a failure wanted, in the stream's lines.
@Suite struct HoldersTests {
    private let paths = Paths([1234: "/checkout/worker", 7: "/hog"])

    /// What ``pt_sample/example`` wanted.
    private let ports = Resource(
        .ports, in: NamespaceIdentity(inode: 4_026_531_840, mix: 0), proto: 6, source: IPAddress(ipv4: 0x0a00_0005),
        destination: Endpoint(address: IPAddress(ipv4: 0x0a00_0009), port: 8080))

    private func census(_ holders: [Holder], used: UInt64 = 234) -> Census {
        let census = Census()
        census.occupancies = [Occupancy(ports, used: used, limit: 234, holders: holders)]
        return census
    }

    @Test func ndjson() {
        let evil = HoldingProcess(pid: 5, comm: Comm("a\"\u{1b}".utf8))
        let census = census([
            Holder(HolderOwner(cgroupID: 7), count: 200),
            Holder(HolderOwner(cgroupID: 1234, process: evil), count: 30, isInferred: true),
        ])
        let test = TestStream(.ndjson, paths: paths, census: census)
        test.sample(.example)
        #expect(
            test.take().contains(
                #""detail":{"port_range":[32768,33001],"holders":[{"cgroup":{"id":7,"path":"/hog"},"count":200,"#
                    + #""share":0.8547},{"cgroup":{"id":1234,"path":"/checkout/worker"},"proc":{"pid":5,"comm":"a\"\u001b"},"#
                    + #""count":30,"share":0.1282,"inferred":true},{"unknown":true,"count":4,"share":0.0171}]}}"#))
    }

    @Test func onlyTheFiveLargest() {
        let paths = Paths(Dictionary(uniqueKeysWithValues: (1...7).map { (UInt64($0), "/c\($0)") }))
        let holders = (1...7).map { Holder(HolderOwner(cgroupID: UInt64($0)), count: 30) }
        let test = TestStream(.ndjson, paths: paths, census: census(holders))
        test.sample(.example)
        let line = test.take()
        #expect(line.contains("/c5") && !line.contains("/c6"))
        #expect(line.contains(#"{"unknown":true,"count":84,"#))
    }

    /// The host's own namespace names nobody: a person reads `host`, a program `unknown`.
    @Test func theHostItself() {
        let paths = Paths(Dictionary(uniqueKeysWithValues: (1...7).map { (UInt64($0), "/c\($0)") }))
        let holders = [Holder(.host, count: 100)] + (1...7).map { Holder(HolderOwner(cgroupID: UInt64($0)), count: 10) }
        let text = TestStream(.text, paths: paths, census: census(holders, used: 200))
        text.sample(.example)
        #expect(text.take().hasSuffix("; 50 % held by host\n"))
        let ndjson = TestStream(.ndjson, paths: paths, census: census(holders, used: 200))
        ndjson.sample(.example)
        let line = ndjson.take()
        #expect(line.contains("/c5") && !line.contains("/c6"))
        #expect(line.contains(#"{"unknown":true,"count":150,"share":0.75}"#))
        #expect(!line.contains("host"))
    }

    /// A holder has no runtime in the contract.
    @Test func namesWithoutTheRuntime() {
        let id = String(repeating: "a", count: 64)
        let paths = Paths([7: "/kubepods/burstable/pod5fc73663-2a9a-5e53-9230-4c2eaf1e8625/\(id)"])
        let test = TestStream(.ndjson, paths: paths, census: census([Holder(HolderOwner(cgroupID: 7), count: 234)]))
        test.sample(.example)
        let line = test.take()
        #expect(line.contains(#""k8s":{"pod_uid":"5fc73663-2a9a-5e53-9230-4c2eaf1e8625"},"count":234,"share":1}]"#))
        #expect(!line.contains("runtime"))
    }

    @Test func text() {
        let test = TestStream(.text, paths: paths, census: census([Holder(HolderOwner(cgroupID: 7), count: 166)]))
        test.sample(.example)
        #expect(test.take().hasSuffix("range 32768-33001 EADDRNOTAVAIL; 70 % held by /hog\n"))
    }

    /// In text alone: the contract has no age.
    @Test(arguments: [(5_000_000_000, ""), (5_000_000_001, " as of 5 s ago"), (130_000_000_000, " as of 2 min ago")])
    func howOldTheyAre(_ nanoseconds: UInt64, _ words: String) {
        let census = census([Holder(HolderOwner(cgroupID: 7), count: 166)])
        census.occupancies[0].time = 1
        var sample = pt_sample.example
        sample.time_ns = 1 + nanoseconds
        let text = TestStream(.text, paths: paths, census: census)
        text.sample(sample)
        #expect(text.take().hasSuffix("; 70 % held by /hog\(words)\n"))
        let ndjson = TestStream(.ndjson, paths: paths, census: census)
        ndjson.sample(sample)
        #expect(!ndjson.take().contains("ago"))
    }

    @Test func askedOnceAResourceAndSecond() {
        let census = census([Holder(HolderOwner(cgroupID: 7), count: 1)])
        let test = TestStream(.ndjson, paths: paths, census: census)
        var sample = pt_sample.example
        for _ in 0..<100 { test.sample(sample) }
        #expect(census.asked == 1)
        sample.key.setDestination([10, 0, 0, 9], port: 8081)
        test.sample(sample)
        #expect(census.asked == 2)
        sample.time_ns += 1_000_000_000
        test.sample(sample)
        #expect(census.asked == 3)
    }

    @Test func othersHaveNone() {
        let census = census([Holder(HolderOwner(cgroupID: 7), count: 1)])
        let test = TestStream(.ndjson, paths: paths, census: census)
        var conflict = pt_sample.example
        conflict.key.kind = UInt8(PT_KIND_CONNECT_CONFLICT.rawValue)
        conflict.key.cause = UInt8(PT_CAUSE_TUPLE_TAKEN.rawValue)
        test.sample(conflict)
        #expect(census.asked == 0)
        #expect(!test.take().contains("holders"))
    }
}
