import Testing

@testable import PortTraceCore

@Suite struct NamesFileTests {
    private func file(_ text: String) -> NamesFile { NamesFile(parsing: Array(text.utf8)) }

    /// `namespace/name`, a service with `svc ` before it; nil: none.
    private func name(_ file: NamesFile, _ address: String, _ port: UInt16 = 0) throws -> String? {
        let address = try #require(IPAddress(parsing: address.utf8))
        return file.addresses.name(of: address, port: port).map { name in
            let text = String(decoding: name.namespace + [0x2f] + name.name, as: UTF8.self)
            return name.kind == .service ? "svc \(text)" : text
        }
    }

    private func object(_ address: String, _ name: String, _ rest: String = "") -> String {
        #"{"\#(address.contains("/") ? "cidr" : "address")":"\#(address)","namespace":"n","pod":"\#(name)"\#(rest)}"#
    }

    @Test(arguments: ["", " \r\n", "[]", "[ ]\n", "\u{feff}", "\u{feff}[]"])
    func empty(_ text: String) {
        let file = file(text)
        #expect(file.addresses.count == 0)
        #expect(file.problems.isEmpty)
    }

    @Test(arguments: [
        "{A}", "{A}\n{B}", "{A}\r\n{B}\r\n", "{A}{B}", "[{A}]", "[{A},{B}]", "[\n  {A},\n  {B}\n]\n",
        "\u{feff}{A}\n{B}",
        "\u{feff}[{A},{B}]", "\n\n{A}\n\n\n{B}", "[{A}]\n[{B}]", "{A}\n{B}\n{B}",
    ])
    func forms(_ form: String) throws {
        let a = object("10.0.0.1", "a", #","labels":{"x":[1,{"y":null}],"s":"],[{\"}"},"zone":null"#)
        let b = "{\n\"address\" : \"10.0.0.2\" ,\n\"namespace\":\"m\",\"service\":\"b\",\"port\":443,\"pod\":null}"
        let file = file(
            form.split(separator: "{A}", omittingEmptySubsequences: false).joined(separator: a)
                .split(separator: "{B}", omittingEmptySubsequences: false).joined(separator: b))
        #expect(file.problems == [])
        #expect(try name(file, "10.0.0.1", 80) == "n/a")
        #expect(try name(file, "10.0.0.2", 443) == (form.contains("{B}") ? "svc m/b" : nil))
        #expect(try name(file, "10.0.0.2", 80) == nil)
        #expect(try name(file, "10.0.0.2") == nil)
    }

    @Test func theMostSpecificWins() throws {
        let file = file(
            [
                object("10.0.0.0/8", "eight"), object("10.1.0.0/16", "sixteen"), object("10.1.2.3/16", "second"),
                object("10.1.0.0/16", "https", #","port":443"#), object("10.1.2.3", "exact"),
                object("10.1.2.3", "web", #","port":80"#), object("0.0.0.0/0", "any", #","port":53"#),
                object("2001:db8::/32", "six"), object("2001:db8::7", "seven"), object("::/0", "dns", #","port":53"#),
                object("::ffff:192.0.2.1", "mapped"), object("::ffff:198.51.100.0/120", "mapped-net"),
            ].joined(separator: "\n"))
        #expect(file.problems == [])
        // The second of two for the same is not kept.
        #expect(file.addresses.count == 11)
        for (address, port, expected) in [
            ("10.1.2.3", 80, "n/web"), ("10.1.2.3", 443, "n/exact"), ("10.1.2.3", 0, "n/exact"),
            ("10.1.9.9", 443, "n/https"), ("10.1.9.9", 80, "n/sixteen"), ("10.1.9.9", 0, "n/sixteen"),
            ("10.2.0.1", 53, "n/eight"), ("8.8.8.8", 53, "n/any"), ("8.8.8.8", 54, nil), ("8.8.8.8", 0, nil),
            ("2001:db8::7", 1, "n/seven"), ("2001:db8::8", 1, "n/six"), ("2001:db9::", 53, "n/dns"), ("::1", 1, nil),
            ("192.0.2.1", 1, "n/mapped"), ("198.51.100.9", 1, "n/mapped-net"), ("0.0.0.7", 1, nil), ("::7", 1, nil),
        ] as [(String, UInt16, String?)] {
            #expect(try name(file, address, port) == expected, "\(address) \(port)")
        }
    }

    @Test(arguments: [
        (#"{"namespace":"n","pod":"p"}"#, "has neither address nor cidr"),
        (#"{"address":"1.2.3.4","cidr":"1.2.3.4/8","namespace":"n","pod":"p"}"#, "has both address and cidr"),
        (#"{"address":"1.2.3.4","pod":"p"}"#, "has no namespace"),
        (#"{"address":"1.2.3.4","namespace":"n"}"#, "has neither pod nor service"),
        (#"{"address":"1.2.3.4","namespace":"n","pod":"p","service":"s"}"#, "has both pod and service"),
        (#"{"address":7,"namespace":"n","pod":"p"}"#, "its address is no string"),
        (#"{"address":"1.2.3.4","namespace":"n","pod":["p"]}"#, "its pod is no string"),
        (#"{"address":"1.2.3.4","namespace":"","pod":"p"}"#, "its namespace is empty"),
        (#"{"address":"1.2.3","namespace":"n","pod":"p"}"#, "its address '1.2.3' is none"),
        (#"{"address":"1.2.3.0/24","namespace":"n","pod":"p"}"#, "its address '1.2.3.0/24' is none"),
        (#"{"address":"a\u001b[31m","namespace":"n","pod":"p"}"#, #"its address 'a\x1b[31m' is none"#),
        (#"{"cidr":"x/8","namespace":"n","pod":"p"}"#, "its cidr 'x/8' is not an address and length: ADDR/LEN"),
        (
            #"{"cidr":"1.2.3.4/33","namespace":"n","pod":"p"}"#,
            "its cidr '1.2.3.4/33' has a bad prefix length: 0 to 32 for IPv4, 0 to 128 for IPv6"
        ),
        (#"{"address":"1.2.3.4","namespace":"n","pod":"p","port":0}"#, "has a bad port: a number from 1 to 65535"),
        (#"{"address":"1.2.3.4","namespace":"n","pod":"p","port":65536}"#, "has a bad port: a number from 1 to 65535"),
        (#"{"address":"1.2.3.4","namespace":"n","pod":"p","port":80.5}"#, "has a bad port: a number from 1 to 65535"),
        (#"{"address":"1.2.3.4","namespace":"n","pod":"p","port":"80"}"#, "has a bad port: a number from 1 to 65535"),
        (#"{"address":"1.2.3.4","namespace":"n","pod":"p","port":1e300}"#, "has a bad port: a number from 1 to 65535"),
        (#""1.2.3.4""#, "is no object"), ("null", "is no object"), ("17", "is no object"), ("true", "is no object"),
    ])
    func badObjects(_ object: String, _ reason: String) throws {
        let good = self.object("10.0.0.1", "a")
        let lines = file("\(good)\n\(object)\n\(self.object("10.0.0.2", "b"))\n")
        #expect(lines.problems.map(\.description) == ["line 2: \(reason)"])
        #expect(lines.addresses.count == 2)
        let array = file("[\(good),\n\n\(object),\(self.object("10.0.0.2", "b"))]")
        #expect(array.problems.map(\.description) == ["item 2, line 3: \(reason)"])
        #expect(array.addresses.count == 2)
    }

    @Test(arguments: [
        "{", "}", "[", "]", "{\"a\":}", "x", "'a'", "{\"a\" 1}", "{\"address\":\"1.2.3.4", "\u{0}", "NaN", "1e999",
        #"{"a":"\ud800"}"#, "\\", ",", "{\"a\":\u{0}}", String(repeating: "[", count: 5_000),
        String(repeating: "{\"a\":", count: 5_000), "#comment",
    ])
    func badLines(_ line: String) throws {
        let file = file("\(object("10.0.0.1", "a"))\n\(line)\n\(object("10.0.0.2", "b"))\n")
        #expect(file.problemCount >= 1)
        #expect(file.problems.first.map { [2, 3, 4].contains($0.line) } == true, "\(file.problems)")
        #expect(try name(file, "10.0.0.1") == "n/a")
        #expect(try name(file, "10.0.0.2") == "n/b")
        for problem in file.problems {
            #expect(problem.description.unicodeScalars.allSatisfy { !isHazardous($0.value) })
        }
    }

    @Test func bytesThatAreNoText() throws {
        for bytes in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xfe, 0xff]] as [[UInt8]] {
            let bad = Array(object("10.0.0.3", "c").utf8.dropLast(2)) + bytes + Array("\"}".utf8)
            let good = Array(object("10.0.0.2", "b").utf8)
            let file = NamesFile(parsing: bad + [0x0a] + good)
            #expect(file.problems.map(\.line) == [1])
            #expect(try name(file, "10.0.0.2") == "n/b")
            #expect(try name(file, "10.0.0.3") == nil)
        }
    }

    @Test func arraysThatAreBroken() throws {
        let (a, b) = (object("10.0.0.1", "a"), object("10.0.0.2", "b"))
        var file = file("[\n\(a),\n\(b)\n")
        #expect(file.problems.map(\.description) == ["line 3: the array does not end"])
        #expect(file.addresses.count == 2)
        file = self.file("[\(a),\n{\"x\": \"unended,\n\(b)]")
        #expect(file.problemCount >= 1 && file.addresses.count == 2)
        file = self.file("[\n\(a),\n{\"x\": [1,\n\(b),\n\(object("10.0.0.3", "c"))\n]")
        #expect(file.problemCount >= 1 && file.addresses.count == 3)
    }

    @Test func ofEqualKeysTheLastCounts() throws {
        let file = file(#"{"address":"1.1.1.1","address":"2.2.2.2","namespace":"n","pod":"p"}"#)
        #expect(file.problems == [])
        #expect(try name(file, "2.2.2.2") == "n/p")
    }

    @Test func namesMayHaveAnyCharacter() throws {
        let file = file(#"{"address":"1.1.1.1","namespace":"a\u0000b","pod":"\u001b\"\n"}"#)
        let name = try #require(file.addresses.name(of: IPAddress(ipv4: 0x0101_0101), port: 1))
        #expect(name == NamedAddress(.pod, namespace: [0x61, 0, 0x62], name: [0x1b, 0x22, 0x0a]))
    }

    @Test func longestNames() {
        func file(_ count: Int) -> NamesFile {
            self.file(object("10.0.0.1", String(repeating: "a", count: count)))
        }
        #expect(file(253).problems == [])
        #expect(file(253).addresses.count == 1)
        #expect(file(254).problems.map(\.reason) == ["its pod has more than 253 bytes"])
        let long = self.file(object(String(repeating: "7", count: 100_000), "a"))
        #expect(long.problems.first.map { $0.reason.utf8.count < 100 } == true)
    }

    @Test func problemsAreBounded() {
        let file = file(String(repeating: "{}\n", count: 1_000) + object("10.0.0.1", "a"))
        #expect(file.problemCount == 1_000)
        #expect(file.problems.map(\.line) == Array(1...10))
        #expect(file.addresses.count == 1)
    }

    @Test func namesAreBounded() throws {
        let lines = (0..<20).map { object("10.0.0.\($0)", "p") }.joined(separator: "\n")
        let file = NamesFile(parsing: Array(lines.utf8), mostBytes: 10_000, mostNames: 15)
        #expect(file.addresses.count == 15)
        #expect(file.problems.map(\.description) == ["line 16: more than 15 names: the rest is left out"])
        #expect(try name(file, "10.0.0.14") == "n/p")
        #expect(try name(file, "10.0.0.15") == nil)
        #expect(NamedAddresses().most == 200_000)
    }

    @Test func bytesAreBounded() throws {
        let lines = Array([object("10.0.0.1", "a"), object("10.0.0.2", "b"), ""].joined(separator: "\n").utf8)
        for most in lines.count / 2..<lines.count {
            let file = NamesFile(parsing: lines, mostBytes: most, mostNames: 10)
            #expect(file.problems.map(\.description) == ["line 1: more than \(most) bytes: the rest is not read"])
            #expect(try name(file, "10.0.0.1") == "n/a")
            #expect(try name(file, "10.0.0.2") == nil)
        }
        #expect(NamesFile(parsing: lines, mostBytes: lines.count, mostNames: 10).problems == [])
    }

    /// Each line opens another array and none is closed.
    @Test func whatNeverEndsTakesLinearTime() {
        let bytes = Array(repeating: Array("{\"a\":\n".utf8), count: 200_000).joined()
        let clock = ContinuousClock()
        let time = clock.measure {
            #expect(NamesFile(parsing: Array(bytes)).problems.last?.reason.hasPrefix("too much") == true)
        }
        #expect(time < .seconds(60))
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func randomBytesNeverTrap(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        let pieces =
            [
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "null", "1", "-", "e9", "\"address\":", "\"cidr\":",
                "\"port\":80",
                "\"1.2.3.4\"", "\"::/0\"", "\"namespace\":\"n\"", "\"pod\":\"p\"", object("1.2.3.4", "a"),
            ].map { Array($0.utf8) }
            + [[0], [0xff]]
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0...30, using: &random)).flatMap { _ in
                pieces[Int.random(in: pieces.indices, using: &random)]
            }
            let file = NamesFile(parsing: bytes)
            #expect(file.problems.count == min(file.problemCount, 10))
        }
    }
}
