internal import CJansson

/// A value inside a parsed text, which it keeps alive. To be used on one thread at a time with all values of its text.
public struct JSONValue {
    private let document: JSONDocument
    private let node: UnsafeMutablePointer<json_t>

    init(_ document: JSONDocument, _ node: UnsafeMutablePointer<json_t>) {
        self.document = document
        self.node = node
    }

    /// Reads a text that is one value. Numbers are read as a double has them, whatever their size: a limit of a
    /// container may be 18446744073709551615. Of equal keys the last one counts.
    ///
    /// - Throws: ``JSONError``: more than `limit` bytes, bytes that are no UTF-8, anything that is no JSON or follows
    ///   the value, more than 2048 levels.
    public init(parsing bytes: [UInt8], limit: Int) throws(JSONError) {
        guard bytes.count <= limit else { throw JSONError(reason: "more than \(limit) bytes") }
        self = try JSONDocument.parse(bytes[...], mayGoOn: false).root
    }

    /// The member of an object; nil where there is none or this is no object.
    public subscript(key: String) -> JSONValue? {
        json_object_get(node, key).map { JSONValue(document, $0) }
    }

    public var isObject: Bool { node.pointee.type == JSON_OBJECT }
    public var isArray: Bool { node.pointee.type == JSON_ARRAY }
    public var isNull: Bool { node.pointee.type == JSON_NULL }

    /// The UTF-8 of a string, which may have any character, NUL too; nil where this is none.
    public var string: [UInt8]? {
        guard let bytes = json_string_value(node) else { return nil }
        return Array(UnsafeRawBufferPointer(start: bytes, count: json_string_length(node)))
    }

    /// A whole number that a double holds exactly; nil where this is none.
    public var integer: Int? {
        guard node.pointee.type == JSON_REAL else { return nil }
        let value = json_real_value(node)
        return abs(value) <= 0x1p53 ? Int(exactly: value) : nil
    }

    /// nil where this is neither `true` nor `false`.
    public var boolean: Bool? {
        switch node.pointee.type {
        case JSON_TRUE: true
        case JSON_FALSE: false
        default: nil
        }
    }

    /// The elements of an array, in order; none where this is no array.
    public var elements: some Sequence<JSONValue> {
        (0..<json_array_size(node)).lazy.compactMap { [document, node] index in
            json_array_get(node, index).map { JSONValue(document, $0) }
        }
    }
}
