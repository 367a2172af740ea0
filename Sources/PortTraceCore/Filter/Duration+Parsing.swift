extension Duration {
    /// Reads a duration option: a positive whole number and a unit, `ms`, `s`, `m` or `h`.
    ///
    /// - Throws: ``OptionError`` where it is none, or too long to count in nanoseconds (about 292 years).
    public init(parsing text: some Collection<UInt8>) throws(OptionError) {
        let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let nanoseconds: Int64
        switch String(decoding: text.dropFirst(digits.count), as: UTF8.self) {
        case "ms": nanoseconds = 1_000_000
        case "s": nanoseconds = 1_000_000_000
        case "m": nanoseconds = 60_000_000_000
        case "h": nanoseconds = 3_600_000_000_000
        default: throw OptionError(text, Duration.problem)
        }
        guard !digits.isEmpty else { throw OptionError(text, Duration.problem) }
        guard let number = wholeNumber(digits).flatMap(Int64.init(exactly:)) else {
            throw OptionError(text, "is too long a duration")
        }
        guard number > 0 else { throw OptionError(text, "is not a positive duration") }
        let (total, overflow) = number.multipliedReportingOverflow(by: nanoseconds)
        if overflow { throw OptionError(text, "is too long a duration") }
        self = .nanoseconds(total)
    }

    /// The duration in nanoseconds.
    ///
    /// - Precondition: it was read by ``init(parsing:)``, or fits.
    public var wholeNanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }

    private static var problem: String {
        "is not a duration: a positive whole number and ms, s, m or h, such as 30s"
    }
}
