import CPortTraceWire
import Testing

@testable import PortTraceCore

/// Names of owners and destinations in the lines of a stream.
@Suite struct NamesInLinesTests {
    private static let id = String(repeating: "0123456789abcdef", count: 4)
    private static let uid = "3f0c5d1e-1111-2222-3333-444455556666"
    private let paths = Paths([1234: "/kubepods/burstable/pod\(uid)/\(id)", 5: "/system.slice/nginx.service"])
    private let namespace = NamespaceIdentity(inode: 4_026_532_345, mix: 7)

    private static var names: OwnerNames {
        var record = ContainerRecord(id: Array(id.utf8), runtime: .containerd, source: .containerd)
        record.namespace = Array("shop".utf8)
        record.pod = Array("checkout-1".utf8)
        record.podUID = Array(uid.utf8)
        record.container = Array("app".utf8)
        record.image = Array("registry/app:\"1\"".utf8)
        return OwnerNames(record)
    }

    private static var pod: OwnerNames { pod(named: "checkout-1") }

    private static func pod(named name: String) -> OwnerNames {
        OwnerNames(PodNames(namespace: Array("shop".utf8), pod: Array(name.utf8)), uid: Array(uid.utf8))
    }

    @Test func aContainersNamesAreInEachLineOnceTheyAreKnown() throws {
        let owners = Owners()
        let test = TestStream(.ndjson, paths: paths, owners: owners)
        test.sample(.example)
        test.sample(.example)
        #expect(owners.asked == 1)
        owners.containers[Array(Self.id.utf8)] = Self.names
        owners.version += 1
        test.sample(.example)
        let lines = test.takeLines()
        let whole =
            #""k8s":{"namespace":"shop","pod":"checkout-1","pod_uid":"\#(Self.uid)","container":"app"},"#
            + #""runtime":{"name":"containerd","container_id":"\#(Self.id)","image":"registry/app:\"1\""},"proc""#
        // The kernel's record alone gives the UID and the id.
        #expect(lines[0].contains(#""k8s":{"pod_uid":"\#(Self.uid)"},"runtime":{"container_id":"\#(Self.id)"},"proc""#))
        #expect(lines[0] == lines[1])
        #expect(lines[2].contains(whole))
    }

