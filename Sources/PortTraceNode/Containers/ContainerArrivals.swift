internal import PortTraceCore

/// Containers whose names have come, by what has told of them.
struct ContainerArrivals: Equatable {
    /// Those of one source that are named.
    private static let mostNamed = 4

    private var named: [ContainerRecord.Source: [ContainerID]] = [:]
    private var counts: [ContainerRecord.Source: Int] = [:]

    mutating func insert(_ id: ContainerID, from source: ContainerRecord.Source) {
        counts[source, default: 0] += 1
        if named[source, default: []].count < Self.mostNamed { named[source, default: []].append(id) }
    }

    /// `containerd 0123456789ab, cdef01234567 and 3 more; logs …`, in the order in which sources are asked; nil: none.
    var text: String? {
        let parts = ContainerRecord.Source.allCases.compactMap { source -> String? in
            guard let count = counts[source], let ids = named[source] else { return nil }
            let rest = count > ids.count ? " and \(count - ids.count) more" : ""
            return "\(source.rawValue) \(ids.map { String($0.string.prefix(12)) }.joined(separator: ", "))\(rest)"
        }
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }
}
