internal import JSON

/// The little of TOML that names directories: `key = "value"` under a `[table]`, on a line of its own.
struct TextConfiguration {
    /// Lines as table, key and value.
    private var entries: [(table: String, key: String, value: String)] = []

    /// A file that is not there has no entries.
    init(_ bytes: [UInt8]?) {
        var table = ""
        for line in (bytes ?? []).split(separator: UInt8(ascii: "\n")) {
            let line = line.trimmed
            if line.first == UInt8(ascii: "[") {
                let end = line.firstIndex(of: UInt8(ascii: "]")) ?? line.endIndex
                table = String(decoding: line[line.startIndex..<end].dropFirst().trimmed, as: UTF8.self)
            } else if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
                let key = String(decoding: line[..<equals].trimmed, as: UTF8.self)
                if let value = Self.string(line[line.index(after: equals)...].trimmed) {
                    entries.append((table, key, value))
                }
            }
        }
    }

    /// An absolute path without a final slash; nil where there is none that means a directory of its own.
    func path(_ key: String, table: String) -> String? {
        entries.last { $0.table == table && $0.key == key }.flatMap { Self.path($0.value) }
    }

    /// `data-root` of Docker's daemon.json, or `graph`, its old name.
    static func dockerRoot(_ bytes: [UInt8]?) -> String? {
        guard let bytes, let text = try? JSONText(bytes, limit: HostFolder.largestFile),
            let found = text.members(["data-root", "graph"])
        else { return nil }
        for case let part? in found {
            if let value = try? part.value().string, !value.contains(0) {
                return path(String(decoding: value, as: UTF8.self))
            }
        }
        return nil
    }

    /// A value in quotes or apostrophes; what follows is a comment. Paths with escapes are not taken.
    private static func string(_ value: some BidirectionalCollection<UInt8>) -> String? {
        guard let quote = value.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else { return nil }
        let text = value.dropFirst().prefix { $0 != quote }
        guard text.count + 2 <= value.count, !text.contains(0), !text.contains(UInt8(ascii: "\\")) else { return nil }
        return String(decoding: text, as: UTF8.self)
    }

    private static func path(_ value: String) -> String? {
        var path = value[...]
        while path.utf8.last == UInt8(ascii: "/") { path = path.dropLast() }
        guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count < 1024 else { return nil }
        return String(path)
    }
}

extension BidirectionalCollection<UInt8> {
    /// Without the white space around it.
    fileprivate var trimmed: SubSequence {
        var trimmed = self[...]
        while let first = trimmed.first, first.isBlank { trimmed = trimmed.dropFirst() }
        while let last = trimmed.last, last.isBlank { trimmed = trimmed.dropLast() }
        return trimmed
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") || self == 13 }
}
