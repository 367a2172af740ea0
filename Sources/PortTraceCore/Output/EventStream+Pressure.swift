extension EventStream {
    /// Takes a crossing; it is shown at once, where it passes. One on the way down passes as the one on the way up did:
    /// by then those who were asked for may hold nothing any more.
    ///
    /// - Parameter time: when it was found, CLOCK_MONOTONIC, nanoseconds.
    public func pressure(_ crossing: PressureCrossing, at time: UInt64) {
        if format == nil { return }
        switch crossing.direction {
        case .up:
            let verdict = filter.evaluate(crossing.occupancy, types: [.pressure]) { names.owner(of: $0).verdict }
            // Those that pass are no failures.
            if verdict == .undecided { count(1, of: .pressure, verdict) }
            guard verdict == .pass else { return }
            raised.insert(crossing)
        case .down:
            guard raised.remove(crossing) else { return }
        }
        switch format {
        case .ndjson: lines.append(crossing, at: clock.utc(monotonic: time), names: &names, to: &output)
        case .text:
            text.append(
                crossing, at: clock.utc(monotonic: time), age: crossing.occupancy.age(at: time), names: &names,
                to: &output)
        case nil: break
        }
    }
}

/// What was told to be above a threshold.
struct RaisedPressure {
    /// More than ``Pressure`` follows of one look, with all their thresholds; those that it had to forget do not come down.
    private static let most = 4_096

    private struct Key: Hashable {
        var resource: Resource
        var threshold: PressureThreshold
    }

    private var keys: Set<Key> = []

    mutating func insert(_ crossing: PressureCrossing) {
        if keys.count >= Self.most { keys.removeFirst() }
        keys.insert(Key(resource: crossing.occupancy.resource, threshold: crossing.threshold))
    }

    /// - Returns: Whether it was there.
    mutating func remove(_ crossing: PressureCrossing) -> Bool {
        keys.remove(Key(resource: crossing.occupancy.resource, threshold: crossing.threshold)) != nil
    }
}

extension NameCaches {
    mutating func owner(of holder: HolderOwner) -> OwnerCache.Entry {
        owners.entry(for: holder.key)
    }
}
