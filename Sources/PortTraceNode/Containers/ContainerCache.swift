internal import PortTraceCore

/// The names of containers and pods, also of those gone lately.
///
/// Bounded by entries and bytes: where there is no room, an eighth leaves at once, the longest gone ones first, then
/// the oldest. Times are nanoseconds of CLOCK_MONOTONIC.
struct ContainerCache {
    static let mostEntries = 32_768
    static let mostBytes = 8 << 20
    /// Nanoseconds for which names are kept of what has gone.
    static let kept: Int64 = 600_000_000_000

    private struct Container {
        var record: PackedRecord
        var added: Int64
        var gone: Int64?
        /// The pass that has seen it last.
        var pass: UInt32
    }

    private struct Pod {
        var names: PodNames
        /// Told by a runtime, not by a directory's name.
        var isSure: Bool
        /// Containers and log directories that are there.
        var containers = 0
        var hasLogs = false
        var added: Int64
        var gone: Int64?
        var pass: UInt32
    }

    // Of one entry, without its names: the dictionary's slot, at three quarters' load, and the heads of its arrays.
    private static let containerBytes = 192
    private static let podBytes = 288

    private var containers: [ContainerID: Container] = [:]
    private var pods: [[UInt8]: Pod] = [:]
    /// The pass that goes on or was the last.
    private var pass: UInt32 = 0
    /// When the first of those that are gone is to leave.
    private var nextExpiry: Int64 = .max

    /// Containers whose names have come, or from a better source than before.
    private(set) var arrivals = ContainerArrivals()

    private(set) var byteCount = 0
    var entryCount: Int { containers.count + pods.count }

    func record(_ id: ContainerID) -> ContainerRecord? { containers[id]?.record.record(id) }
    func pod(_ uid: [UInt8]) -> PodNames? { pods[uid]?.names }
    /// Where a container was found; nil where it is not known.
    func source(_ id: ContainerID) -> ContainerRecord.Source? { containers[id]?.record.source }
    func isPresent(_ id: ContainerID) -> Bool { containers[id].map { $0.gone == nil } ?? false }

    /// Those that are there.
    var present: [ContainerRecord] {
        containers.compactMap { $0.value.gone == nil ? $0.value.record.record($0.key) : nil }
    }

    /// Takes what has been read of a container that is there.
    mutating func insert(_ id: ContainerID, _ record: ContainerRecord, now: Int64) {
        let packed = PackedRecord(record)
        let added = containers[id]?.added ?? now
        if !isPresent(id) || source(id) != record.source { arrivals.insert(id, from: record.source) }
        remove(id, now: now)
        makeRoom(Self.containerBytes + packed.byteCount + Self.podBytes + 512, now: now)
        containers[id] = Container(record: packed, added: added, gone: nil, pass: pass)
        byteCount += Self.containerBytes + packed.byteCount
        guard !record.podUID.isEmpty, record.hasPod else { return }
        let names = PodNames(namespace: record.namespace, pod: record.pod)
        updatePod(record.podUID, names, isSure: record.source != .logs, now: now) { $0.containers += 1 }
    }

    /// Takes a pod's log directory.
    mutating func insert(_ logs: PodLogName, now: Int64) {
        makeRoom(Self.podBytes + 512, now: now)
        let names = PodNames(namespace: logs.namespace, pod: logs.pod)
        updatePod(logs.podUID, names, isSure: false, now: now) { $0.hasLogs = true }
    }

    /// The arrivals since the last call.
    mutating func takeArrivals() -> ContainerArrivals {
        defer { arrivals = ContainerArrivals() }
        return arrivals
    }

    mutating func noteGone(_ id: ContainerID, now: Int64) {
        guard let container = containers[id], container.gone == nil else { return }
        containers[id]?.gone = now
        nextExpiry = min(nextExpiry, now + Self.kept)
        release(container.record, now: now)
    }

    mutating func noteGone(_ logs: PodLogName, now: Int64) {
        pods[logs.podUID]?.hasLogs = false
        notePodGone(logs.podUID, now: now)
    }

    /// Begins a pass over all that is there.
    mutating func beginPass() { pass &+= 1 }

