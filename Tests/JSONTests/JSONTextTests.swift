import JSON
import Testing

struct JSONTextTests {
    private func text(_ text: String) throws -> JSONText { try JSONText(Array(text.utf8), limit: 1 << 24) }

    private func strings(_ found: [JSONText?]?) throws -> [[UInt8]?]? {
        try found?.map { try $0?.value().string }
    }

    @Test func findsMembers() throws {
        let text = try text(
            #" {"a" : {"b":"x"}, "c\"}":[{"d":"]"}], "d":"y\"\\", "e":-1.5e3 ,"f":true,"a":{"b":"z"}, "g":[] }"#)
        let found = try #require(text.members(["a", "d", "e", "f", "g", "h", "b"]))
        #expect(try strings(found[0]?.members(["b"])) == [Array("z".utf8)])
        #expect(try found[1]?.value().string == Array(#"y"\"#.utf8))
        #expect(try found[2]?.value().integer == -1500)
        #expect(try found[3]?.value().boolean == true)
        #expect(found[4]?.forEachElement { _ in false } == true)
        #expect(found[5] == nil)
        #expect(found[6] == nil)
        #expect(found[0]?.forEachElement { _ in true } == false)
    }

    @Test func findsElements() throws {
        let array = try text(#"[ "a",{"b":["c"]} , 3,[] ]"#)
        var elements: [JSONText] = []
        #expect(
            array.forEachElement { element in
                elements.append(element)
                return true
            })
        #expect(elements.count == 4)
        #expect(try elements[0].value().string == Array("a".utf8))
        #expect(try elements[1].value()["b"]?.isArray == true)
        #expect(try elements[2].value().integer == 3)
    }

    @Test func goesOverAnArrayAsFarAsItIsWanted() throws {
        var count = 0
        func isWanted(_: JSONText) -> Bool {
            count += 1
            return count < 2
        }
        #expect(try text("[1,2,3,{").forEachElement(isWanted))
        #expect(count == 2)
        for bad in ["[1,2", "[1 2]", "[1,]", "1"] {
            #expect(try !text(bad).forEachElement { _ in true }, "\(bad)")
        }
    }

    @Test(arguments: [
        "", " ", "[]", "{", #"{"a"}"#, #"{"a":}"#, #"{"a":{}"#, #"{"a":"b"#, #"{"a":[1}}"#, "1", #"{"a":1,}"#,
    ])
    func findsNothingInWhatIsNotWhole(json: String) throws {
        let found = try text(json).members(["b"])
        #expect(found == nil || found?.count == 1 && found?[0] == nil)
    }

    @Test func isNotHeldUpByDepth() throws {
        let deep = String(repeating: "[", count: 1 << 20) + String(repeating: "]", count: 1 << 20)
        let found = try #require(try text(#"{"deep":\#(deep),"a":"b"}"#).members(["a", "deep"]))
        #expect(try found[0]?.value().string == Array("b".utf8))
        #expect(throws: JSONError.self) { try found[1]?.value() }
    }

    @Test func partsAreChecked() throws {
        let found = try text(#"{"a":[1 2],"b":tru,"c":"\x"}"#).members(["a", "b", "c"])
        for part in try #require(found) { #expect(throws: JSONError.self) { try part?.value() } }
    }
}
