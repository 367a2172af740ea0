/// How fast a resource grows, from what was found at the last looks.
///
/// At most 32 looks are kept, at least 0.9 s apart but for the last two: half a minute where looks are frequent, more where
/// they are seldom. The rate is the slope of the line through the longest run of them, from the latest back, that is
/// nearly straight: what stood still and then began to climb is measured from where it began. Where no run is straight,
/// it is the line through all of them. What does not follow that closely is measured by the last three, if they are straight
/// and have risen by more than chance: a climb that has only begun. What does not follow it at all is not rising. What has
/// stood still at the last looks for longer than it can by chance, at the rate of all of them, does not grow.
struct Trend: Sendable {
    private struct Look {
        /// CLOCK_MONOTONIC, nanoseconds.
        var time: UInt64
        var used: UInt64
    }

    private static let mostLooks = 32
    /// Nanoseconds.
    private static let spacing: UInt64 = 900_000_000
    /// Looks that a straight run has at least, and how much of their variance it explains.
    private static let leastRun = 5
    private static let straight = 0.985
    /// The same for all looks together, where none is straight: closely, as a few must, and at all; less of it is noise.
    private static let followingClosely = 0.9
    private static let following = 0.6
    /// Looks that a climb has which has only begun, and the share of the limit, one in so many, that it then has risen by.
    private static let leastClimb = 3
    private static let begun: UInt64 = 20
    /// How much it would have grown meanwhile, where standing still is no chance.
    private static let missed = 3.0
    /// Seconds; what is farther away than a day is noise too.
    private static let longest = 86_400.0

    private var looks: [Look] = []

    init() {}

    /// Takes what was found.
    ///
    /// - Parameter time: CLOCK_MONOTONIC, nanoseconds; one that is not later than the last replaces it.
    mutating func add(_ used: UInt64, at time: UInt64) {
        if let last = looks.last {
            if last.time >= time || looks.count > 1 && last.time - looks[looks.count - 2].time < Trend.spacing {
                looks.removeLast()
            }
            if looks.count == Trend.mostLooks { looks.removeFirst() }
        }
        looks.append(Look(time: time, used: used))
    }

    /// Growth a second, negative where it shrinks; nil: there was one look only.
    ///
    /// - Parameter limit: of what grows; nil: there is none.
    func rate(towards limit: UInt64?) -> Double? { line(towards: limit)?.slope }

    /// Nanoseconds until it reaches a limit at this rate; nil: it is not rising, or it is farther away than a day.
    func eta(to limit: UInt64) -> UInt64? {
        guard let line = line(towards: limit), line.isRising, let last = looks.last else { return nil }
        // Two looks alone may differ by chance.
        if looks.count == 2, last.used < looks[0].used + limit / Trend.begun { return nil }
        let seconds = Double(limit - min(limit, last.used)) / line.slope
        return seconds <= Trend.longest ? UInt64(seconds * 1e9) : nil
    }

    private struct Line {
        var slope: Double
        /// How much of the variance it explains, 0 to 1.
        var fit: Double
        var isRising = false
    }

    private func line(towards limit: UInt64?) -> Line? {
        guard looks.count > 1, let whole = line(through: looks[...]) else { return nil }
        var chosen = whole
        let least = looks.count < Trend.leastRun ? Trend.followingClosely : Trend.following
        chosen.isRising = whole.slope > 0 && whole.fit >= least
        guard whole.fit < Trend.straight else { return chosen }
        if looks.count > Trend.leastRun {
            if isStill(at: whole.slope) { return Line(slope: 0, fit: 1) }
            for count in (Trend.leastRun..<looks.count).reversed() {
                guard var run = line(through: looks.suffix(count)), run.fit >= Trend.straight else { continue }
                run.isRising = run.slope > 0
                return run
            }
        }
        return whole.fit < Trend.followingClosely ? climb(towards: limit) ?? chosen : chosen
    }

    /// The line through the last looks, where it climbs there; nil: it does not.
    private func climb(towards limit: UInt64?) -> Line? {
        let last = looks.suffix(Trend.leastClimb)
        guard let limit, let from = last.first?.used, let to = last.last?.used, to >= from + limit / Trend.begun,
            var line = line(through: last), line.fit >= Trend.straight
        else { return nil }
        line.isRising = true
        return line
    }

    /// Whether it has stood still at the last looks, for longer than it can by chance.
    private func isStill(at rate: Double) -> Bool {
        guard let last = looks.last else { return false }
        let still = looks.reversed().prefix { $0.used == last.used }
        guard still.count >= Trend.leastRun, let first = still.last else { return false }
        return abs(rate) * Double(last.time - first.time) / 1e9 >= Trend.missed
    }

    /// The line of least squares; nil where all looks are of one time.
    private func line(through looks: ArraySlice<Look>) -> Line? {
        let (first, count) = (looks[looks.startIndex], Double(looks.count))
        // From the first look on: small numbers keep their digits.
        let points = looks.map {
            (x: Double($0.time - first.time) / 1e9, y: Double($0.used) - Double(first.used))
        }
        let meanX = points.reduce(0) { $0 + $1.x } / count
        let meanY = points.reduce(0) { $0 + $1.y } / count
        var (xx, xy, yy) = (0.0, 0.0, 0.0)
        for point in points {
            let (x, y) = (point.x - meanX, point.y - meanY)
            xx += x * x
            xy += x * y
            yy += y * y
        }
        guard xx > 0 else { return nil }
        return Line(slope: xy / xx, fit: yy > 0 ? xy * xy / (xx * yy) : 0)
    }
}
