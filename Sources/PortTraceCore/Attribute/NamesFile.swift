internal import JSON

/// A file of `--names`: names of addresses, and what of it could not be used.
///
/// It is one JSON object, an array of them, or one a line (NDJSON):
/// `{"address" or "cidr", "namespace", "pod" or "service", "port"}`, the port optional. Other members are ignored, and
/// null is the same as none. A bad object is left out and the others are used.
public struct NamesFile {
    /// Most bytes that are read; what comes after is left out.
    public static let mostBytes = 64 << 20

    /// Why a part of the file was not used.
    public struct Problem: Equatable, Sendable, CustomStringConvertible {
        /// From 1; of an object, where it begins.
        public var line: Int
        /// Its number in an array, from 1; nil where there is none.
        public var item: Int?
        /// In words that are safe on a terminal.
        public var reason: String

        /// `line 7: …`, `item 3, line 1: …`.
        public var description: String { "\(item.map { "item \($0), " } ?? "")line \(line): \(reason)" }
    }

    public private(set) var addresses: NamedAddresses
    /// The first ten, and those why a rest was not used.
    public private(set) var problems: [Problem] = []
    /// All of them.
    public private(set) var problemCount = 0

    private static let mostProblems = 10
    /// Bytes after the first line of what turned out bad, which are read again: lines that each open an object, and none
    /// that closes one, would be read over and over.
    private static let mostBytesInVain = 4 << 20

    /// Reads the bytes of a file.
    ///
    /// Takes time in proportion to them, whatever they are, and memory for one object at a time.
    public init(parsing bytes: consuming [UInt8]) {
        self.init(parsing: bytes, mostBytes: NamesFile.mostBytes, mostNames: NamedAddresses.most)
    }

    /// With bounds of a test's own.
    init(parsing bytes: consuming [UInt8], mostBytes: Int, mostNames: Int) {
        addresses = NamedAddresses(most: mostNames)
        let isCut = bytes.count > mostBytes
        if isCut { bytes.removeSubrange((bytes[..<mostBytes].lastLineEnd ?? mostBytes)...) }
        var array = JSONArrayBrackets()
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { bytes.replaceSubrange(..<3, with: [0x20, 0x20, 0x20]) }
        array.blank(&bytes)
        read(bytes, isArray: array.isArray)
        if isCut {
            let reason = "more than \(mostBytes) bytes: the rest is not read"
            add(Problem(line: bytes.lineCount, item: nil, reason: reason), always: true)
        } else if array.isOpen {
            add(Problem(line: bytes.lineCount, item: nil, reason: "the array does not end"))
        }
    }

    private mutating func read(_ bytes: [UInt8], isArray: Bool) {
        guard var texts = try? JSONTexts(bytes, limit: NamesFile.mostBytes) else { return }
        var lines = LineOffsets()
        var inVain = 0
        var item = 0
        while true {
            item += 1
            let number = isArray ? item : nil
            do throws(JSONError) {
                guard let (value, line) = try texts.next() else { return }
                do throws(NamesFileItem.Problem) {
                    let entry = try NamesFileItem(value)
                    guard addresses.insert(entry.name, for: entry.network, port: entry.port) else {
                        let reason = "more than \(addresses.most) names: the rest is left out"
                        return add(Problem(line: line, item: number, reason: reason), always: true)
                    }
                } catch {
                    add(Problem(line: line, item: number, reason: error.reason))
                }
            } catch {
                add(Problem(line: error.line, item: number, reason: "no JSON: \(error.reason)"))
                inVain += lines.bytes(after: error.firstLine, through: error.line, of: bytes)
                if inVain > NamesFile.mostBytesInVain {
                    let reason = "too much that does not end: the rest is not read"
                    return add(Problem(line: error.firstLine, item: number, reason: reason), always: true)
                }
            }
        }
    }

    private mutating func add(_ problem: Problem, always: Bool = false) {
        problemCount += 1
        if always || problems.count < NamesFile.mostProblems { problems.append(problem) }
    }
}

/// Turns a text that is an array into its elements one after the other, so that they can be read one at a time.
private struct JSONArrayBrackets {
    /// Whether the text begins as an array.
    private(set) var isArray = false
    /// Whether it lacks its end.
    private(set) var isOpen = false

    /// Makes spaces of an array's brackets and commas, if it begins with a bracket. A string ends with its line at the
    /// latest: it cannot have a line's end in it.
    mutating func blank(_ bytes: inout [UInt8]) {
        let space = UInt8(ascii: " ")
        guard let start = bytes.firstIndex(where: { $0 > space }), bytes[start] == UInt8(ascii: "[") else { return }
        isArray = true
        var depth = 0
        var isString = false
        var index = start
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\n"): isString = false
            case UInt8(ascii: "\""): isString.toggle()
            case UInt8(ascii: "\\") where isString && index + 1 < bytes.count && bytes[index + 1] != UInt8(ascii: "\n"):
                index += 1
            case _ where isString: break
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                if depth == 0, byte == UInt8(ascii: "[") { bytes[index] = space }
                depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if depth == 1, byte == UInt8(ascii: "]") { bytes[index] = space }
                depth = max(depth - 1, 0)
            case UInt8(ascii: ",") where depth == 1:
                bytes[index] = space
            default: break
            }
            index += 1
        }
        isOpen = depth > 0
    }
}

/// Where lines begin, asked for in their order.
private struct LineOffsets {
    private var line = 1
    private var offset = 0

    /// Bytes of the lines after one up to another; the one is not before that of the last call.
    mutating func bytes(after first: Int, through last: Int, of bytes: [UInt8]) -> Int {
        offset = LineOffsets.end(of: first + 1 - line, from: offset, bytes)
        line = first + 1
        return LineOffsets.end(of: last - first, from: offset, bytes) - offset
    }

    private static func end(of lines: Int, from start: Int, _ bytes: [UInt8]) -> Int {
        var offset = start
        var left = lines
        while left > 0, offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "\n") { left -= 1 }
            offset += 1
        }
        return offset
    }
}

extension ArraySlice<UInt8> {
    /// The index after the last line's end.
    fileprivate var lastLineEnd: Int? { lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } }
}

extension [UInt8] {
    fileprivate var lineCount: Int { 1 + dropLast().count { $0 == UInt8(ascii: "\n") } }
}
