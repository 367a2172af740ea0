import CPortTraceWire
import Testing

@testable import PortTraceCore

@Suite struct FilterTests {
    private func failure(_ change: (inout pt_key) -> Void = { _ in }) throws -> Failure {
        var key = pt_key.example
        change(&key)
        return try Failure(key: key, detail: .example)
    }

    private func verdict(_ filter: Filter, _ failure: Failure, path: String? = "/checkout/worker") -> Verdict {
        filter.evaluate(failure, as: failure.type, owner: filter.evaluate(cgroup: path.map { Array($0.utf8) }))
    }

    @Test(arguments: [
        ("/checkout/worker", "/checkout/worker", true), ("/checkout", "/checkout/worker", true),
        ("/checkout/", "/checkout/worker", true),
        ("/check", "/checkout/worker", false), ("/checkout/worker/x", "/checkout/worker", false),
        ("/", "/checkout", true), ("/", "/", true),
        ("//checkout//worker/", "/checkout/worker", true), ("/sys/fs/cgroup/checkout", "/checkout/worker", true),
        ("/sys/fs/cgroup/unified/checkout", "/checkout/worker", true), ("/sys/fs/cgroup", "/anything", true),
        ("/sys/fs/cgroup/", "/anything", true), ("/sys/fs/cgroup/unified", "/anything", true),
        ("/sys/fs/cgroup/unifiedx", "/unifiedx/a", true), ("/sys/fs/cgroups/a", "/a", false),
        ("/other,/checkout", "/checkout/worker", true),
        ("/other,/elsewhere", "/checkout/worker", false), ("/worker", "/checkout/worker", false),
    ])
    func cgroups(_ option: String, _ path: String, _ passes: Bool) throws {
        var filter = Filter()
        try filter.addCgroups(parsing: option.utf8)
        #expect(verdict(filter, try failure(), path: path) == (passes ? .pass : .reject))
        #expect(verdict(filter, try failure(), path: nil) == .undecided)
    }

