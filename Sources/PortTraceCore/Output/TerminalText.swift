/// A piece of a text line: bytes that are safe on a terminal, and how many columns they take.
struct TerminalText: Equatable {
    private(set) var bytes: [UInt8] = []
    private(set) var width = 0

    init() {}

    /// Foreign bytes, with all that could act on a terminal shown as an escape: `\n`, `\x1b`, `\u202e`; a byte
    /// that is no UTF-8 as `\xff`.
    init(escaping foreign: UnsafeRawBufferPointer) {
        append(escaping: foreign)
    }

    init(escaping foreign: [UInt8]) {
        foreign.withUnsafeBytes { append(escaping: $0) }
    }

    /// Adds the tool's own words.
    mutating func append(_ words: String) {
        bytes.append(contentsOf: words.utf8)
        width += words.unicodeScalars.reduce(0) { $0 + columns(of: $1.value) }
    }

    /// Adds the tool's own words.
    mutating func append(_ words: StaticString) {
        append(String(describing: words))
    }

    /// Adds another piece.
    mutating func append(_ text: TerminalText) {
        bytes.append(contentsOf: text.bytes)
        width += text.width
    }

    /// Adds what a body writes.
    ///
    /// - Precondition: it writes printable ASCII only.
    mutating func append(ascii body: (inout OutputBuffer) -> Void) {
        var buffer = OutputBuffer()
        body(&buffer)
        width += buffer.count
        buffer.withBytes { bytes.append(contentsOf: $0) }
    }

    /// Adds foreign bytes, made safe.
    mutating func append(escaping foreign: UnsafeRawBufferPointer) {
        var index = 0
        while index < foreign.count {
            let step = UnicodeStep(foreign, at: index)
            switch step.scalar {
            case nil:
                for byte in foreign[index..<index + step.length] { append(hexadecimal: byte) }
            case 0x0a: append("\\n" as String)
            case 0x0d: append("\\r" as String)
            case 0x09: append("\\t" as String)
            case let scalar? where isHazardous(scalar):
                if scalar < 0x80 {
                    append(hexadecimal: UInt8(scalar))
                } else {
                    append(ascii: { $0.append(unicodeEscape: scalar) })
                }
            case let scalar?:
                bytes.append(contentsOf: foreign[index..<index + step.length])
                width += columns(of: scalar)
            }
            index += step.length
        }
    }

    private mutating func append(hexadecimal byte: UInt8) {
        bytes.append(contentsOf: "\\x".utf8)
        bytes.append(hexadecimalDigit(byte >> 4))
        bytes.append(hexadecimalDigit(byte & 0xf))
        width += 4
    }

    /// The text with spaces after it, so that it takes at least so many columns.
    func padded(to width: Int) -> TerminalText {
        var padded = self
        padded.append(String(repeating: " ", count: max(width - self.width, 0)))
        return padded
    }

    /// The text with spaces before it, so that it takes at least so many columns.
    func paddedAtStart(to width: Int) -> TerminalText {
        var padded = TerminalText()
        padded.append(String(repeating: " ", count: max(width - self.width, 0)))
        padded.append(self)
        return padded
    }

    /// The text in so many columns at most: where it is wider, without its end, and with an ellipsis in its place.
    func cut(to most: Int) -> TerminalText {
        if width <= most { return self }
        var text = TerminalText()
        guard most > 0 else { return text }
        bytes.withUnsafeBytes { bytes in
            var index = 0
            while index < bytes.count {
                let step = UnicodeStep(bytes, at: index)
                let columns = step.scalar.map { PortTraceCore.columns(of: $0) } ?? 1
                guard text.width + columns < most else { break }
                text.bytes.append(contentsOf: bytes[index..<index + step.length])
                text.width += columns
                index += step.length
            }
        }
        text.append("…" as String)
        return text
    }

    /// The bytes without spaces at the end.
    var withoutTrailingSpaces: [UInt8] {
        Array(bytes[..<(bytes.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0)])
    }

    /// The text as a string.
    var string: String { String(decoding: bytes, as: UTF8.self) }
}
