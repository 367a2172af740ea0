import Testing

@testable import PortTraceCore

@Suite struct PressureEventTests {
    private let ports = Occupancy(
        .ports(to: 8080), used: 190, limit: 234,
        holders: [
            Holder(
                HolderOwner(cgroupID: 1234, process: HoldingProcess(pid: 4711, comm: Comm("nginx".utf8))), count: 133),
            Holder(HolderOwner(cgroupID: 99), count: 19, isInferred: true),
        ])

    private func crossing(
        _ threshold: PressureThreshold = .high, _ direction: PressureCrossing.Direction = .up, eta: UInt64? = nil,
        _ occupancy: Occupancy? = nil
    ) -> PressureCrossing {
        PressureCrossing(threshold: threshold, direction: direction, eta: eta, occupancy: occupancy ?? ports)
    }

    @Test func ndjson() {
        let test = TestStream(.ndjson)
        test.stream.pressure(crossing(eta: 35_900_000_000), at: 1_000_000_000)
        test.stream.pressure(
            crossing(.high, .down, Occupancy(.ports(to: 8080), used: 0, limit: 234, holders: [])), at: 2_000_000_000)
        let resource =
            #"{"kind":"ports","netns_id":4026531840,"proto":"tcp","src":{"addr":"10.0.0.5"},"#
            + #""dst":{"addr":"10.0.0.9","port":8080},"used":"#
        #expect(
            test.takeLines() == [
                #"{"schema":1,"timestamp":"2026-11-21T14:03:07.000000000Z","node":"node-1","type":"pressure","#
                    + #""detail":{"resource":"# + resource
                    + #"190,"limit":234},"threshold":0.8,"direction":"up","eta_s":35.9,"holders":["#
                    + #"{"cgroup":{"id":1234,"path":"/checkout/worker"},"proc":{"pid":4711,"comm":"nginx"},"#
                    + #""count":133,"share":0.7},{"cgroup":{"id":99},"count":19,"share":0.1,"inferred":true},"#
                    + #"{"unknown":true,"count":38,"share":0.2}]}}"#,
                #"{"schema":1,"timestamp":"2026-11-21T14:03:08.000000000Z","node":"node-1","type":"pressure","#
                    + #""detail":{"resource":"# + resource
                    + #"0,"limit":234},"threshold":0.8,"direction":"down","holders":[]}}"#,
            ])
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: 0)
        #expect(test.take().contains(#""totals":{},"exact":true"#))
    }

    @Test func text() {
        let test = TestStream(.text)
        test.stream.pressure(crossing(.critical, eta: 130_000_000_000), at: 1_000_000_000)
        test.stream.pressure(
            crossing(.high, .up, Occupancy(.table, used: 250, limit: 300, holders: [])), at: 1_000_000_000)
        var old = ports
        old.time = 2_000_000_000
        test.stream.pressure(crossing(.high, .up, old), at: 42_000_000_000)
        test.stream.pressure(crossing(.critical, .down), at: 2_000_000_000)
        #expect(
            test.takeLines() == [
                "14:03:07.000  pressure             81%  nginx[4711] /checkout/worker  10.0.0.5        → 10.0.0.9:8080"
                    + "        tcp ports: 190 of 234 used, above 95 %, full in 2 min",
                "14:03:07.000  pressure             83%  -                             -                 "
                    + "                     conntrack table: 250 of 300 used, above 80 %",
                "14:03:48.000  pressure             81%  nginx[4711] /checkout/worker  10.0.0.5        → 10.0.0.9:8080"
                    + "        tcp ports: 190 of 234 used, above 80 %; held as of 40 s ago",
                "14:03:08.000  pressure             81%  nginx[4711] /checkout/worker  10.0.0.5        → 10.0.0.9:8080"
                    + "        tcp ports: 190 of 234 used, below 95 % again",
            ])
    }

    @Test func anIntervalHasRoomForAFew() {
        let test = TestStream(.text)
        for port in 1...500 {
            test.stream.pressure(
                crossing(.high, .up, Occupancy(.ports(to: UInt16(port)), used: 9, limit: 10, holders: [])), at: 1)
        }
        test.stream.endFlush(generation: 1)
        let lines = test.takeLines()
        #expect(lines.count == 11)
        #expect(lines.last == "              pressure            +490  more crossings of 80 % or 95 %")
        test.stream.endFlush(generation: 2)
        #expect(test.takeLines() == [])
    }

    /// Which options let the crossing of ports pass that nginx holds most of: its sign for `pass`, `reject`, `undecided`.
    @Test(arguments: [
        ("", "+"), ("kind pressure", "+"), ("kind connect_exhausted", "-"), ("comm nginx", "+"), ("pid 4711", "+"),
        ("cgroup /checkout", "+"), ("dest :8080", "+"), ("dest 10.0.0.10", "-"),
        // Part of it is nobody's, as far as is known, and may be theirs.
        ("cgroup /other", "?"), ("pod checkout-*", "?"), ("namespace shop", "?"), ("dest 10.0.0.10 pod x", "-"),
    ])
    func filters(_ options: String, _ verdict: String) throws {
        let filter = try Filter(options)
        let test = TestStream(.ndjson, filter: filter)
        test.stream.pressure(crossing(), at: 1)
        // By now nobody holds anything: it passes as the one before has.
        test.stream.pressure(
            crossing(.high, .down, Occupancy(.ports(to: 8080), used: 0, limit: 234, holders: [])), at: 2)
        #expect(test.takeLines().count == (verdict == "+" ? 2 : 0))
        #expect(test.stream.undecided == (verdict == "?" ? 1 : 0))
        #expect(test.stream.passed == 0)
        test.stream.finish(SessionFacts(hooks: [], attachedTypes: []), at: 0)
        #expect(test.take().contains(#""undecided":{"pressure":1}"#) == (verdict == "?"))
    }

    /// What a pod's own network namespace holds is the pod's, whoever is known to hold it.
    @Test(arguments: [("namespace shop", "+"), ("namespace other", "?"), ("namespace shop pid 4711", "?")])
    func theNamespaceIsAPods(_ options: String, _ verdict: String) throws {
        let owners = Owners()
        owners.namespaces[Resource.table.namespace] = OwnerNames(
            PodNames(namespace: Array("shop".utf8), pod: Array("checkout-1".utf8)), uid: [])
        let test = TestStream(.ndjson, filter: try Filter(options), owners: owners)
        test.stream.pressure(crossing(.high, .up, Occupancy(.table, used: 9, limit: 10, holders: [])), at: 1)
        #expect(test.takeLines().count == (verdict == "+" ? 1 : 0))
        #expect(test.stream.undecided == (verdict == "?" ? 1 : 0))
    }

    @Test func whatHasNoDestinationIsNotDecided() throws {
        var filter = Filter()
        try filter.addDestinations(parsing: ":53".utf8)
        let test = TestStream(.ndjson, filter: filter)
        test.stream.pressure(crossing(.high, .up, Occupancy(.table, used: 9, limit: 10, holders: [])), at: 1)
        #expect(test.takeLines() == [])
        #expect(test.stream.undecided == 1)
    }

    @Test func whatHasNotComeUpDoesNotComeDown() {
        let test = TestStream(.ndjson)
        test.stream.pressure(crossing(.high, .down), at: 1)
        #expect(test.takeLines() == [])
    }
}
