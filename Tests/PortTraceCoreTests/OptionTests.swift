import Testing

@testable import PortTraceCore

@Suite struct OptionTests {
    @Test(
        arguments: [
            ("1ms", 1_000_000), ("30s", 30_000_000_000), ("5m", 300_000_000_000), ("1h", 3_600_000_000_000),
            ("0030s", 30_000_000_000),
            ("9223372036s", 9_223_372_036_000_000_000), ("9223372036854ms", 9_223_372_036_854_000_000),
        ] as [(String, Int64)])
    func durations(_ text: String, _ nanoseconds: Int64) throws {
        let duration = try Duration(parsing: text.utf8)
        #expect(duration == .nanoseconds(nanoseconds))
        #expect(duration.wholeNanoseconds == nanoseconds)
    }

    @Test(arguments: [
        "", "s", "30", "0s", "0ms", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1d", "1us", "1sec", "abc", "s30",
        "1m30s", "1e3s",
        "9223372037s", "99999999999999999999s", "9223372036855ms", "2562048h", "１s",
    ])
    func notDurations(_ text: String) {
        let error = #expect(throws: OptionError.self) { try Duration(parsing: text.utf8) }
        #expect(error?.message.hasPrefix("'\(text)' is ") == true)
    }

    @Test func messagesAreSafeOnATerminal() {
        let error = #expect(throws: OptionError.self) { try Duration(parsing: Array("\u{1b}[31m".utf8) + [0xff]) }
        #expect(
            error?.message
                == #"'\x1b[31m\xff' is not a duration: a positive whole number and ms, s, m or h, such as 30s"#)
    }

    @Test(arguments: ["", ",", "1,", ",1", "1,,2", "0", "-1", "1x", "2147483648", "99999999999999999999999"])
    func notPIDs(_ list: String) {
        var filter = Filter()
        #expect(throws: OptionError.self) { try filter.addPIDs(parsing: list.utf8) }
    }

    @Test func edgesOfPIDs() throws {
        var filter = Filter()
        try filter.addPIDs(parsing: "1,4194304,2147483647".utf8)
        #expect(!filter.isEmpty)
    }

    @Test(arguments: [
        "", "lost,", "connect", "CONNECT_EXHAUSTED", "snat_clash", "connect_exhausted;lost", " lost",
    ])
    func notTypes(_ list: String) {
        var filter = Filter()
        #expect(throws: OptionError.self) { try filter.addTypes(parsing: list.utf8) }
    }

    @Test(arguments: [
        "conntrack_table_full", "conntrack_evicted", "snat_exhausted", "conntrack_insert_failed,connect_exhausted",
    ])
    func types(_ list: String) throws {
        var filter = Filter()
        try filter.addTypes(parsing: list.utf8)
        #expect(!filter.isEmpty)
    }

    @Test(arguments: ["", "a,", "sixteen bytes ok"])
    func notComms(_ list: String) {
        var filter = Filter()
        #expect(throws: OptionError.self) { try filter.addComms(parsing: list.utf8) }
    }

    @Test(arguments: ["", "relative", "./a", "/a/../b", "/a/.", "/a,", "/a,b"])
    func notCgroups(_ list: String) {
        var filter = Filter()
        #expect(throws: OptionError.self) { try filter.addCgroups(parsing: list.utf8) }
    }

    @Test(arguments: [
        ("", "is empty"), ("10.0.0.0/33", "prefix length"), ("10.0.0.0/", "prefix length"),
        ("10.0.0.0/-1", "prefix length"),
        ("10.0.0.0/08", "prefix length"), ("10.0.0.0/8/8", "prefix length"), ("10.0.0", "not an address"),
        ("host", "not an address"),
        ("10.0.0.9:", "bad port"), ("10.0.0.9:0", "bad port"), ("10.0.0.9:65536", "bad port"),
        ("10.0.0.9:http", "bad port"),
        (":", "bad port"), (":0", "bad port"), ("[::1", "closing"), ("[::1]80", "after ']'"), ("[::1]:", "bad port"),
        ("[::1]:70000", "bad port"), ("[10.0.0.9]:80", "brackets"), ("[]:80", "brackets"), ("::1/129", "prefix length"),
        ("fe80::/10:443", "prefix length"), ("::ffff:1.2.3.4/95", "96 to 128"), ("[::1/64]/64", "after ']'"),
        ("::1%lo", "not an address"),
        ("/8", "not an address"), ("10.0.0.9,", "empty item"), ("[/64]:80", "brackets"),
        ("10.0.0.9:80:", "not an address"),
    ])
    func notDestinations(_ list: String, _ problem: String) {
        var filter = Filter()
        let error = #expect(throws: OptionError.self) { try filter.addDestinations(parsing: list.utf8) }
        #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("", "is empty"), ("a,", "empty item"), ("a/b/c", "more than one '/'"), ("//", "more than one '/'"),
        ("a/", "no pod's name"), ("/a", "namespace"), ("/", "namespace"), ("a*b", "no pod's name"),
        ("**", "no pod's name"),
        ("*a", "no pod's name"), ("*/a", "namespace"), ("a*/b", "namespace"), ("A", "no pod's name"),
        ("a b", "no pod's name"), ("a_b", "no pod's name"), ("a.b/c", "namespace"),
        ("shop/a\u{1b}", #"'shop/a\x1b' can be"#),
        (String(repeating: "a", count: 254), "up to 253"), (String(repeating: "a", count: 64) + "/a", "up to 63"),
    ])
    func notPods(_ list: String, _ problem: String) {
        var filter = Filter()
        let error = #expect(throws: OptionError.self) { try filter.addPods(parsing: list.utf8) }
        #expect(error?.message.contains(problem) == true, "\(String(describing: error))")
    }

    @Test(arguments: ["a", "a*", "*", "a/b", "a/*", "a/b*", "web-0.db", "a,b/c*", String(repeating: "a", count: 253)])
    func pods(_ list: String) throws {
        var filter = Filter()
        try filter.addPods(parsing: list.utf8)
        #expect(!filter.isEmpty)
    }

    @Test(arguments: ["", "a,", "a/b", "a*", "*", "A", "a.b", "a b", String(repeating: "a", count: 64)])
    func notNamespaces(_ list: String) {
        var filter = Filter()
        #expect(throws: OptionError.self) { try filter.addNamespaces(parsing: list.utf8) }
    }

    @Test(arguments: ["", "a,", "a/b", "a*", "*", "a b", "\u{1b}", String(repeating: "a", count: 254)])
    func notContainers(_ list: String) {
        var filter = Filter()
        #expect(throws: OptionError.self) { try filter.addContainers(parsing: list.utf8) }
    }

    @Test func formats() throws {
        #expect(try OutputFormat(parsing: "text".utf8) == .text)
        #expect(try OutputFormat(parsing: "ndjson".utf8) == .ndjson)
        for text in ["", "json", "TEXT", "text "] {
            #expect(throws: OptionError.self) { try OutputFormat(parsing: text.utf8) }
        }
    }
}
