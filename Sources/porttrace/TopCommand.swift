import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes
import PortTraceTerminal

/// `porttrace top`: the resources nearest to their limit, on a terminal or as lines.
enum TopCommand {
    /// - Returns: The exit status.
    /// - Throws: ``UsageError`` without a terminal, ``ProbeError`` for one that cannot be drawn on, where nothing can be
    ///   attached, or where a file of the options cannot be read.
    static func run(_ options: WatchOptions, format: OutputFormat) throws -> Int32 {
        let display = format == .text ? try display() : nil
        defer { display?.close() }
        let watch = try NodeWatch(options, format: nil)
        defer { watch.close() }
        let source = NodeTopSource(watch, forTerminal: format == .text)
        let view: any WatchView =
            if let display { TopView(source, on: display) } else { TopLines(source, to: watch.output) }
        try watch.run(view)
        return watch.stream.undecodable == 0 ? watch.output.exitStatus() : 1
    }

    private static func display() throws -> TopDisplay {
        do {
            return try TopDisplay(wantsColour: Environment.allowsColour)
        } catch {
            if case .noTerminal = error {
                throw UsageError(message: "top needs a terminal as standard input and output, or -o ndjson")
            }
            throw ProbeError(error)
        }
    }
}

/// The screen of `top`.
private final class TopView: WatchView {
    private let source: any TopSource
    private let display: TopDisplay

    init(_ source: any TopSource, on display: TopDisplay) {
        self.source = source
        self.display = display
    }

    func begin() throws(ProbeError) {
        do {
            try display.open(source.node, source.pictureNow())
        } catch {
            throw ProbeError(error)
        }
    }

    var polled: [pollfd] { display.polled }
    func update() -> Bool { display.update() }
    func flushed() { display.show(source.pictureNow()) }
    func end() { display.close() }
}

/// The lines of `top -o ndjson`.
private final class TopLines: WatchView {
    private let source: any TopSource
    private let output: StandardOutput

    init(_ source: any TopSource, to output: StandardOutput) {
        self.source = source
        self.output = output
    }

    var polled: [pollfd] { [] }
    func begin() {}
    func update() -> Bool { true }
    func end() {}

    func flushed() {
        // As of when its rates are.
        let time = KernelClock.utcNow()
        source.node.withSnapshot(of: source.pictureNow(), at: time) { output.write($0) }
    }
}

extension TopSource {
    fileprivate func pictureNow() -> TopPicture {
        let now = UInt64(KernelClock.monotonicNow())
        refresh(at: now)
        return node.picture(at: now)
    }
}

extension ProbeError {
    fileprivate init(_ error: TerminalError) {
        let hint = "try TERM=xterm-256color, or -o ndjson"
        switch error {
        case .noTerminal: self.init("no terminal", hint: hint)
        case .untyped: self.init("TERM is not set: what the terminal can do is not known", hint: hint)
        case .unknown(let type): self.init("the terminal's type \(Self.quoted(type)) (TERM) is not known", hint: hint)
        case .unable(let type): self.init("a terminal of type \(Self.quoted(type)) cannot place its cursor", hint: hint)
        }
    }

    private static func quoted(_ text: String) -> String {
        "'\(String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : Character($0) }))'"
    }
}
