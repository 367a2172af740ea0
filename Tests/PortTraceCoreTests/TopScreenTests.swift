import Foundation
import ReplayedNode
import Testing

@testable import PortTraceCore

/// The screens of `porttrace top`: a replayed node's, as files, and what keys do to them.
///
/// The files are Tests/screen/goldens; with PORTTRACE_GOLDENS=write in the environment they are written anew, to be looked at.
@Suite struct TopScreenTests {
    private let source = ReplayedNode()

    /// The screen after twelve seconds, when the ports are spent.
    private func screen(isUnicode: Bool = true, source: ReplayedNode? = nil) -> Shown {
        let source = source ?? self.source
        for tick in 0..<12 { _ = source.picture(tick: UInt64(tick)) }
        return Shown(TopScreen(source.node, source.picture(tick: 12), isUnicode: isUnicode))
    }

    private func check(_ frame: TopFrame, _ name: String) throws {
        let text = frame.text
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "screen/goldens/\(name).txt")
        if ProcessInfo.processInfo.environment["PORTTRACE_GOLDENS"] == "write" {
            try text.write(to: path, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOf: path, encoding: .utf8)
        #expect(text == golden)
    }

    // MARK: Layout

    @Test(arguments: [(60, 20), (80, 24), (120, 40), (200, 60)])
    func list(_ columns: Int, _ rows: Int) throws {
        let screen = screen()
        try check(screen.frame(columns: columns, rows: rows), "\(columns)x\(rows)")
    }

    @Test func aLongNameLeavesTheFailuresTheirPlace() {
        let source = ReplayedNode()
        source.node.facts.node = Array(String(repeating: "long-", count: 20).utf8)
        let screen = screen(source: source)
        #expect(screen.press(.byte(UInt8(ascii: "p"))))
        let line = screen.frame(columns: 60, rows: 20).text.split(separator: "\n").first
        #expect(line == "porttrace top  lon…  PAUSED  failures 240 in 12 s, 120/s now")
    }

    @Test func hostileNames() throws {
        try check(screen(source: ReplayedNode(isHostile: true)).frame(columns: 120, rows: 40), "120x40-hostile")
    }

    @Test func inASCII() throws {
        let screen = screen(isUnicode: false, source: ReplayedNode(isHostile: true))
        let frame = screen.frame(columns: 80, rows: 24)
        #expect(frame.text.utf8.allSatisfy { $0 < 0x80 })
        try check(frame, "80x24-ascii")
    }

    @Test(arguments: ["details", "help"])
    func views(_ name: String) throws {
        let screen = screen()
        #expect(screen.press(name == "help" ? .byte(UInt8(ascii: "?")) : .enter))
        try check(screen.frame(columns: 120, rows: 40), "120x40-\(name)")
    }

    @Test func detailsOfATable() throws {
        let screen = screen()
        for key in [TopKey.down, .down, .enter] { #expect(screen.press(key)) }
        try check(screen.frame(columns: 80, rows: 24), "80x24-table")
    }

    @Test(arguments: Array(8...40) + [60, 100], [60, 61, 75, 76, 80, 109, 110, 159, 160, 240])
    func everySizeIsKept(_ rows: Int, _ columns: Int) {
        let screen = screen()
        for keys in [[], [TopKey.enter], [.escape, .byte(UInt8(ascii: "?"))]] {
            for key in keys { #expect(screen.press(key)) }
            let frame = screen.frame(columns: columns, rows: rows)
            #expect(frame.lines.count == rows)
            for line in frame.lines {
                var end = 0
                for span in line {
                    #expect(span.column >= end)
                    end = span.column + TerminalText(escaping: span.bytes).width
                }
                #expect(end <= columns)
            }
        }
    }

    @Test func tooSmall() {
        let screen = screen()
        #expect(
            screen.frame(columns: 59, rows: 24).text == "too small: porttrace top needs 60 columns and 8 lines\n")
        #expect(
            screen.frame(columns: 20, rows: 4).text
                == "too small: porttrace\ntop needs 60 columns\nand 8 lines\n")
        #expect(screen.frame(columns: 8, rows: 1).text == "too\n")
        #expect(screen.frame(columns: 4, rows: 3).text == "too\nsma…\npor…\n")
        #expect(screen.frame(columns: 60, rows: 0).lines.isEmpty)
    }

