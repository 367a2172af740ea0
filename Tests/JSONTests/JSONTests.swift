import JSON
import Testing

struct JSONTests {
    private func parse(_ text: String, limit: Int = 1 << 20) throws -> JSONValue {
        try JSONValue(parsing: Array(text.utf8), limit: limit)
    }

    @Test func readsWhatItIsAskedFor() throws {
        let value = try parse(#"{"a":{"b":"x\n\u001b\u0000é"},"n":[1,65535,-2,1e3],"t":true,"s":"","z":null}"#)
        #expect(value["a"]?["b"]?.string == Array("x\n\u{1b}\u{0}é".utf8))
        #expect(value["n"]?.elements.map(\.integer) == [1, 65535, -2, 1000])
        #expect(value["t"]?.boolean == true)
        #expect(value["s"]?.string == [])
        #expect(value["z"]?.string == nil)
        #expect(value["a"]?["c"] == nil)
        #expect(value["n"]?["a"] == nil)
        #expect(value["a"]?.isObject == true)
        #expect(value["n"]?.isArray == true)
        #expect(value["a"].map { Array($0.elements).isEmpty } == true)
    }

    @Test func keepsItsText() throws {
        func inner() throws -> JSONValue? { try parse(#"{"a":["b"]}"#)["a"]?.elements.first { _ in true } }
        #expect(try inner()?.string == Array("b".utf8))
    }

    /// RLIM_INFINITY is in many a config.json.
    @Test func takesNumbersOfAnySize() throws {
        let value = try parse(#"{"rlimit":18446744073709551615,"half":0.5,"a":"b"}"#)
        #expect(value["a"]?.string == Array("b".utf8))
        #expect(value["rlimit"]?.integer == nil)
        #expect(value["half"]?.integer == nil)
    }

    @Test(arguments: [
        "", " ", "{", "{}}", "{} {}", "nul", #"{"a":}"#, #"{"a" 1}"#, "'a'", "[1,]", "\u{0}", "{\"a\n\":1}",
    ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test(arguments: [[0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22]] as [[UInt8]])
    func refusesWhatIsNoUTF8(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: bytes, limit: 100) }
    }

    @Test func refusesMoreThanItsLimit() throws {
        #expect(throws: JSONError(reason: "more than 4 bytes")) { try parse("12345", limit: 4) }
        #expect(try parse("1234", limit: 4).integer == 1234)
    }

    /// Deeper than jansson goes; the deepest that it takes fits a small stack.
    @Test(arguments: [(2_000, true), (3_000, false), (1_000_000, false)])
    func deep(levels: Int, isTaken: Bool) {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let text = String(repeating: open, count: levels) + "1" + String(repeating: close, count: levels)
            #expect(((try? parse(text, limit: 1 << 24)) != nil) == isTaken)
        }
    }

    /// What takes little text and much memory.
    @Test(arguments: [("[", "]", 16_383, true), ("[", "]", 1_000_000, false), ("{\"a\":[", "]}", 1_000_000, false)])
    func partsOfManyValues(open: String, close: String, values: Int, isTaken: Bool) throws {
        let text = open + String(repeating: "1,", count: values - 1) + "1" + close
        let whole = try JSONText(Array(#"{"part":\#(text),"rest":7}"#.utf8), limit: 1 << 24)
        let part = try #require(whole.members(["part", "rest"]))
        #expect(((try? part[0]?.value()) != nil) == isTaken)
        #expect(try part[1]?.value().integer == 7)
    }

    @Test func saysWhereWithoutTheText() throws {
        let error = try #require(throws: JSONError.self) { try parse("{\n\"a\":\n\u{1b}[31m}") }
        #expect(error.line == 3)
        #expect(error.firstLine == 1)
        #expect(!error.reason.contains("\u{1b}"))
        #expect(!error.reason.contains("31m"))
    }

    @Test func readsTextsInARow() throws {
        var texts = try JSONTexts(Array("{\"a\":1}\n\n{\"a\":\n 2}{\"a\":3} \"four\"\n5\t[6]".utf8), limit: 100)
        var found: [(Int?, Int)] = []
        while let (value, line) = try texts.next() { found.append(((value["a"] ?? value).integer, line)) }
        #expect(found.map(\.0) == [1, 2, 3, nil, 5, nil])
        #expect(found.map(\.1) == [1, 3, 4, 4, 5, 5])
    }

    @Test func goesOnAfterABadLine() throws {
        var texts = try JSONTexts(Array("{\"a\":1}\n{\"a\":\n{\"a\":3}\n\"\u{1}\"\n}\n{\"a\":6}".utf8), limit: 100)
        var good: [Int] = []
        var bad: [Int] = []
        while true {
            do {
                guard let (value, _) = try texts.next() else { break }
                if let number = value["a"]?.integer { good.append(number) }
            } catch {
                bad.append(error.firstLine)
            }
        }
        #expect(good == [1, 3, 6])
        #expect(bad == [2, 4, 5])
    }

    @Test func limitsTextsInARow() {
        #expect(throws: JSONError.self) { try JSONTexts(Array("1 2 3".utf8), limit: 4) }
    }
}
