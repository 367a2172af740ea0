/// A text of JSON, or a part of one, that is not parsed yet. Large texts are looked through for the few parts that are
/// wanted: no tree is built of the rest, however deep it is. What is left out is not checked.
public struct JSONText {
    /// Levels of a part that is parsed.
    public static let deepest = 64
    /// Values of a part that is parsed: each takes some hundred bytes of memory, and two of text.
    public static let mostValues = 16_384

    private let bytes: [UInt8]
    private let range: Range<Int>

    /// - Throws: ``JSONError``: more than `limit` bytes.
    public init(_ bytes: [UInt8], limit: Int) throws(JSONError) {
        guard bytes.count <= limit else { throw JSONError(reason: "more than \(limit) bytes") }
        self.init(bytes, bytes.indices)
    }

    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        self.range = range
    }

    /// The members of an object by these names, nil for those that it has not, of equal ones the last; nil where this
    /// is no object, or one that is not whole. Names written with escapes are not found.
    ///
    /// - Complexity: O(bytes).
    public func members(_ names: [String]) -> [JSONText?]? {
        bytes.withUnsafeBytes { all in
            var scan = Scan(UnsafeRawBufferPointer(rebasing: all[range]))
            var found = [JSONText?](repeating: nil, count: names.count)
            guard scan.take("{") else { return nil }
            if scan.take("}") { return found }
            repeat {
                guard let name = scan.skipString(), scan.take(":"), let value = scan.skipValue() else { return nil }
                if let index = names.firstIndex(where: { scan.bytes[name].elementsEqual($0.utf8) }) {
                    found[index] = part(value)
                }
            } while scan.take(",")
            return scan.take("}") ? found : nil
        }
    }

    /// Calls `body` with each element of an array in order, until it returns false.
    ///
    /// - Returns: Whether this is an array, whole as far as it was read: of one that is not, the first elements have
    ///   been given.
    /// - Complexity: O(bytes); the elements take no memory of their own.
    @discardableResult
    public func forEachElement(_ body: (JSONText) -> Bool) -> Bool {
        bytes.withUnsafeBytes { all in
            var scan = Scan(UnsafeRawBufferPointer(rebasing: all[range]))
            guard scan.take("[") else { return false }
            if scan.take("]") { return true }
            repeat {
                guard let value = scan.skipValue() else { return false }
                guard body(part(value)) else { return true }
            } while scan.take(",")
            return scan.take("]")
        }
    }

    /// Parses it.
    ///
    /// - Throws: ``JSONError``, with lines counted from the part's beginning; also for more than ``deepest`` levels or
    ///   ``mostValues`` values.
    public func value() throws(JSONError) -> JSONValue {
        let (levels, values) = bytes.withUnsafeBytes { Scan(UnsafeRawBufferPointer(rebasing: $0[range])).extent }
        guard levels <= Self.deepest else { throw JSONError(reason: "more than \(Self.deepest) levels") }
        guard values <= Self.mostValues else { throw JSONError(reason: "more than \(Self.mostValues) values") }
        return try JSONDocument.parse(bytes[range], mayGoOn: false).root
    }

    private func part(_ range: Range<Int>) -> JSONText {
        JSONText(bytes, self.range.lowerBound + range.lowerBound..<self.range.lowerBound + range.upperBound)
    }
}

/// Goes over JSON by its strings, brackets and separators.
private struct Scan {
    let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Takes this character, and white space before it.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipWhiteSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// - Returns: What is between the quotes.
    mutating func skipString() -> Range<Int>? {
        guard take("\"") else { return nil }
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return start..<position - 1
            case UInt8(ascii: "\\"): position += 2
            default: position += 1
            }
        }
        return nil
    }

    mutating func skipValue() -> Range<Int>? {
        skipWhiteSpace()
        let start = position
        var level = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""): if skipString() == nil { return nil }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                level += 1
                position += 1
                continue
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                level -= 1
                position += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0a, 0x0d, 0x09:
                position += 1
                continue
            default: skipScalar()
            }
            if level <= 0 { return level == 0 ? start..<position : nil }
        }
        return nil
    }

    /// The most brackets that are open at once, and how many values there are at most: each is the first after a
    /// bracket, or comes after a comma.
    var extent: (levels: Int, values: Int) {
        var scan = self
        var level = 0
        var most = 0
        var values = 1
        while scan.position < bytes.count {
            switch bytes[scan.position] {
            case UInt8(ascii: "\""):
                if scan.skipString() == nil { return (most, values) }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                level += 1
                values += 1
                most = max(most, level)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): level -= 1
            case UInt8(ascii: ","): values += 1
            default: break
            }
            scan.position += 1
        }
        return (most, values)
    }

    /// A number or a word, up to what cannot be in one.
    private mutating func skipScalar() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "}"), UInt8(ascii: "]"),
                UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0a, 0x0d, 0x09:
                return
            default: position += 1
            }
        }
    }

    private mutating func skipWhiteSpace() {
        while position < bytes.count, bytes[position].isWhiteSpace { position += 1 }
    }
}
