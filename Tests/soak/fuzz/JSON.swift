/// A JSON text (RFC 8259), read strictly: nothing beyond the grammar, valid UTF-8, no name twice in an object.
indirect enum JSON: Equatable {
    case null
    case bool(Bool)
    /// As written.
    case number(String)
    case string(String)
    case array([JSON])
    case object([(name: String, value: JSON)])

    static func == (left: JSON, right: JSON) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)):
            left.count == right.count && zip(left, right).allSatisfy { $0.name == $1.name && $0.value == $1.value }
        default: false
        }
    }

    /// - Throws: ``Finding`` for what is no JSON text.
    init(parsing bytes: [UInt8]) throws(Finding) {
        var parser = Parser(bytes: bytes)
        self = try parser.value(depth: 0)
        if parser.index != bytes.count { throw Finding("bytes after the JSON text", bytes) }
    }

    subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    var unsigned: UInt64? {
        if case .number(let text) = self { UInt64(text) } else { nil }
    }
}

private func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

private struct Parser {
    let bytes: [UInt8]
    var index = 0

    private func error(_ problem: String) -> Finding {
        Finding("no JSON: \(problem) at byte \(index)", bytes)
    }

    private var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ word: StaticString) -> Bool {
        let end = index + word.utf8CodeUnitCount
        guard end <= bytes.count, bytes[index..<end].elementsEqual("\(word)".utf8) else { return false }
        index = end
        return true
    }

    // Written by porttrace, so that there is no white space between tokens.
    mutating func value(depth: Int) throws(Finding) -> JSON {
        if depth > 32 { throw error("too deep") }
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        default:
            if take("null") { return .null }
            if take("true") { return .bool(true) }
            if take("false") { return .bool(false) }
            guard let byte = next, isDigit(byte) || byte == UInt8(ascii: "-") else { throw error("no value") }
            return .number(try number())
        }
    }

    private mutating func object(depth: Int) throws(Finding) -> JSON {
        index += 1
        var members: [(name: String, value: JSON)] = []
        var names: Set<String> = []
        if take("}") { return .object([]) }
        while true {
            guard next == UInt8(ascii: "\"") else { throw error("no name") }
            let name = try string()
            guard names.insert(name).inserted else { throw error("the name \(name) again") }
            guard take(":") else { throw error("no colon") }
            members.append((name, try value(depth: depth + 1)))
            if take("}") { return .object(members) }
            guard take(",") else { throw error("no comma") }
        }
    }

    private mutating func array(depth: Int) throws(Finding) -> JSON {
        index += 1
        var items: [JSON] = []
        if take("]") { return .array([]) }
        while true {
            items.append(try value(depth: depth + 1))
            if take("]") { return .array(items) }
            guard take(",") else { throw error("no comma") }
        }
    }

    private mutating func digits() -> Int {
        let start = index
        while let byte = next, isDigit(byte) { index += 1 }
        return index - start
    }

    private mutating func number() throws(Finding) -> String {
        let start = index
        _ = take("-")
        let isZero = next == UInt8(ascii: "0")
        let count = digits()
        guard count == 1 || (count > 1 && !isZero) else { throw error("a bad number") }
        if take("."), digits() == 0 { throw error("a bad fraction") }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            if digits() == 0 { throw error("a bad exponent") }
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func string() throws(Finding) -> String {
        index += 1
        var units: [UInt8] = []
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: units, as: UTF8.self) else { throw error("no UTF-8") }
                return text
            case UInt8(ascii: "\\"): units += Array(String(try escaped()).utf8)
            case 0..<0x20: throw error("a control character in a string")
            default: units.append(byte)
            }
        }
        throw error("a string without end")
    }

    private mutating func escaped() throws(Finding) -> Unicode.Scalar {
        guard let byte = next else { throw error("an escape cut short") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let high = try hexadecimal()
            if let scalar = Unicode.Scalar(high) { return scalar }
            guard (0xd800..<0xdc00).contains(high), take("\\u") else { throw error("half a surrogate pair") }
            let low = try hexadecimal()
            guard (0xdc00..<0xe000).contains(low) else { throw error("half a surrogate pair") }
            let value = 0x10000 + (UInt32(high) - 0xd800) << 10 + (UInt32(low) - 0xdc00)
            return Unicode.Scalar(value) ?? "\u{FFFD}"
        default: throw error("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(Finding) -> UInt16 {
        guard index + 4 <= bytes.count, !bytes[index..<index + 4].contains(UInt8(ascii: "+")),
            let value = UInt16(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
        else { throw error("a bad \\u escape") }
        index += 4
        return value
    }
}

extension JSON {
    /// - Throws: ``Finding`` where this reader takes what is no JSON, or refuses what is.
    static func checkReader() throws(Finding) {
        let good = [
            #"{}"#, #"[]"#, #"{"a":[1,-2.5e+3,true,null,"\u00e9\ud83e\udd8a\n"]}"#, #""é""#, "0", "\"\u{7f}\"",
        ]
        let bad = [
            "", "{", #"{"a":1,}"#, #"{"a":1,"a":2}"#, "01", "1.", "+1", "[1,]", #""\x""#, #""\ud800""#, "\"\n\"", "nul",
            #"{"a":1}x"#, "'a'", "{a:1}", "\"\\u+123\"", "NaN", "\"",
        ]
        for text in good { _ = try JSON(parsing: Array(text.utf8)) }
        for text in bad.map({ Array($0.utf8) }) + [[0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22]] {
            do {
                _ = try JSON(parsing: text)
            } catch {
                continue
            }
            throw Finding("the soak's own reader takes this for JSON", text)
        }
    }
}
