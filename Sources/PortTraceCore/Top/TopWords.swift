/// Figures in few columns.
enum TopWords {
    /// A count in no more than so many columns, at least 4: `262144`, `1048k`, `12M`.
    static func count(_ number: UInt64, columns: Int) -> String {
        if decimalDigits(number) <= columns { return "\(number)" }
        if decimalDigits(number / 1_000) < columns { return "\(number / 1_000)k" }
        if decimalDigits(number / 1_000_000) < columns { return "\(number / 1_000_000)M" }
        return "\(number / 1_000_000_000)G"
    }

    /// A number of a second: `12`, `0.4`; with a sign, and hundredths, where it may shrink; empty for none.
    static func rate(_ rate: Double?, signed: Bool) -> String {
        guard let rate else { return "" }
        let size = min(abs(rate), 1e15)
        let sign = !signed ? "" : rate < 0 ? "-" : "+"
        if size < 0.05 {
            let hundredths = UInt64((size * 100).rounded())
            return !signed ? "" : hundredths > 0 ? "\(sign)0.0\(hundredths)" : rate > 0 ? "<0.01" : "0"
        }
        if size >= 9.95 { return sign + count(UInt64(size.rounded()), columns: 5) }
        let tenths = UInt64((size * 10).rounded())
        return "\(sign)\(tenths / 10).\(tenths % 10)"
    }

    /// `35s`, `12m`, `3h`, or that it is full; empty where there is none.
    static func eta(_ row: TopRow) -> String {
        if row.isMeasured, row.occupancy.reaches(1_000) { return "full" }
        guard let nanoseconds = row.eta else { return "" }
        let seconds = nanoseconds / 1_000_000_000
        return seconds < 100 ? "\(seconds)s" : seconds < 6_000 ? "\(seconds / 60)m" : "\(seconds / 3_600)h"
    }

    /// A share in whole percents, rounded down: 100 is full and nothing else.
    static func percent(_ used: UInt64, of limit: UInt64) -> UInt64 {
        guard limit > 0 else { return 0 }
        let (percent, overflow) = used.multipliedReportingOverflow(by: 100)
        return overflow ? used / max(limit / 100, 1) : percent / limit
    }

    /// `[||||||      61%]` in so many columns, at least 8.
    static func bar(_ row: TopRow, columns: Int) -> String {
        let inside = columns - 2
        guard row.isMeasured, let limit = row.occupancy.limit, limit > 0 else {
            let words = row.isMeasured ? "no limit" : "not known"
            return "[\(String(repeating: " ", count: max(inside - words.utf8.count, 0)))\(words)]"
        }
        let percent = percent(row.occupancy.used, of: limit)
        let figure = "\(min(percent, 999))%"
        let full = Int(min(percent, 100)) * inside / 100
        let bars = String(repeating: "|", count: min(full, inside - figure.utf8.count))
        let gap = String(repeating: " ", count: inside - figure.utf8.count - bars.utf8.count)
        return "[\(bars)\(gap)\(figure)]"
    }
}

extension TopRow {
    /// How near it is to its limit, or that it fails.
    var style: TopStyle {
        if isFailing || occupancy.reaches(PressureThreshold.critical.level) { return .critical }
        return occupancy.reaches(PressureThreshold.high.level) ? .high : .calm
    }
}