    /// `/sys/fs/cgroup/memory` is a mount where there is v1, and a cgroup's folder where there is not.
    @Test(arguments: [
        ("/sys/fs/cgroup/memory/docker/a", "/docker/a", true), ("/sys/fs/cgroup/memory/docker", "/docker/a", true),
        ("/sys/fs/cgroup/cpuacct/docker/a", "/docker/a/b", true), ("/sys/fs/cgroup/memory", "/docker/a", true),
        ("/sys/fs/cgroup/unified/docker", "/docker/a", true), ("/docker/a", "/docker/a", true),
        ("/sys/fs/cgroup/memory/docker/a", "/docker/b", false), ("/memory/docker/a", "/docker/a", false),
        ("/sys/fs/cgroup/memory/docker/a", "/memory/docker/a", false),
        ("/sys/fs/cgroup/unified/memory/docker/a", "/memory/docker/a", true),
        ("/sys/fs/cgroup/memory,/a", "/a", true), ("/sys/fs/cgroup/memoryx/a", "/a", false),
        ("/sys/fs/cgroup/docker/a", "/docker/a", true),
    ])
    func cgroupsWithV1(_ option: String, _ path: String, _ passes: Bool) throws {
        var filter = Filter()
        try filter.addCgroups(parsing: option.utf8)
        let path = Array(path.utf8)
        #expect(filter.evaluate(cgroup: path, hasV1: true) == (passes ? .pass : .reject))
        let without = option.contains("memory/docker") && !option.contains("unified") && option != "/memory/docker/a"
        if without { #expect(filter.evaluate(cgroup: path) == (path.starts(with: "/memory".utf8) ? .pass : .reject)) }
    }

    @Test(arguments: [
        ("10.0.0.9", true), ("10.0.0.9:8080", true), ("10.0.0.9:8081", false), ("10.0.0.8", false), (":8080", true),
        (":80", false),
        ("10.0.0.0/8", true), ("10.255.255.255/8", true), ("10.0.0.8/31:8080", true), ("10.0.0.10/31", false),
        ("0.0.0.0/0", true),
        ("11.0.0.0/8", false), ("::ffff:10.0.0.9", true), ("[::ffff:10.0.0.9]:8080", true),
        ("::ffff:10.0.0.0/104", true), ("::/0", false),
        ("10.0.0.9/32", true), ("1.1.1.1,10.0.0.9", true), ("1.1.1.1,:8080", true), ("[::1]:8080,10.0.0.9:1", false),
    ])
    func ipv4Destinations(_ option: String, _ passes: Bool) throws {
        var filter = Filter()
        try filter.addDestinations(parsing: option.utf8)
        #expect(verdict(filter, try failure()) == (passes ? .pass : .reject))
    }

    @Test(arguments: [
        ("2001:db8::9", true), ("[2001:db8::9]:443", true), ("[2001:db8::9]:444", false), ("2001:db8::/32", true),
        ("[2001:db8:ffff::/32]:443", true),
        ("2001:db9::/32", false), ("[2001:db8::9]", true), ("::/0", true), ("[::/0]:443", true), ("0.0.0.0/0", false),
        ("2001:db8::8/127", true),
        ("2001:db8::a/127", false), (":443", true), ("2001:db8:0:0:ffff::/65", false), ("2001:db8::/65", true),
    ])
    func ipv6Destinations(_ option: String, _ passes: Bool) throws {
        var filter = Filter()
        try filter.addDestinations(parsing: option.utf8)
        let failure = try failure {
            $0.setSource([0xfd] + Array(repeating: 0, count: 14) + [1])
            $0.setDestination([0x20, 0x01, 0x0d, 0xb8] + Array(repeating: 0, count: 11) + [9], port: 443)
        }
        #expect(verdict(filter, failure) == (passes ? .pass : .reject))
    }

    @Test func processes() throws {
        var filter = Filter()
        try filter.addPIDs(parsing: "1,4711".utf8)
        #expect(verdict(filter, try failure()) == .pass)
        #expect(verdict(filter, try failure { $0.tgid = 4712 }) == .reject)
        filter = Filter()
        try filter.addComms(parsing: "ngin,nginx".utf8)
        #expect(verdict(filter, try failure()) == .pass)
        filter = Filter()
        try filter.addComms(parsing: "ngin,nginx2,NGINX".utf8)
        #expect(verdict(filter, try failure()) == .reject)
    }

    @Test func types() throws {
        var filter = Filter()
        try filter.addTypes(parsing: "bind_exhausted,lost".utf8)
        #expect(verdict(filter, try failure()) == .reject)
        try filter.addTypes(parsing: "connect_exhausted".utf8)
        #expect(verdict(filter, try failure()) == .pass)
    }

    /// What lacks the field does not pass, and counts as undecided only where nothing else rejects it.
    @Test func undecided() throws {
        let folded = try Failure(key: pt_key.example.folded, detail: .example)
        let other = try Failure(key: pt_key.example.other, detail: .example)
        let kernel = try failure {
            $0.tgid = 0
            $0.attribution = UInt8(PT_ATTRIBUTION_SOCKET.rawValue)
        }

        var pids = Filter()
        try pids.addPIDs(parsing: "4711".utf8)
        #expect(verdict(pids, folded) == .undecided)
        #expect(verdict(pids, kernel) == .undecided)
        var comms = Filter()
        try comms.addComms(parsing: "nginx".utf8)
        #expect(verdict(comms, kernel) == .undecided)
        var destinations = Filter()
        try destinations.addDestinations(parsing: ":8080".utf8)
        #expect(verdict(destinations, other) == .undecided)
        #expect(verdict(destinations, try failure { $0.flags &= ~UInt8(PT_FLAG_DST.rawValue) }) == .undecided)

        // Another option settles it, in whatever order.
        try pids.addCgroups(parsing: "/elsewhere".utf8)
        #expect(verdict(pids, folded) == .reject)
        try destinations.addTypes(parsing: "bind_exhausted".utf8)
        #expect(verdict(destinations, other) == .reject)
        var both = Filter()
        try both.addCgroups(parsing: "/checkout".utf8)
        try both.addDestinations(parsing: ":1".utf8)
        #expect(verdict(both, try failure(), path: nil) == .reject)
        // One that matches does not.
        try both.addDestinations(parsing: ":8080".utf8)
        #expect(verdict(both, try failure(), path: nil) == .undecided)
        #expect(verdict(both, try failure()) == .pass)
    }

    /// The original destination, not where NAT led; ICMP has no port.
    @Test func conntrackDestinations() throws {
        func said(_ option: String, _ key: pt_key) throws -> Verdict {
            var filter = Filter()
            try filter.addDestinations(parsing: option.utf8)
            return verdict(filter, try Failure(key: key, detail: .conntrack))
        }
        #expect(try said("10.0.0.9:53", .clash) == .pass)
        #expect(try said("10.1.7.7", .clash) == .reject)
        #expect(try said(":5353", .clash) == .reject)
        var ping = pt_key.tableFull
        ping.becomeEchoRequest()
        #expect(try said("10.0.0.9", ping) == .pass)
        #expect(try said("10.0.0.9:2048", ping) == .undecided)
        #expect(try said(":2048", ping) == .undecided)
        #expect(try said("10.0.0.8:2048", ping) == .reject)
        #expect(try said(":2048,10.0.0.9", ping) == .pass)
        #expect(try said(":2048,10.0.0.8", ping) == .undecided)
    }

    @Test func anEmptyFilterPassesAll() throws {
        #expect(Filter().isEmpty)
        #expect(verdict(Filter(), try Failure(key: pt_key.example.other, detail: .example), path: nil) == .pass)
    }
}
