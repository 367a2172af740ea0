internal import Glibc

/// Small files of procfs.
enum ProcFile {
    /// The number that a file consists of; nil where there is none.
    static func number(_ path: String) -> UInt64? {
        var number: UInt64?
        NodeProc.forEachLine(of: path) { line in
            number = UInt64(String(decoding: line.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
            return false
        }
        return number
    }

    /// Whether the first line of a file is this.
    static func isLine(_ path: String, _ text: String) -> Bool {
        var isLine = false
        NodeProc.forEachLine(of: path) { line in
            isLine = line.dropLast().elementsEqual(text.utf8)
            return false
        }
        return isLine
    }

    /// The number behind a name, as /proc/meminfo has them: `MemTotal:  24684876 kB`; nil where there is none.
    static func number(_ path: String, named name: StaticString) -> UInt64? {
        var number: UInt64?
        NodeProc.forEachLine(of: path) { line in
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count > 1, name.withUTF8Buffer({ fields[0].elementsEqual($0) }) else { return true }
            let digits = fields[1].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            number = UInt64(String(decoding: digits, as: UTF8.self))
            return false
        }
        return number
    }

    /// A counter of /proc/net/netstat, which has a line of names and a line of numbers for each group; nil where the
    /// kernel does not count it.
    static func counter(_ path: String, group: StaticString, name: StaticString) -> UInt64? {
        var column: Int?
        var number: UInt64?
        NodeProc.forEachLine(of: path) { line in
            let fields = line.dropLast().split(separator: UInt8(ascii: " "))
            guard let first = fields.first, group.withUTF8Buffer({ first.elementsEqual($0) }) else { return true }
            if let column {
                number = column < fields.count ? UInt64(String(decoding: fields[column], as: UTF8.self)) : nil
                return false
            }
            column = fields.firstIndex { field in name.withUTF8Buffer { field.elementsEqual($0) } }
            return column != nil
        }
        return number
    }
}