    @Test func namesCannotActOnTheTerminal() {
        let screen = screen(source: ReplayedNode(isHostile: true))
        for keys in [[], [TopKey.down, .down, .down, .enter]] {
            for key in keys { #expect(screen.press(key)) }
            let text = screen.frame(columns: 200, rows: 40).text
            #expect(!text.unicodeScalars.contains { isHazardous($0.value) && $0 != "\n" })
            #expect(text.contains(#"evil/a\u202eb\x1b"#))
        }
        screen.say(Array("\r\u{1b}[Kporttrace: a\u{1b}[31m\u{7}".utf8))
        let last = screen.frame(columns: 80, rows: 24).text.split(separator: "\n").last
        #expect(last == #"porttrace: a\x1b[31m\x07"#)
    }

    // MARK: Keys

    private func resources(_ screen: Shown) -> [Substring] {
        let lines = screen.frame(columns: 200, rows: 20).text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.dropFirst(4).prefix { !$0.isEmpty }.map { $0.dropFirst(2).prefix(24) }
    }

    @Test func sorting() {
        let screen = screen()
        let byNearness = resources(screen)
        #expect(byNearness[1].hasPrefix("NAT tcp"))
        #expect(screen.press(.byte(UInt8(ascii: "s"))))
        #expect(screen.press(.byte(UInt8(ascii: "s"))))
        // The failing one first, then what grows.
        let byRate = resources(screen)
        #expect(byRate[0] == byNearness[0])
        #expect(byRate[1].hasPrefix("conntrack table host"))
        #expect(screen.press(.byte(UInt8(ascii: "s"))))
        #expect(resources(screen)[1...3].map { $0.prefix(9) } == ["conntrack", "TIME_WAIT", "tcp → [20"])
        #expect(screen.press(.byte(UInt8(ascii: "s"))))
        #expect(resources(screen) == byNearness)
    }

    @Test func filtering() {
        let screen = screen(source: ReplayedNode(isHostile: true))
        let all = resources(screen)
        for key in "/WORKER".utf8 { #expect(screen.press(.byte(key))) }
        // While it is typed, q is a letter.
        #expect(screen.press(.byte(UInt8(ascii: "q"))))
        #expect(resources(screen).isEmpty == false)
        #expect(screen.frame(columns: 80, rows: 24).text.contains("no row holds what the filter asks for"))
        #expect(screen.press(.backspace))
        #expect(resources(screen).count == 2)
        #expect(screen.press(.enter))
        #expect(screen.frame(columns: 80, rows: 24).text.contains("/ filter: WORKER"))
        #expect(screen.press(.escape))
        #expect(resources(screen) == all)
        for key in "/主".utf8 { #expect(screen.press(.byte(key))) }
        #expect(resources(screen).count == 2)
        #expect(screen.press(.backspace))
        #expect(resources(screen) == all)
        #expect(screen.press(.escape))
        #expect(screen.press(.byte(UInt8(ascii: "q"))) == false)
    }

    @Test func pausing() {
        let screen = screen()
        let before = screen.frame(columns: 120, rows: 40).text
        #expect(screen.press(.byte(UInt8(ascii: "p"))))
        screen.show(source.picture(tick: 13))
        let paused = screen.frame(columns: 120, rows: 40).text
        #expect(paused.contains("PAUSED"))
        #expect(paused.split(separator: "\n").dropFirst() == before.split(separator: "\n").dropFirst())
        #expect(screen.press(.byte(UInt8(ascii: "p"))))
        #expect(screen.frame(columns: 120, rows: 40).text.contains("224810, fullest 85%"))
    }

    /// One row's failures and destinations stand still too: of ports, of a table and of TIME_WAIT.
    @Test(arguments: ["last failures", "10.96.0.10:53", "10.20.0.10:8080"])
    func pausedDetails(_ shown: String) {
        let screen = screen()
        for key in [TopKey.down, .down, .down, .down, .down] where shown == "10.20.0.10:8080" { _ = screen.press(key) }
        for key in [TopKey.down, .down] where shown == "10.96.0.10:53" { _ = screen.press(key) }
        #expect(screen.press(.enter) && screen.press(.byte(UInt8(ascii: "p"))))
        let paused = screen.frame(columns: 120, rows: 40).text
        #expect(paused.contains(shown))
        for tick in 13...15 { screen.show(source.picture(tick: UInt64(tick))) }
        #expect(screen.frame(columns: 120, rows: 40).text == paused)
        #expect(screen.press(.byte(UInt8(ascii: "p"))))
        #expect(screen.frame(columns: 120, rows: 40).text != paused)
    }

    @Test func moving() {
        let screen = screen(source: ReplayedNode(resources: 300))
        func selected() -> Substring {
            let lines = screen.frame(columns: 80, rows: 24).text.split(separator: "\n")
            return lines.first { $0.hasPrefix("> ") }?.dropFirst(2).prefix(24) ?? "none"
        }
        let first = selected()
        #expect(screen.press(.up))
        #expect(selected() == first)
        #expect(screen.press(.end))
        let last = selected()
        #expect(last != first)
        #expect(screen.press(.down))
        #expect(selected() == last)
        #expect(screen.press(.pageUp))
        #expect(screen.press(.pageDown))
        #expect(selected() == last)
        #expect(screen.press(.home))
        #expect(selected() == first)
        // What is selected stays so, wherever it goes.
        #expect(screen.press(.pageDown))
        let chosen = selected()
        #expect(screen.press(.byte(UInt8(ascii: "s"))))
        #expect(selected() == chosen)
    }

    @Test func oldHoldersAreMarked() throws {
        let source = ReplayedNode()
        let screen = screen(source: source)
        let now = ReplayedNode.start + 13_000_000_000
        var table = try #require(source.picture(tick: 13).rows.first { $0.occupancy.resource.kind == .conntrack })
            .occupancy
        table.time = now - 40_000_000_000
        source.node.look([table], at: now) { $0.kind == .conntrack }
        screen.show(source.node.picture(at: now))
        let holders = "host 50%, shop/checkout-7d9f6c8b5-kx2vq 25%, shop/worker-6b7c9d-abcde/app 6%"
        for (columns, words) in [(120, "    \(holders) as of 40 s ago"), (200, "  host 50%, "), (60, "    host 50%, ")]
        {
            let lines = screen.frame(columns: columns, rows: 40).text.split(separator: "\n")
            let old = lines.filter { $0.hasSuffix(" as of 40 s ago") }
            #expect(old.count == 1)
            #expect(old.first?.contains(words) == true)
            #expect(old.allSatisfy { TerminalText(escaping: Array($0.utf8)).width <= columns })
        }
        for key in [TopKey.down, .down, .enter] { #expect(screen.press(key)) }
        #expect(screen.frame(columns: 80, rows: 24).text.contains("\nholders as of 40 s ago\n"))
    }

    @Test func aResourceThatGoesAway() {
        let source = ReplayedNode(resources: 9)
        let screen = screen(source: source)
        #expect(screen.press(.end))
        #expect(screen.press(.enter))
        source.node.look([], at: ReplayedNode.start + 13_000_000_000) { _ in true }
        screen.show(source.node.picture(at: ReplayedNode.start + 13_000_000_000))
        #expect(screen.frame(columns: 80, rows: 24).text.contains("It is not used any more."))
        #expect(screen.press(.escape))
        // What still fails stays, without figures.
        #expect(screen.frame(columns: 80, rows: 24).text.contains("not known]"))
    }
}

/// A screen that keys and sizes change.
private final class Shown {
    private var screen: TopScreen

    init(_ screen: TopScreen) {
        self.screen = screen
    }

    func press(_ key: TopKey) -> Bool { screen.press(key) }
    func frame(columns: Int, rows: Int) -> TopFrame { screen.frame(columns: columns, rows: rows) }
    func show(_ picture: TopPicture) { screen.show(picture) }
    func say(_ line: [UInt8]) { screen.say(line) }
}

extension TopFrame {
    /// What the screen shows, without colours.
    fileprivate var text: String {
        lines.map { line in
            var text = TerminalText()
            for span in line {
                text = text.padded(to: span.column)
                text.append(TerminalText(escaping: span.bytes))
            }
            return String(decoding: text.withoutTrailingSpaces, as: UTF8.self) + "\n"
        }.joined()
    }
}