    /// What the pass has not seen is gone.
    mutating func endPass(now: Int64) {
        for (id, container) in containers where container.gone == nil && container.pass != pass {
            noteGone(id, now: now)
        }
        for (uid, pod) in pods where pod.hasLogs && pod.pass != pass {
            pods[uid]?.hasLogs = false
            notePodGone(uid, now: now)
        }
    }

    /// Lets go of what went long ago.
    mutating func expire(now: Int64) {
        guard now >= nextExpiry else { return }
        for (id, container) in containers where container.gone.map({ now - $0 >= Self.kept }) ?? false {
            remove(id, now: now)
        }
        for (uid, pod) in pods where pod.gone.map({ now - $0 >= Self.kept }) ?? false { removePod(uid) }
        let gone = containers.values.lazy.compactMap(\.gone).min() ?? .max
        let podGone = pods.values.lazy.compactMap(\.gone).min() ?? .max
        let first = min(gone, podGone)
        nextExpiry = first == .max ? .max : first + Self.kept
    }

    /// While a pod is there, its names stay: a second one of that UID says what is not so.
    private mutating func updatePod(
        _ uid: [UInt8], _ names: PodNames, isSure: Bool, now: Int64, _ change: (inout Pod) -> Void
    ) {
        var pod = pods[uid] ?? Pod(names: names, isSure: isSure, added: now, gone: nil, pass: pass)
        if pods[uid] == nil {
            byteCount += Self.podBytes + uid.count + names.byteCount
        } else if pod.gone != nil || (isSure && !pod.isSure) {
            byteCount += names.byteCount - pod.names.byteCount
            (pod.names, pod.isSure) = (names, isSure)
        }
        change(&pod)
        pod.gone = nil
        pod.pass = pass
        pods[uid] = pod
    }

    private mutating func release(_ record: PackedRecord, now: Int64) {
        guard record.hasPod else { return }
        let uid = record.podUID
        guard let pod = pods[uid], pod.containers > 0 else { return }
        pods[uid]?.containers -= 1
        notePodGone(uid, now: now)
    }

    private mutating func notePodGone(_ uid: [UInt8], now: Int64) {
        guard let pod = pods[uid], pod.containers == 0, !pod.hasLogs, pod.gone == nil else { return }
        pods[uid]?.gone = now
        nextExpiry = min(nextExpiry, now + Self.kept)
    }

    private mutating func remove(_ id: ContainerID, now: Int64) {
        guard let container = containers.removeValue(forKey: id) else { return }
        byteCount -= Self.containerBytes + container.record.byteCount
        if container.gone == nil { release(container.record, now: now) }
    }

    private mutating func removePod(_ uid: [UInt8]) {
        guard let pod = pods.removeValue(forKey: uid) else { return }
        byteCount -= Self.podBytes + uid.count + pod.names.byteCount
    }

    private mutating func makeRoom(_ needed: Int, now: Int64) {
        guard entryCount + 2 > Self.mostEntries || byteCount + needed > Self.mostBytes else { return }
        expire(now: now)
        // Both kinds give way alike: by share of their entries.
        let leaving = max(1, containers.count / 8)
        let oldest = containers.sorted { Self.isBefore($0.value.gone, $0.value.added, $1.value.gone, $1.value.added) }
        for (id, _) in oldest.prefix(leaving) { remove(id, now: now) }
        let podsLeaving = max(1, pods.count / 8)
        let oldestPods = pods.sorted { Self.isBefore($0.value.gone, $0.value.added, $1.value.gone, $1.value.added) }
        for (uid, _) in oldestPods.prefix(podsLeaving) { removePod(uid) }
    }

    private static func isBefore(_ gone: Int64?, _ added: Int64, _ otherGone: Int64?, _ otherAdded: Int64) -> Bool {
        switch (gone, otherGone) {
        case (let gone?, let other?): gone < other
        case (_?, nil): true
        case (nil, _?): false
        case (nil, nil): added < otherAdded
        }
    }
}

extension PodNames {
    fileprivate var byteCount: Int { namespace.count + pod.count }
}
