/// A container or pod that is asked for.
struct SoughtOwner: Hashable {
    var id: ContainerID?
    var podUID: [UInt8]
}

/// When what is not known was asked for, so that it is not asked for all the time: the pause doubles.
struct SoughtOwners {
    private static let most = 4_096
    private static let shortest: Int64 = 1_000_000_000
    private static let longest: Int64 = 60_000_000_000

    private var next: [SoughtOwner: (time: Int64, pause: Int64)] = [:]

    /// - Parameter now: CLOCK_MONOTONIC, nanoseconds.
    mutating func mayAsk(_ owner: SoughtOwner, at now: Int64) -> Bool {
        let pause = next[owner]?.pause ?? Self.shortest
        if let known = next[owner], now < known.time { return false }
        if next.count == Self.most { next = [:] }
        next[owner] = (now + pause, min(2 * pause, Self.longest))
        return true
    }
}
