internal import CJansson

/// Owns the tree of a parsed text.
final class JSONDocument {
    private let tree: UnsafeMutablePointer<json_t>

    private init(_ tree: UnsafeMutablePointer<json_t>) {
        self.tree = tree
    }

    deinit { json_decref(tree) }

    var root: JSONValue { JSONValue(self, tree) }

    /// - Parameter mayGoOn: Whether bytes may follow the value.
    /// - Returns: The value and the number of bytes up to its end.
    static func parse(_ bytes: ArraySlice<UInt8>, mayGoOn: Bool) throws(JSONError) -> (root: JSONValue, length: Int) {
        var error = json_error_t()
        let flags =
            JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | (mayGoOn ? JSON_DISABLE_EOF_CHECK : 0)
        let tree = bytes.withUnsafeBytes { buffer in
            json_loadb(buffer.baseAddress, buffer.count, Int(flags), &error)
        }
        guard let tree else {
            throw JSONError(line: max(1, Int(error.line)), reason: reason(error))
        }
        return (JSONDocument(tree).root, Int(error.position))
    }

    /// jansson's words without the text that it quotes: `… near 'TEXT'`.
    private static func reason(_ error: json_error_t) -> String {
        let text = withUnsafeBytes(of: error.text) { Array($0.prefix { $0 != 0 }) }
        let near = Array(" near ".utf8)
        let end = text.indices.first { text[$0...].starts(with: near) } ?? text.count
        let words = String(decoding: text[..<end], as: UTF8.self)
        return words.utf8.allSatisfy { (0x20..<0x7f).contains($0) } && !words.isEmpty ? words : "invalid"
    }
}
