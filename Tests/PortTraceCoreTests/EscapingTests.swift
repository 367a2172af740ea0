import Testing

@testable import PortTraceCore

@Suite struct EscapingTests {
    private func json(_ bytes: [UInt8]) -> String {
        written { buffer in bytes.withUnsafeBytes { buffer.append(escapedForJSON: $0) } }
    }

    @Test(arguments: [
        ("", ""), ("nginx", "nginx"), ("a\"b", #"a\"b"#), (#"a\b"#, #"a\\b"#), ("a\nb\rc\td", #"a\nb\rc\td"#),
        ("\0\u{1}\u{1f} ", #"\u0000\u0001\u001f "#), ("\u{7f}~", #"\u007f~"#),
        ("\u{80}\u{9b}\u{9f}\u{a0}", "\\u0080\\u009b\\u009f\u{a0}"),
        ("\u{2028}\u{2029}", #"\u2028\u2029"#), ("\u{202a}\u{202e}\u{202f}", "\\u202a\\u202e\u{202f}"),
        ("\u{2066}\u{2069}\u{206a}", "\\u2066\\u2069\u{206a}"), ("\u{200e}\u{200f}\u{61c}", #"\u200e\u200f\u061c"#),
        ("grün → 端口 🐘", "grün → 端口 🐘"), ("/", "/"), ("\u{10ffff}\u{ffff}", "\u{10ffff}\u{ffff}"),
    ])
    func jsonOfText(_ text: String, _ escaped: String) {
        #expect(json(Array(text.utf8)) == escaped)
    }

    @Test(
        arguments: [
            ([0xff], 1), ([0x80], 1), ([0xc0, 0x80], 2), ([0xc1, 0xbf], 2), ([0xed, 0xa0, 0x80], 3),
            ([0xf4, 0x90, 0x80, 0x80], 4),
            ([0xf5], 1), ([0xe2, 0x82], 1), ([0xf0, 0x9f, 0x90], 1), ([0xe0, 0x80], 2), ([0xc3], 1),
            ([0xe2, 0xe2, 0x82], 2),
        ] as [([UInt8], Int)])
    func jsonOfWhatIsNoText(_ bytes: [UInt8], _ replacements: Int) {
        let replaced = String(repeating: "\u{fffd}", count: replacements)
        #expect(json(bytes) == replaced)
        #expect(json([0x61] + bytes + [0x62]) == "a\(replaced)b")
        // The standard library's own repair agrees.
        #expect(String(decoding: bytes, as: UTF8.self) == replaced)
    }

    @Test func hostileComm() {
        let comm = Array("a\"\n\u{1b}[31m".utf8) + [0xff]
        #expect(json(comm) == "a\\\"\\n\\u001b[31m\u{fffd}")
        #expect(TerminalText(escaping: comm).string == #"a"\n\x1b[31m\xff"#)
    }

    @Test(
        arguments: [
            (Array("nginx".utf8), "nginx", 5), (Array("\u{1b}[2J".utf8), #"\x1b[2J"#, 7), ([0x9b, 0x41], #"\x9bA"#, 5),
            (Array("\u{9b}A".utf8), #"\u009bA"#, 7), (Array("\u{202e}evil".utf8), #"\u202eevil"#, 10),
            (Array("\u{2028}".utf8), #"\u2028"#, 6), (Array("\t\r\n\u{7f}".utf8), #"\t\r\n\x7f"#, 10),
            (Array("grün".utf8), "grün", 4),
            ([0xf0, 0x9f, 0x90], #"\xf0\x9f\x90"#, 12), (Array(#"dev\x2dsda"#.utf8), #"dev\x2dsda"#, 10),
        ] as [([UInt8], String, Int)])
    func terminal(_ bytes: [UInt8], _ shown: String, _ width: Int) {
        let text = TerminalText(escaping: bytes)
        #expect(text.string == shown)
        #expect(text.width == width)
    }

    @Test func nothingHazardousIsLeft() {
        for value in UInt32(0)...0x3000 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let bytes = Array(String(scalar).utf8)
            for shown in [json(bytes), TerminalText(escaping: bytes).string] {
                #expect(!shown.unicodeScalars.contains { isHazardous($0.value) })
            }
        }
    }

    @Test(arguments: [
        ("/", "/"), ("/checkout/worker", "/checkout/worker"),
        ("/system.slice/nginx.service", "/system.slice/nginx.service"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234_1234_1234_1234567890ab.slice/"
                + "cri-containerd-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
            "…/cri-containerd-0123456789ab….scope"
        ),
        ("/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "/docker/0123456789ab…"),
        ("/" + String(repeating: "x", count: 60) + "end", "…" + String(repeating: "x", count: 36) + "end"),
        ("/aaaaaaaaaa/bbbbbbbbbb/cccccccccc/dddddddddd", "…/bbbbbbbbbb/cccccccccc/dddddddddd"),
        ("/aaaaaaaaa/bbbbbbbbb/ccccccccc/ddddddddd", "/aaaaaaaaa/bbbbbbbbb/ccccccccc/ddddddddd"),
        ("/evil\u{1b}[31m", #"/evil\x1b[31m"#),
    ])
    func cgroupPathsForAPerson(_ path: String, _ shown: String) {
        let text = CgroupPathText.shortened(Array(path.utf8))
        #expect(text.string == shown)
        #expect(text.width <= 40)
    }
}
