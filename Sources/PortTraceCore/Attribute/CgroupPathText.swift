/// Paths of cgroups as a person wants to read them.
enum CgroupPathText {
    /// Most columns of a path.
    private static let widest = 40
    private static let ellipsis = "…"

    /// The path made safe, and cut at its front to its telling end: whole parts where they fit. A container's id of
    /// 64 hex digits is cut to its first 12.
    static func shortened(_ path: [UInt8]) -> TerminalText {
        let parts = path.split(separator: UInt8(ascii: "/")).map(part)
        guard !parts.isEmpty else { return TerminalText(escaping: Array("/".utf8)) }

        var kept = parts.count
        var width = 0
        while kept > 0, width + 1 + parts[kept - 1].width + (kept > 1 ? 1 : 0) <= widest {
            kept -= 1
            width += 1 + parts[kept].width
        }
        var text = TerminalText()
        if kept == parts.count {
            text.append(ellipsis)
            text.append(tail(of: parts[kept - 1], width: widest - 1))
            return text
        }
        if kept > 0 { text.append(ellipsis) }
        for part in parts[kept...] {
            text.append("/" as String)
            text.append(part)
        }
        return text
    }

    /// What stands for a cgroup whose path is not known.
    static func unknown(_ id: UInt64) -> TerminalText {
        var text = TerminalText()
        text.append("cgroup \(id)")
        return text
    }

    private static func part(_ bytes: ArraySlice<UInt8>) -> TerminalText {
        var text = TerminalText()
        var rest = bytes
        while let run = rest.firstRange(whereHexadecimal: 64) {
            text.append(TerminalText(escaping: Array(rest[..<run.lowerBound])))
            text.append(TerminalText(escaping: Array(rest[run.lowerBound..<run.lowerBound + 12])))
            text.append(ellipsis)
            rest = rest[run.upperBound...]
        }
        text.append(TerminalText(escaping: Array(rest)))
        return text
    }

    /// The last columns of a part; an escape may be cut, what is left of it is harmless.
    private static func tail(of part: TerminalText, width: Int) -> TerminalText {
        let scalars = part.string.unicodeScalars.suffix(width)
        return TerminalText(escaping: Array(String(String.UnicodeScalarView(scalars)).utf8))
    }
}

extension ArraySlice<UInt8> {
    /// The first run of lower-case hexadecimal digits of exactly this length.
    fileprivate func firstRange(whereHexadecimal length: Int) -> Range<Int>? {
        var start = startIndex
        for index in startIndex...endIndex {
            if index < endIndex, self[index].isHexadecimalDigit { continue }
            if index - start == length { return start..<index }
            start = index + 1
        }
        return nil
    }
}

extension UInt8 {
    fileprivate var isHexadecimalDigit: Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self)
            || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self)
    }
}
