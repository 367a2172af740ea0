import Glibc
import Testing

@testable import PortTraceCore

@Suite struct WidthTests {
    /// What ncurses takes a scalar for. The C library's tables are of another year than these: a few differ.
    @Test func scalarsAreAsWideAsTheLibrarySays() {
        let locale = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
        defer { freelocale(locale) }
        guard let locale else { return }
        let before = uselocale(locale)
        defer { uselocale(before) }
        // Swift's Glibc module leaves it out.
        guard let symbol = dlsym(nil, "wcwidth") else { return }
        let wcwidth = unsafeBitCast(symbol, to: (@convention(c) (wchar_t) -> Int32).self)
        var (told, different) = (0, 0)
        for value in UInt32(0x20)...0x3_ffff {
            guard let scalar = Unicode.Scalar(value), scalar.properties.generalCategory != .control else { continue }
            let width = wcwidth(wchar_t(bitPattern: value))
            guard width >= 0 else { continue }
            told += 1
            if columns(of: value) != Int(width) { different += 1 }
        }
        #expect(told > 100_000)
        #expect(different * 200 < told, "\(different) of \(told)")
    }

    @Test(arguments: [
        ("nginx", 5), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("\u{200b}", 0), ("🚀", 2), ("→…", 2), ("ｱ", 1), ("Ａ", 2),
    ])
    func widths(_ text: String, _ width: Int) {
        #expect(TerminalText(escaping: Array(text.utf8)).width == width)
        #expect(TerminalText(text).width == width)
    }

    @Test(arguments: [
        ("nginx", 5, "nginx"), ("nginx", 4, "ngi…"), ("nginx", 1, "…"), ("nginx", 0, ""), ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"), ("日本語", 6, "日本語"), ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
    ])
    func cuts(_ text: String, _ columns: Int, _ cut: String) {
        let piece = TerminalText(text).cut(to: columns)
        #expect(piece.string == cut)
        #expect(piece.width <= columns)
        #expect(piece.width == TerminalText(cut).width)
    }
}
