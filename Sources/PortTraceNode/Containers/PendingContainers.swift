internal import Glibc

/// Containers whose folder is there before the file that tells about them. The folder is watched until the file is
/// whole; where the kernel has no watch to give, it is tried a few times.
final class PendingContainers {
    /// At most; the oldest make room.
    private static let most = 512
    /// Nanoseconds for which a file is waited for.
    private static let patience: Int64 = 60_000_000_000
    /// Without a watch: after these nanoseconds first, then always double, as many times.
    private static let firstRetry: Int64 = 20_000_000
    private static let mostRetries = 8

    private struct Entry {
        var folder: WatchedFolder
        var watches: [Inotify.Watch] = []
        /// When it is given up, or tried again where there is no watch; CLOCK_MONOTONIC in nanoseconds.
        var due: Int64
        var order: UInt64
        var retries = 0
    }

    private unowned let worker: ContainerWorker
    private var entries: [ContainerID: Entry] = [:]
    private var ids: [Inotify.Watch: ContainerID] = [:]
    private var order: UInt64 = 0

    init(_ worker: ContainerWorker) {
        self.worker = worker
    }

    func contains(_ id: ContainerID) -> Bool { entries[id] != nil }

    /// When something is due: CLOCK_MONOTONIC, nanoseconds; `.max`: nothing will be.
    var nextDue: Int64 { entries.values.lazy.map(\.due).min() ?? .max }

    /// Waits for a container's file.
    func add(_ id: ContainerID, _ folder: WatchedFolder, _ opened: HostFolder) {
        guard entries[id] == nil else { return }
        if entries.count >= Self.most, let oldest = entries.min(by: { $0.value.order < $1.value.order }) {
            remove(oldest.key)
        }
        order += 1
        entries[id] = Entry(folder: folder, due: KernelClock.monotonicNow() + Self.patience, order: order)
        advance(id, opened)
    }

    /// - Returns: Whether it is about a container that is waited for.
    func take(_ event: Inotify.Event) -> Bool {
        guard let id = ids[event.watch] else { return false }
        if let entry = entries[id], let opened = entry.folder.opened(in: worker.root) { advance(id, opened) }
        return true
    }

    /// A watch has ended.
    func end(_ watch: Inotify.Watch) {
        guard let id = ids.removeValue(forKey: watch) else { return }
        entries[id]?.watches.removeAll { $0 == watch }
        if entries[id]?.watches.isEmpty ?? false { remove(id) }
    }

    func remove(_ id: ContainerID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        for watch in entry.watches where ids.removeValue(forKey: watch) != nil { worker.inotify.remove(watch) }
    }

    func removeAll() {
        entries = [:]
        ids = [:]
    }

    /// Does what is due.
    func retry() {
        let now = KernelClock.monotonicNow()
        for (id, entry) in entries where entry.due <= now {
            guard entry.watches.isEmpty, entry.retries < Self.mostRetries,
                let opened = entry.folder.opened(in: worker.root)
            else {
                remove(id)
                continue
            }
            entries[id]?.retries += 1
            advance(id, opened)
        }
    }

    /// Reads the container; where that is too early, watches as much of the way to its file as there is, then reads
    /// again if there is more to watch than before.
    private func advance(_ id: ContainerID, _ opened: HostFolder) {
        while true {
            if worker.readPending(id, in: entries[id]?.folder, opened) { return remove(id) }
            guard let gained = watchWay(id, opened) else { return remove(id) }
            if !gained { return }
        }
    }

    /// - Returns: Whether there are watches more than before; nil where the container has gone.
    private func watchWay(_ id: ContainerID, _ opened: HostFolder) -> Bool? {
        guard let entry = entries[id], let source = entry.folder.containers else { return nil }
        var path = id.string
        var hasGained = false
        for name in source.file.split(separator: "/") {
            guard let folder = opened.folder(path) else { return path == id.string ? nil : hasGained }
            guard let watch = worker.watch(folder, Inotify.files) else { break }
            if ids.updateValue(id, forKey: watch) == nil {
                entries[id]?.watches.append(watch)
                hasGained = true
            }
            path += "/\(name)"
        }
        if entries[id]?.watches.isEmpty ?? false {
            entries[id]?.due = KernelClock.monotonicNow() + Self.firstRetry << Int64(entry.retries)
        }
        return hasGained
    }
}
