/// What standard output carries: the value of `--output`.
public enum OutputFormat: Equatable, Sendable {
    /// Lines for a person.
    case text
    /// One JSON object a line.
    case ndjson

    /// Reads the option's value.
    ///
    /// - Throws: ``OptionError`` for any other word.
    public init(parsing text: some Collection<UInt8>) throws(OptionError) {
        if text.elementsEqual("text".utf8) {
            self = .text
        } else if text.elementsEqual("ndjson".utf8) {
            self = .ndjson
        } else {
            throw OptionError(text, "is not an output format: text or ndjson")
        }
    }
}
