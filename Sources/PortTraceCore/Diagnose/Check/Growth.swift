/// How fast a resource fills, from two looks at it.
struct Growth {
    /// More of it each second.
    let rate: Double
    /// Of that, what passes by itself: TIME_WAIT sockets, or entries that end with a timeout.
    private let passing: Double
    /// Seconds that such a one stays.
    private let lifetime: Double
    /// Seconds from the first look to the second.
    private let time: Double
    private let used: UInt64

    /// - Parameters:
    ///   - passing: how many of the growth stay for no longer than `lifetime`, in seconds.
    ///   - time: nanoseconds between the two.
    init(from earlier: UInt64, to used: UInt64, passing: Int64, lifetime: Double, time: UInt64) {
        self.time = Double(time) / 1e9
        let growth = Double(used) - Double(earlier)
        rate = growth / self.time
        self.passing = min(max(Double(passing), 0), max(growth, 0)) / self.time
        self.lifetime = lifetime
        self.used = used
    }

    /// Seconds until a limit is reached if all goes on like this; nil: it is not reached, or that cannot be told.
    ///
    /// What passes by itself stops growing when its lifetime is over: then as many end as are made. So a node with many short
    /// connections, which has just begun, is not about to run out.
    func secondsTo(_ limit: UInt64) -> Double? {
        guard time >= 0.5, limit > used, isMoreThanNoise else { return nil }
        let room = Double(limit - used)
        let early = room / rate
        if early <= lifetime { return early }
        let lasting = rate - passing
        guard lasting > 0 else { return nil }
        return (room - passing * lifetime) / lasting
    }

    /// The numbers of independent events waver by their square root.
    private var isMoreThanNoise: Bool {
        let growth = rate * time
        return growth >= 8 && growth * growth > 4 * Double(used)
    }
}
