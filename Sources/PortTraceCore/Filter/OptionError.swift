/// Why an option's value cannot be used; the caller names the option.
public struct OptionError: Error, Equatable, CustomStringConvertible {
    /// One line that names the value and what is wrong with it, safe on a terminal.
    public let message: String

    public var description: String { message }

    /// - Parameter value: what the user gave, any bytes.
    init(_ value: some Collection<UInt8>, _ problem: String) {
        message = "'\(TerminalText(escaping: Array(value)).string)' \(problem)"
    }
}

/// A whole number in decimal digits and nothing else; nil also where it does not fit.
func wholeNumber(_ text: some Collection<UInt8>) -> UInt64? {
    guard !text.isEmpty else { return nil }
    var number: UInt64 = 0
    for byte in text {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
        let (product, tooLarge) = number.multipliedReportingOverflow(by: 10)
        let (sum, overflow) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
        if tooLarge || overflow { return nil }
        number = sum
    }
    return number
}

/// The parts of a comma list.
///
/// - Throws: ``OptionError`` where one is empty.
func listItems(_ text: some Collection<UInt8>) throws(OptionError) -> [[UInt8]] {
    let items = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map { Array($0) }
    if items.contains([]) {
        throw OptionError(text, text.isEmpty ? "is empty" : "has an empty item in its comma list")
    }
    return items
}
