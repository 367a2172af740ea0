/// JSON texts one after the other: a line each (NDJSON), or with white space between them or none, as jq writes them.
public struct JSONTexts {
    private let bytes: [UInt8]
    private var offset = 0
    private var line = 1

    /// - Throws: ``JSONError``: more than `limit` bytes.
    public init(_ bytes: [UInt8], limit: Int) throws(JSONError) {
        guard bytes.count <= limit else { throw JSONError(reason: "more than \(limit) bytes") }
        self.bytes = bytes
    }

    /// The next text's value with the line in which it begins; nil at the end.
    ///
    /// - Throws: ``JSONError``. What comes next begins on the line after the one in which the bad text began.
    public mutating func next() throws(JSONError) -> (value: JSONValue, line: Int)? {
        while offset < bytes.count, bytes[offset].isWhiteSpace { skip(to: offset + 1) }
        guard offset < bytes.count else { return nil }
        let first = line
        do {
            let (value, length) = try JSONDocument.parse(bytes[offset...], mayGoOn: true)
            skip(to: offset + max(length, 1))
            return (value, first)
        } catch {
            skip(to: bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count)
            throw JSONError(firstLine: first, line: first + error.line - 1, reason: error.reason)
        }
    }

    private mutating func skip(to end: Int) {
        for byte in bytes[offset..<min(end, bytes.count)] where byte == UInt8(ascii: "\n") { line += 1 }
        offset = min(end, bytes.count)
    }
}

extension UInt8 {
    /// White space as JSON has it, RFC 8259.
    var isWhiteSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0a || self == 0x0d }
}
