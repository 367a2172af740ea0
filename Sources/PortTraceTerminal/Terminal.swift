import CLinux
import CNcurses
import Glibc
import PortTraceCore

/// The terminal on standard input and output, by ncurses: it draws frames and gives keys.
///
/// One a process. ``close()`` gives the terminal back as it was, as often as it is called.
final class Terminal {
    private enum Colour: Int16 {
        case calm = 1
        case high, critical

        var number: Int16 {
            switch self {
            case .calm: Int16(COLOR_GREEN)
            case .high: Int16(COLOR_YELLOW)
            case .critical: Int16(COLOR_RED)
            }
        }
    }

    private let type: String
    /// Whether it takes UTF-8, as far as can be known.
    let isUnicode: Bool
    private let wantsColour: Bool
    private var hasColour = false
    private(set) var isOpen = false
    /// Whether it was given back for a while, or taken: by another process group, from the background.
    private(set) var isAway = false
    private let output: TerminalOutput

    /// Finds out what the terminal can do; nothing is drawn yet.
    ///
    /// - Parameter wantsColour: whether there may be colours.
    /// - Throws: ``TerminalError`` where there is no terminal, or one that cannot be drawn on.
    init(wantsColour: Bool) throws(TerminalError) {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else { throw .noTerminal }
        guard let type = getenv("TERM").map({ String(cString: $0) }), !type.isEmpty else { throw .untyped }
        self.type = type
        self.wantsColour = wantsColour
        isUnicode = Self.chooseLocale()
        if screen_find_type(type) != OK {
            guard let entry = TerminfoEntries.entry(for: type) else { throw .unknown(type) }
            setenv("TERMINFO", "\(entry)", 1)
            guard screen_find_type(type) == OK else { throw .unknown(type) }
        }
        guard screen_type_is_able() != 0, let output = TerminalOutput() else { throw .unable(type) }
        self.output = output
    }

    /// Takes the terminal.
    ///
    /// - Throws: ``TerminalError/unable(_:)``.
    func open() throws(TerminalError) {
        guard screen_open(type, output.drawing) == OK else { throw .unable(type) }
        isOpen = true
        hasColour = wantsColour && screen_start_colours() != 0
        guard hasColour else { return }
        for colour in [Colour.calm, .high, .critical] { init_pair(colour.rawValue, colour.number, -1) }
    }

    func close() {
        guard isOpen else { return }
        if !isAway { leave() }
        isOpen = false
    }

    // MARK: Away and back

    /// Gives the terminal back, for a while or for good.
    func leave() {
        // Where the user has stopped the output (Ctrl-S) it would wait for ever. TCOON goes on with it only after a TCOOFF
        // (n_tty_ioctl_helper(), drivers/tty/tty_ioctl.c).
        tcflow(STDOUT_FILENO, TCOOFF)
        tcflow(STDOUT_FILENO, TCOON)
        // endwin() sets the modes when all was sent, however long that takes.
        output.finish()
        endwin()
        output.finish()
        isAway = true
    }

    /// Others may have written, or changed the terminal's modes: nothing is drawn until it is taken back.
    func lose() {
        isAway = true
    }

    /// Takes the terminal back, where this process group may; what is drawn next is all. From the background the kernel would
    /// stop this process for it, with SIGTTOU.
    ///
    /// - Returns: Whether it has.
    func comeBack() -> Bool {
        let owner = tcgetpgrp(STDOUT_FILENO)
        guard isAway, owner < 0 || owner == getpgrp() else { return false }
        isAway = false
        output.finish()
        reset_prog_mode()
        screen_fit()
        screen_distrust()
        return true
    }

    /// The terminal has another size.
    func fit() {
        screen_fit()
    }

    // MARK: Drawing

    var columns: Int { Int(screen_columns()) }
    var rows: Int { Int(screen_rows()) }

    /// To be polled, with ``send()`` to follow: the terminal takes more.
    var polled: pollfd { isAway ? pollfd(fd: -1, events: 0, revents: 0) : output.polled }

    /// Writes what was drawn, as far as the terminal takes it.
    ///
    /// - Returns: Whether it has taken all, and may be drawn on.
    func send() -> Bool {
        guard isOpen, !isAway else { return false }
        output.write()
        return !output.waits
    }

    /// Draws what has changed, once ``send()`` has said that it may; ``send()`` sends it.
    func draw(_ frame: TopFrame) {
        screen_erase()
        for (row, line) in frame.lines.enumerated() {
            for span in line {
                span.bytes.withUnsafeBytes {
                    screen_put(
                        Int32(row), Int32(span.column), $0.bindMemory(to: CChar.self).baseAddress, Int32($0.count),
                        attributes(of: span.style))
                }
            }
        }
        screen_show()
    }

    private func attributes(of style: TopStyle) -> UInt32 {
        switch style {
        case .plain: 0
        case .bold: screen_bold
        case .dim: screen_dim
        case .reverse: screen_reverse
        case .calm: hasColour ? screen_pair(Colour.calm.rawValue) : 0
        case .high: screen_bold | (hasColour ? screen_pair(Colour.high.rawValue) : 0)
        case .critical: screen_bold | (hasColour ? screen_pair(Colour.critical.rawValue) : 0)
        }
    }

    // MARK: Keys

    /// The next key that was pressed; nil: none is left.
    func key() -> TopKey? {
        while true {
            let code = screen_key()
            switch code {
            case ERR: return nil
            case KEY_UP: return .up
            case KEY_DOWN: return .down
            case KEY_PPAGE: return .pageUp
            case KEY_NPAGE: return .pageDown
            case KEY_HOME: return .home
            case KEY_END: return .end
            case KEY_ENTER, 10, 13: return .enter
            case KEY_BACKSPACE, 8, 127: return .backspace
            case 27: return .escape
            case 0...255: return .byte(UInt8(code))
            default: continue
            }
        }
    }

    // MARK: Text

    /// Takes a locale with UTF-8: the user's, or where it is none in particular one that there may be.
    ///
    /// - Returns: Whether there is one; without, ncurses would take a character's bytes for several.
    private static func chooseLocale() -> Bool {
        if let chosen = setlocale(LC_CTYPE, ""), !["C", "POSIX"].contains(String(cString: chosen)) {
            return isUTF8
        }
        let others: [String] = ["C.UTF-8", "C.utf8", "en_US.UTF-8"]
        return others.contains { setlocale(LC_CTYPE, $0) != nil && isUTF8 }
    }

    private static var isUTF8: Bool { nl_langinfo(Int32(CODESET)).map { String(cString: $0) } == "UTF-8" }
}

/// Why there is no screen.
public enum TerminalError: Error {
    /// Standard input or output is none.
    case noTerminal
    /// TERM is not set.
    case untyped
    /// Nobody knows that type.
    case unknown(String)
    /// It cannot place its cursor.
    case unable(String)
}
