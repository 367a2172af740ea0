import Testing

@testable import PortTraceCore

@Suite struct TimeTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"), (1, "1970-01-01T00:00:00.000000001Z"),
            (999_999_999, "1970-01-01T00:00:00.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_799_999_999_999, "2000-02-29T23:59:59.999999999Z"),
            (1_709_164_799_000_000_000, "2024-02-28T23:59:59.000000000Z"),
            (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000000000Z"),
            (1_709_251_200_000_000_000, "2024-03-01T00:00:00.000000000Z"),
            (1_735_689_599_123_456_789, "2024-12-31T23:59:59.123456789Z"),
            (1_735_689_600_000_000_000, "2025-01-01T00:00:00.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (Int64.max, "2262-04-11T23:47:16.854775807Z"),
        ] as [(Int64, String)])
    func timestamps(_ nanoseconds: Int64, _ text: String) {
        var cache = TimestampCache()
        for _ in 0..<2 { #expect(written { cache.append(nanoseconds, to: &$0) } == text) }
    }

    /// Day by day beside a plain calendar.
    @Test func everyDayTo2200() {
        var (year, month, day) = (1970, 1, 1)
        for days in 0..<84_006 {
            let date = civilDate(daysSince1970: Int64(days))
            #expect(date == (Int64(year), Int64(month), Int64(day)))
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            if day > [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] {
                (month, day) = (month + 1, 1)
            }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(year == 2200 && month == 1 && day == 1)
    }

    @Test func cacheTellsSecondsApart() {
        var cache = TimestampCache()
        for second: Int64 in [5, 6, 7, 5, 6, 8, 7, 0] {
            #expect(
                written { cache.append(second * 1_000_000_000, to: &$0) } == "1970-01-01T00:00:0\(second).000000000Z")
        }
    }

    @Test(arguments: [
        (UInt64(5), Int64(10), Int64(15)), (5, -10, 0), (0, 0, 0), (.max, .max, .max), (.max, 0, .max),
        (UInt64(Int64.max), -1, .max - 1),
        (0, .min, 0),
    ])
    func clock(_ monotonic: UInt64, _ offset: Int64, _ utc: Int64) {
        #expect(Clock(utcOffsetNanoseconds: offset).utc(monotonic: monotonic) == utc)
    }

    @Test(arguments: [
        (Int64(0), "00:00:00.000"), (1_795_269_787_512_999_999, "14:03:07.512"), (86_399_999_000_000, "23:59:59.999"),
    ])
    func timesOfDay(_ nanoseconds: Int64, _ text: String) {
        #expect(written { TimestampCache.append(timeOfDay: nanoseconds, to: &$0) } == text)
    }
}