    @Test func aPodsNamesComeBeforeItsContainers() throws {
        let owners = Owners()
        owners.containers[Array(Self.id.utf8)] = Self.pod
        let test = TestStream(.ndjson, paths: paths, owners: owners)
        test.sample(.example)
        owners.containers[Array(Self.id.utf8)] = Self.names
        test.sample(.example)
        owners.version += 1
        test.sample(.example)
        let containers = test.takeLines().map { $0.contains(#""container":"app""#) }
        #expect(containers == [false, false, true])
    }

    /// Log directories have neither runtime nor image.
    @Test func theRuntimesWordComesAfterTheLogs() throws {
        let owners = Owners()
        var logged = Self.names
        (logged.runtime, logged.image) = (nil, [])
        owners.containers[Array(Self.id.utf8)] = logged
        let test = TestStream(.ndjson, paths: paths, owners: owners)
        test.sample(.example)
        owners.containers[Array(Self.id.utf8)] = Self.names
        owners.version += 1
        test.sample(.example)
        let lines = test.takeLines()
        #expect(lines.allSatisfy { $0.contains(#""container":"app""#) })
        #expect(lines.map { $0.contains(#""name":"containerd""#) } == [false, true])
    }

    @Test func namesOfAnotherPodAreNotTaken() throws {
        let owners = Owners()
        var other = Self.names
        other.podUID = Array("99999999-1111-2222-3333-444455556666".utf8)
        owners.containers[Array(Self.id.utf8)] = other
        let test = TestStream(.ndjson, paths: paths, owners: owners)
        test.sample(.example)
        let line = try #require(test.takeLines().first)
        #expect(line.contains(Self.uid) && !line.contains("checkout-1"))
    }

    @Test func textBeginsWithThePod() throws {
        let owners = Owners()
        owners.containers[Array(Self.id.utf8)] = Self.names
        let test = TestStream(.text, paths: paths, owners: owners)
        test.sample(.example)
        #expect(try #require(test.takeLines().first).contains("1  shop/checkout-1/app nginx[4711]  "))
    }

    @Test func aUnitIsNamed() throws {
        let test = TestStream(.ndjson, paths: paths)
        var sample = pt_sample.example
        sample.key.cgroup_id = 5
        test.sample(sample)
        #expect(try #require(test.takeLines().first).contains(#"},"unit":"nginx.service","proc""#))
    }

    @Test func cgroupV1IsSaid() throws {
        let paths = Paths([1 << 63 | 9: "/docker/\(Self.id)"])
        let test = TestStream(.ndjson, paths: paths)
        var sample = pt_sample.example
        sample.key.cgroup_id = 1 << 63 | 9
        test.sample(sample)
        let line = try #require(test.takeLines().first)
        #expect(line.contains(#""cgroup":{"id":9,"path":"/docker/\#(Self.id)","hierarchy":"memory"},"runtime""#))
    }

    // MARK: Conntrack

    private func drop(_ change: (inout pt_key) -> Void) -> pt_sample {
        var sample = pt_sample.conntrack(.tableFull)
        sample.key.cgroup_id = 0
        sample.key.tgid = 0
        change(&sample.key)
        return sample
    }

    @Test func aNamespaceNamesThePodAlone() throws {
        let owners = Owners()
        owners.namespaces[namespace] = Self.names
        let test = TestStream(.ndjson, owners: owners)
        for mix: UInt32 in [7, 8] {  // the inode is used again
            test.sample(
                drop {
                    $0.attribution = UInt8(PT_ATTRIBUTION_NETNS.rawValue)
                    ($0.owner_netns_id, $0.owner_netns_mix) = (namespace.inode, mix)
                })
        }
        let lines = test.takeLines()
        #expect(lines[0].contains(#""k8s":{"namespace":"shop","pod":"checkout-1","pod_uid":"\#(Self.uid)"},"src""#))
        #expect(lines.allSatisfy { $0.contains(#""attribution":"netns""#) && !$0.contains("runtime") })
        #expect(!lines[1].contains("k8s"))
    }

    @Test func anInboundFlowsAddressIsNamedByTheList() throws {
        let list = NamesFile(
            parsing: Array(
                #"""
                {"address":"10.0.0.9","namespace":"shop","pod":"db-0"}
                {"cidr":"10.0.0.0/8","namespace":"shop","service":"any"}
                """#.utf8))
        #expect(list.problemCount == 0)
        let test = TestStream(.ndjson, addresses: list.addresses)
        for flag in [PT_FLAG_INBOUND, PT_FLAG_OUTBOUND] {
            test.sample(
                drop {
                    $0.attribution = 0
                    $0.flags = UInt8(PT_FLAG_SRC.rawValue | PT_FLAG_DST.rawValue | flag.rawValue)
                    $0.family = 4
                    $0.dst_addr = (10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
                })
        }
        let lines = test.takeLines()
        #expect(lines[0].contains(#""k8s":{"namespace":"shop","pod":"db-0"},"src""#))
        #expect(lines[0].contains(#""attribution":"address""#))
        #expect(!lines[1].contains("attribution"))
        #expect(lines.allSatisfy { $0.contains(#","k8s":{"namespace":"shop","pod":"db-0"}}"#) })
    }

    // MARK: Destinations

    @Test func destinationsAreNamedByThisNodeAndByTheList() throws {
        let owners = Owners()
        owners.addresses[IPAddress(ipv4: 0x0a00_0009)] = namespace
        owners.namespaces[namespace] = Self.pod
        let test = TestStream(.ndjson, owners: owners)
        test.sample(.example)
        #expect(test.take().contains(#""port":8080,"k8s":{"namespace":"shop","pod":"checkout-1"}}"#))
        test.stream.addresses =
            NamesFile(
                parsing: Array(
                    #"[{"address":"10.0.0.9","port":8080,"namespace":"shop","service":"db"}]"#.utf8)
            ).addresses
        // What this node sees now is truer than a list.
        test.sample(.example)
        #expect(test.take().contains(#""k8s":{"namespace":"shop","pod":"checkout-1"}}"#))
        owners.addresses = [:]
        test.sample(.example)
        #expect(test.take().contains(#""port":8080,"k8s":{"namespace":"shop","service":"db"}}"#))
        var other = pt_sample.example
        other.key.dst_port_be16 = UInt16(9_090).bigEndian
        test.sample(other)
        #expect(!test.take().contains("k8s"))
    }

    /// Failures that are told after the address has moved are the former pod's, and bear nobody's name.
    @Test(arguments: [OutputFormat.ndjson, .text])
    func anAddressThatMovesTakesNoNameAlong(format: OutputFormat) throws {
        let owners = Owners()
        let address = IPAddress(ipv4: 0x0a00_0009)
        let other = NamespaceIdentity(inode: namespace.inode, mix: namespace.mix + 1)
        owners.namespaces = [namespace: Self.pod, other: Self.pod(named: "checkout-2")]
        let test = TestStream(format, owners: owners)
        owners.addresses[address] = namespace
        test.sample(.example)
        #expect(names(in: test.take()) == ["checkout-1"])

        // Of the same interval: between the first failure, that is told already, and now it has moved.
        owners.addresses[address] = other
        owners.now += 300_000_000
        row(test, first: 1, last: 200_000_000)
        #expect(names(in: test.take()).isEmpty)
        // Before and after: the row does not say how many are whose.
        row(test, first: 299_999_999, last: 900_000_000)
        #expect(names(in: test.take()).isEmpty)
        row(test, first: 300_000_000, last: 900_000_000)
        #expect(names(in: test.take()) == ["checkout-2"])
        row(test, first: nil, last: 900_000_000)
        #expect(names(in: test.take()).isEmpty)

        owners.addresses[address] = nil
        row(test, first: 950_000_000, last: 960_000_000)
        #expect(names(in: test.take()).isEmpty)
    }

    /// Not only when something fails towards it: then that would be too late for a name.
    @Test func anAddressIsAskedAgainEachSecond() throws {
        let owners = Owners()
        let address = IPAddress(ipv4: 0x0a00_0009)
        let other = NamespaceIdentity(inode: namespace.inode, mix: namespace.mix + 1)
        owners.namespaces = [namespace: Self.pod, other: Self.pod(named: "checkout-2")]
        owners.addresses[address] = namespace
        let test = TestStream(.ndjson, owners: owners)
        test.sample(.example)
        #expect(names(in: test.take()) == ["checkout-1"])
        owners.addresses[address] = other
        owners.now += 1_000_000_000
        test.stream.refreshDestinations()
        owners.now += 500_000_000
        row(test, first: 999_999_999, last: 1_400_000_000)
        #expect(names(in: test.take()).isEmpty)
        row(test, first: 1_000_000_000, last: 1_400_000_000)
        #expect(names(in: test.take()) == ["checkout-2"])
    }

    @Test func anAddressThatIsFirstAskedLateIsNotSure() throws {
        let owners = Owners()
        owners.namespaces[namespace] = Self.pod
        owners.addresses[IPAddress(ipv4: 0x0a00_0009)] = namespace
        owners.now += 100_000_001
        let test = TestStream(.ndjson, owners: owners)
        test.sample(.example)
        #expect(names(in: test.take()).isEmpty)
        var next = pt_sample.example
        next.time_ns += 1
        test.sample(next)
        #expect(names(in: test.take()) == ["checkout-1"])
    }

    /// Where text has no room for more samples, their destinations are asked all the same: their rows tell them.
    @Test func destinationsOfSamplesThatTextLeavesOutAreKnown() throws {
        let owners = Owners()
        owners.namespaces[namespace] = Self.pod
        let test = TestStream(.text, owners: owners)
        for number in 0..<UInt32(TextOutput.mostSamples) {
            var sample = pt_sample.example
            sample.key.tgid = number + 1
            test.sample(sample)
        }
        owners.addresses[IPAddress(ipv4: 0x0a00_0009)] = namespace
        test.sample(.example)
        _ = test.take()
        owners.now += 900_000_000
        row(test, first: 0, last: 800_000_000)
        #expect(names(in: test.take()) == ["checkout-1"])
    }

    /// A row of one flush, of three failures; times are since the example's, nil: not known.
    private func row(_ test: TestStream, first: UInt64?, last: UInt64) {
        var count = pt_count()
        (count.count, count.sampled) = (3, 0)
        count.rest_first_ns = first.map { pt_sample.example.time_ns + $0 } ?? 0
        count.rest_last_ns = pt_sample.example.time_ns + last
        test.row(.example, count, generation: 8)
        test.stream.endFlush(generation: 8)
    }

    /// The pods among the destinations.
    private func names(in text: String) -> [String] {
        ["checkout-1", "checkout-2"].filter { text.contains($0) }
    }

    // MARK: Filters

    @Test func filtersAreOfTheOwner() throws {
        let owners = Owners()
        owners.containers[Array(Self.id.utf8)] = Self.names
        for (options, passes) in [("shop", true), ("other", false)] {
            var filter = Filter()
            try filter.addNamespaces(parsing: options.utf8)
            let test = TestStream(.ndjson, filter: filter, paths: paths, owners: owners)
            test.sample(.example)
            #expect(test.takeLines().isEmpty != passes)
            var unit = pt_sample.example
            unit.key.cgroup_id = 5
            test.sample(unit)
            #expect(test.takeLines().isEmpty)
            #expect(test.messages.count == 1)  // it has no namespace: undecided
        }
    }
}
