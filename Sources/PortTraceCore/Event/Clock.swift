/// Turns the kernel's monotonic times into UTC.
public struct Clock: Sendable {
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, in nanoseconds.
    public var utcOffsetNanoseconds: Int64

    /// A clock with the offset as just measured.
    public init(utcOffsetNanoseconds: Int64) {
        self.utcOffsetNanoseconds = utcOffsetNanoseconds
    }

    /// UTC of a monotonic time, both in nanoseconds; no earlier than 1970.
    func utc(monotonic nanoseconds: UInt64) -> Int64 {
        let (sum, overflow) = Int64(clamping: nanoseconds).addingReportingOverflow(utcOffsetNanoseconds)
        return overflow ? .max : max(sum, 0)
    }

    /// The monotonic time of a UTC one, both in nanoseconds; from 1 on.
    func monotonic(utc nanoseconds: Int64) -> UInt64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(utcOffsetNanoseconds)
        return overflow ? 1 : UInt64(max(difference, 1))
    }
}
