/// Writes UTC times, remembering the date and time of day of the seconds just written.
struct TimestampCache {
    fileprivate struct Second {
        /// Seconds since 1970; -1 before first use.
        private(set) var number: Int64 = -1
        /// `2026-11-21T08:20:45.`
        private(set) var text: InlineArray<20, UInt8> = .init(repeating: 0)

        init() {}
    }

    // Two, as the times of one flush lie on both sides of a second's end.
    private var even = Second()
    private var odd = Second()

    /// Adds a time as RFC 3339 with nine decimals and `Z`.
    ///
    /// - Parameter nanoseconds: UTC since 1970, not negative.
    mutating func append(_ nanoseconds: Int64, to output: inout OutputBuffer) {
        let (second, fraction) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if second & 1 == 0 {
            TimestampCache.append(second, of: &even, to: &output)
        } else {
            TimestampCache.append(second, of: &odd, to: &output)
        }
        output.append(decimal: UInt64(fraction), digits: 9)
        output.append(byte: UInt8(ascii: "Z"))
    }

    @inline(__always)
    private static func append(_ second: Int64, of slot: inout Second, to output: inout OutputBuffer) {
        if slot.number != second { slot = Second(second) }
        withUnsafeBytes(of: slot.text) { output.append($0) }
    }

    /// Adds the time of day, `08:20:45.123`, UTC.
    static func append(timeOfDay nanoseconds: Int64, to output: inout OutputBuffer) {
        let milliseconds = UInt64(nanoseconds) / 1_000_000 % 86_400_000
        output.append(decimal: milliseconds / 3_600_000, digits: 2)
        output.append(byte: UInt8(ascii: ":"))
        output.append(decimal: milliseconds / 60_000 % 60, digits: 2)
        output.append(byte: UInt8(ascii: ":"))
        output.append(decimal: milliseconds / 1_000 % 60, digits: 2)
        output.append(byte: UInt8(ascii: "."))
        output.append(decimal: milliseconds % 1_000, digits: 3)
    }
}

extension TimestampCache.Second {
    init(_ number: Int64) {
        let (days, second) = number.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = civilDate(daysSince1970: days)
        self.number = number
        var end = 0
        put(year, digits: 4, then: "-", &end)
        put(month, digits: 2, then: "-", &end)
        put(day, digits: 2, then: "T", &end)
        put(second / 3_600, digits: 2, then: ":", &end)
        put(second / 60 % 60, digits: 2, then: ":", &end)
        put(second % 60, digits: 2, then: ".", &end)
    }

    private mutating func put(
        _ value: Int64, digits: Int, then separator: Unicode.Scalar, _ end: inout Int
    ) {
        var rest = value
        for index in (end..<end + digits).reversed() {
            text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        text[end + digits] = UInt8(ascii: separator)
        end += digits + 1
    }
}

/// The Gregorian date of a day, 0 being 1970-01-01 and none before it.
///
/// Counts in eras of 400 years from 0000-03-01, so that the leap day is a year's last.
func civilDate(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let days = daysSince1970 + 719_468
    let (era, dayOfEra) = days.quotientAndRemainder(dividingBy: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + 400 * era + (month <= 2 ? 1 : 0), month, day)
}
