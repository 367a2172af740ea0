/// A key that was pressed.
public enum TopKey: Equatable, Sendable {
    case up, down, pageUp, pageDown, home, end
    case enter, escape, backspace
    /// A character, or a byte of one.
    case byte(UInt8)
}

/// The state of `porttrace top`'s screen: what is shown of a picture, and what keys change about it.
public struct TopScreen {
    enum View {
        case list
        case details
        case help
    }

    let node: TopNode
    let isUnicode: Bool
    private(set) var picture: TopPicture
    /// The latest, while another stands still.
    private var latest: TopPicture?
    private(set) var view = View.list
    private(set) var order = TopOrder.nearness
    /// What rows must contain.
    private(set) var wanted: [UInt8] = []
    /// What is being typed; nil: nothing is.
    private(set) var typed: [UInt8]?
    /// What is to be shown, in order.
    private(set) var rows: [TopRow] = []
    /// The row that is selected; nil: the first, whichever it is.
    private(set) var selected: Resource?
    /// The first row, or line of a text, that is shown. Brought into bounds by the layout.
    var first = 0
    /// Rows that the last layout had room for.
    var pageSize = 1
    /// What is to be said at the bottom until the next key.
    private(set) var message = TerminalText()

    /// - Parameter isUnicode: whether the terminal takes UTF-8.
    public init(_ node: TopNode, _ picture: TopPicture, isUnicode: Bool) {
        self.node = node
        self.isUnicode = isUnicode
        self.picture = picture
        arrange()
    }

    var isPaused: Bool { latest != nil }

    /// Takes a new picture; it is shown at once but while the screen is paused.
    public mutating func show(_ picture: TopPicture) {
        if isPaused {
            latest = picture
        } else {
            self.picture = picture
            arrange()
        }
    }

    /// Takes a line that this process has said on standard error, any bytes.
    public mutating func say(_ line: [UInt8]) {
        // Without what would have cleared the line before it: see StandardError.
        message = TerminalText(escaping: Array(line.drop { $0 == UInt8(ascii: "\r") }.trimmingEscape))
    }

    /// - Returns: Whether to go on; false: the user has asked for the end.
    public mutating func press(_ key: TopKey) -> Bool {
        message = TerminalText()
        if typed != nil {
            type(key)
            return true
        }
        switch key {
        case .byte(UInt8(ascii: "q")): return false
        case .byte(UInt8(ascii: "p")): pause()
        case .byte(UInt8(ascii: "?")), .byte(UInt8(ascii: "h")): turn(to: view == .help ? .list : .help)
        case .byte(UInt8(ascii: "/")):
            turn(to: .list)
            typed = wanted
        case .byte(UInt8(ascii: "s")) where view == .list: sort()
        case .enter: if view == .list, selectedIndex != nil { turn(to: .details) } else { turn(to: .list) }
        case .escape, .backspace: escape()
        case .up, .byte(UInt8(ascii: "k")): move(by: -1)
        case .down, .byte(UInt8(ascii: "j")): move(by: 1)
        case .pageUp: move(by: -pageSize)
        case .pageDown: move(by: pageSize)
        case .home: move(by: -rows.count - first)
        case .end: move(by: view == .list ? rows.count : Int(Int16.max))
        default: break
        }
        return true
    }

    /// Where the selected row is; nil: there is none.
    var selectedIndex: Int? {
        if let selected, let index = rows.firstIndex(where: { $0.occupancy.resource == selected }) { return index }
        return rows.isEmpty ? nil : 0
    }

    private mutating func turn(to view: View) {
        self.view = view
        first = 0
        if view == .details, selected == nil { selected = selectedIndex.map { rows[$0].occupancy.resource } }
    }

    private mutating func escape() {
        if view != .list {
            turn(to: .list)
        } else if !wanted.isEmpty {
            wanted = []
            arrange()
        } else {
            selected = nil
            first = 0
        }
    }

    private mutating func pause() {
        if let latest {
            self.latest = nil
            picture = latest
            arrange()
        } else {
            latest = picture
        }
    }

    private mutating func sort() {
        let all = TopOrder.allCases
        order = all[(all.firstIndex(of: order)! + 1) % all.count]
        arrange()
    }

    private mutating func move(by count: Int) {
        guard view == .list else {
            first = max(first + count, 0)
            return
        }
        guard let index = selectedIndex else { return }
        selected = rows[min(max(index + count, 0), rows.count - 1)].occupancy.resource
    }

    private mutating func type(_ key: TopKey) {
        switch key {
        case .enter: typed = nil
        case .escape:
            typed = nil
            wanted = []
        case .backspace:
            // All bytes of one character.
            while let last = typed?.popLast(), last & 0xc0 == 0x80 {}
            wanted = typed ?? []
        case .byte(let byte) where byte >= 0x20 && byte != 0x7f && wanted.count < 64:
            typed?.append(byte)
            wanted = typed ?? []
        default: return
        }
        arrange()
    }

    /// What is shown, of what there is.
    private mutating func arrange() {
        let (node, wanted, order) = (node, wanted, order)
        rows = wanted.isEmpty ? picture.rows : picture.rows.filter { node.matches($0, wanted) }
        if order != .nearness { rows.sort { order.places($0, before: $1) } }
    }
}

extension ArraySlice<UInt8> {
    /// Without an escape sequence of the form `ESC [ … letter` at the beginning.
    fileprivate var trimmingEscape: ArraySlice<UInt8> {
        guard starts(with: [0x1b, UInt8(ascii: "[")]) else { return self }
        return dropFirst(2).drop { $0 < 0x40 }.dropFirst()
    }
}
