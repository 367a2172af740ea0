/// Why a text is no JSON, or none that is read here.
public struct JSONError: Error, Equatable {
    /// The line in which the text begins, and the one in which it turned out bad; the first is 1.
    public var firstLine: Int
    public var line: Int
    /// In a few words, without the text's own bytes.
    public var reason: String

    public init(firstLine: Int = 1, line: Int = 1, reason: String) {
        self.firstLine = firstLine
        self.line = line
        self.reason = reason
    }
}
