/// How a piece of the screen stands out; colours where there are any.
public enum TopStyle: Sendable {
    case plain
    case bold
    case dim
    /// The heads of columns, the selected row.
    case reverse
    /// Below 80 %, from there on, from 95 % on.
    case calm
    case high
    case critical
}

/// A piece of a line of the screen.
public struct TopSpan: Sendable {
    /// The column at which it begins.
    public var column: Int
    /// UTF-8, or ASCII where the terminal takes nothing else; safe on a terminal.
    public var bytes: [UInt8]
    public var style: TopStyle
}

/// A screen to be drawn: lines from the top, each of spans from the left. Columns without a span are empty.
public struct TopFrame: Sendable {
    public private(set) var lines: [[TopSpan]] = []
    let columns: Int
    let rows: Int
    private let isUnicode: Bool

    init(columns: Int, rows: Int, isUnicode: Bool) {
        self.columns = columns
        self.rows = rows
        self.isUnicode = isUnicode
    }

    /// Lines that have room.
    var room: Int { max(rows - lines.count, 0) }

    /// Adds a line, cut to the screen's width; nothing where there is no room.
    mutating func append(_ line: TopLine) {
        guard lines.count < rows else { return }
        var spans: [TopSpan] = []
        for piece in line.pieces where piece.column < columns {
            let text = piece.text.cut(to: columns - piece.column)
            if text.width == 0 { continue }
            let bytes = isUnicode ? text.bytes : text.ascii
            spans.append(TopSpan(column: piece.column, bytes: bytes, style: piece.style))
        }
        lines.append(spans)
    }

    /// Adds lines for a text, broken between words.
    mutating func append(wrapped text: String) {
        var line = TopLine()
        for word in text.split(separator: " ") {
            if line.width > 0, line.width + 1 + word.utf8.count > columns {
                append(line)
                line = TopLine()
            }
            line.append((line.width == 0 ? "" : " ") + word)
        }
        append(line)
    }

    /// Adds empty lines until so many are left.
    mutating func fill(leaving rest: Int) {
        while room > rest { lines.append([]) }
    }
}

/// A line that is being put together.
struct TopLine {
    private(set) var pieces: [(column: Int, text: TerminalText, style: TopStyle)] = []
    /// Where the next piece begins.
    private(set) var width = 0

    init() {}

    /// The tool's own words.
    init(_ words: String, _ style: TopStyle = .plain) {
        append(TerminalText(words), style)
    }

    mutating func append(_ text: TerminalText, _ style: TopStyle = .plain) {
        pieces.append((width, text, style))
        width += text.width
    }

    mutating func append(_ words: String, _ style: TopStyle = .plain) {
        append(TerminalText(words), style)
    }

    /// Adds a text that takes exactly so many columns, with a column of space before it.
    mutating func append(_ text: TerminalText, columns: Int, right: Bool = false, _ style: TopStyle = .plain) {
        if width > 0 { width += 1 }
        let cut = text.cut(to: columns)
        append(right ? cut.paddedAtStart(to: columns) : cut.padded(to: columns), style)
    }

    /// Adds a text whose end is at the screen's right, if there is room for it.
    mutating func append(atEnd text: TerminalText, of columns: Int, _ style: TopStyle) {
        guard width + text.width < columns else { return }
        width = columns - text.width
        append(text, style)
    }
}

extension TerminalText {
    /// The text in ASCII, as wide: `~` for an ellipsis, `>` for an arrow, `?` for what has no such sign.
    fileprivate var ascii: [UInt8] {
        if bytes.allSatisfy({ $0 < 0x80 }) { return bytes }
        var ascii: [UInt8] = []
        for scalar in string.unicodeScalars {
            switch scalar {
            case "…": ascii.append(UInt8(ascii: "~"))
            case "→": ascii.append(UInt8(ascii: ">"))
            case _ where scalar.isASCII: ascii.append(UInt8(scalar.value))
            default: ascii += Array(repeating: UInt8(ascii: "?"), count: columns(of: scalar.value))
            }
        }
        return ascii
    }
}
