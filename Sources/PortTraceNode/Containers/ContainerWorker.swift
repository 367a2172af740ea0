internal import CLinux
internal import Glibc
internal import PortTraceCore

/// The thread that reads containers' names. The folders in which they appear are watched (inotify), and read over only
/// at the start and when events were lost.
final class ContainerWorker {
    /// Groups of containers (containerd's namespaces) in one folder.
    private static let mostGroups = 64
    /// Nanoseconds between looks for folders that questions ask for.
    private static let armingPause: Int64 = 1_000_000_000

    private let queue: ContainerQueue
    private let namespaces: PodNamespaces
    let root: HostFolder
    private(set) var folders: [WatchedFolder]
    private(set) var inotify = Inotify()
    private var watched: [Inotify.Watch: [WatchedFolder]] = [:]
    /// The nearest folders above those that are not there, with the names that must appear in them.
    private var ancestors: [Inotify.Watch: Set<String>] = [:]
    private(set) lazy var pending = PendingContainers(self)
    private var needsPass = false
    private var needsArming = false
    private var hasNews = false
    private var hasAnswered = false
    /// When a question last led to a look for folders that were not there.
    private var lastArmed = Int64.min / 2

    init(_ queue: ContainerQueue, _ namespaces: PodNamespaces, root: HostFolder) {
        self.queue = queue
        self.namespaces = namespaces
        self.root = root
        folders = WatchedFolder.all(of: root)
    }

    /// Reads and answers until the queue is closed.
    func run() {
        pass()
        // Where a runtime's path leads nowhere from here, processes tell.
        seek(nil)
        tell()
        queue.notePassed()
        while true {
            tell()
            var polled = [
                pollfd(fd: inotify.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: queue.asked, events: Int16(POLLIN), revents: 0),
            ]
            poll(&polled, nfds_t(polled.count), needsArming || needsPass ? 0 : pending.millisecondsToNext)
            if queue.isClosed { return }
            if polled[0].revents != 0 { for event in inotify.take() { take(event) } }
            if needsPass { pass() }
            if needsArming { arm() }
            for question in queue.takeQuestions() { answer(question) }
            seek(queue.takeNamespaces())
            pending.retry()
            queue.withCache { $0.expire(now: KernelClock.monotonicNow()) }
        }
    }

    private func tell() {
        if hasNews || hasAnswered { queue.noteNews(isMore: hasNews) }
        (hasNews, hasAnswered) = (false, false)
    }

    // MARK: - Watching

    /// Watches the folders that are there and were not, and reads them; watches for the others.
    ///
    /// - Returns: Whether any has appeared.
    @discardableResult
    private func arm() -> Bool {
        var hasAppeared = false
        for folder in folders where !folder.isThere {
            guard let opened = folder.opened(in: root) else { continue }
            begin(folder, opened)
            hasAppeared = true
        }
        watchAncestors()
        return hasAppeared
    }

    /// Watches first, then reads: nothing appears in between unseen.
    private func begin(_ folder: WatchedFolder, _ opened: HostFolder) {
        folder.isThere = true
        folder.watch = inotify.add(opened, Inotify.entries)
        if let watch = folder.watch { watched[watch, default: []].append(folder) }
        read(folder, opened)
    }

    private func watchAncestors() {
        needsArming = false
        var needed: [Inotify.Watch: Set<String>] = [:]
        for folder in folders where !folder.isThere {
            guard let (above, missing) = folder.wayEnd(in: root) else {
                // It has come meanwhile.
                needsArming = true
                continue
            }
            guard let watch = inotify.add(above, Inotify.entries) else { continue }
            needed[watch, default: []].insert(missing.split(separator: "/").last.map(String.init) ?? "")
            if folder.wayEnd(in: root)?.missing != missing { needsArming = true }
        }
        for watch in ancestors.keys where needed[watch] == nil && watched[watch] == nil { inotify.remove(watch) }
        ancestors = needed
    }

    func take(_ event: Inotify.Event) {
        if event.isOverflow { return restart() }
        if event.isEnd || event.isMoved { return end(event.watch, isMoved: event.isMoved) }
        if pending.take(event) { return }
        let name = String(decoding: event.name, as: UTF8.self)
        if event.isArrival, ancestors[event.watch]?.contains(name) ?? false { needsArming = true }
        for folder in watched[event.watch] ?? [] {
            if event.isArrival { arrive(event.name, in: folder) }
            if event.isDeparture { depart(event.name, from: folder) }
        }
    }

    /// Begins anew: which watches have ended is not known.
    private func restart() {
        inotify = Inotify()
        watched = [:]
        ancestors = [:]
        pending.removeAll()
        folders.removeAll { !$0.group.isEmpty }
        for folder in folders { (folder.watch, folder.isThere) = (nil, false) }
        needsPass = true
    }

    private func end(_ watch: Inotify.Watch, isMoved: Bool) {
        pending.end(watch)
        if ancestors.removeValue(forKey: watch) != nil { needsArming = true }
        for folder in watched.removeValue(forKey: watch) ?? [] {
            lose(folder)
            needsPass = true
        }
        if isMoved { inotify.remove(watch) }
    }

    /// Forgets a folder that is no longer where it was, and the groups in it.
    private func lose(_ folder: WatchedFolder) {
        if let watch = folder.watch, watched.removeValue(forKey: watch) != nil { inotify.remove(watch) }
        (folder.watch, folder.isThere) = (nil, false)
        guard folder.group.isEmpty else { return folders.removeAll { $0 === folder } }
        for group in folders where group.path == folder.path && !group.group.isEmpty { lose(group) }
    }

    // MARK: - Reading

    /// Reads all that is there, and watches what was not.
    func pass() {
        needsPass = false
        queue.withCache { $0.beginPass() }
        for folder in folders {
            guard let opened = folder.opened(in: root) else {
                if folder.isThere { lose(folder) }
                continue
            }
            if folder.isThere { read(folder, opened) } else { begin(folder, opened) }
        }
        watchAncestors()
        guard !queue.isClosed else { return }
        queue.withCache { $0.endPass(now: KernelClock.monotonicNow()) }
        hasNews = true
    }

    private func read(_ folder: WatchedFolder, _ opened: HostFolder) {
        opened.forEachName { name in
            switch folder.role {
            case .groups: beginGroup(name, in: folder)
            case .containers(let source):
                if let id = ContainerID(name) { _ = read(id, source, folder, opened) }
            case .pods:
                if let pod = PodLogName(name) { insert(pod) }
            case .links:
                if let id = ContainerLogName(name)?.id, isNamedByLogs(id),
                    let record = KubeletLogs.record(name, in: opened)
                {
                    insert(id, record)
                }
            }
            return !queue.isClosed
        }
    }

    private func beginGroup(_ name: some Collection<UInt8>, in parent: WatchedFolder) {
        let group = String(decoding: name, as: UTF8.self)
        let siblings = folders.filter { $0.path == parent.path && !$0.group.isEmpty }
        guard case .groups(let source) = parent.role, group.utf8.elementsEqual(name), siblings.count < Self.mostGroups,
            !siblings.contains(where: { $0.group == group })
        else { return }
        let folder = WatchedFolder(path: parent.path, group: group, role: .containers(source))
        guard let opened = folder.opened(in: root) else { return }
        // Before the kubelet's logs: those are asked last.
        folders.insert(folder, at: (folders.firstIndex { $0 === parent } ?? 0) + 1)
        begin(folder, opened)
    }

    /// Reads a container; where it is not whole yet, its file is waited for.
    private func read(
        _ id: ContainerID, _ source: any ContainerSource, _ folder: WatchedFolder, _ opened: HostFolder
    ) -> ContainerReading {
        let reading = source.read(id, in: opened, group: folder.group)
        switch reading {
        case .record(let record):
            pending.remove(id)
            insert(id, record)
        case .notYet: pending.add(id, folder, opened)
        case .elsewhere: break
        }
        return reading
    }

    /// Reads a container that is waited for.
    func readPending(_ id: ContainerID, in folder: WatchedFolder?, _ opened: HostFolder) -> Bool {
        guard let folder, let source = folder.containers,
            case .record(let record) = source.read(id, in: opened, group: folder.group)
        else { return false }
        insert(id, record)
        return true
    }

    /// Asks every runtime.
    private func readAnywhere(_ id: ContainerID) -> Bool {
        folders.contains { folder in
            guard folder.isThere, let source = folder.containers, let opened = folder.opened(in: root),
                opened.folder(id.string) != nil
            else { return false }
            if case .record = read(id, source, folder, opened) { return true }
            return false
        }
    }

    private func arrive(_ name: [UInt8], in folder: WatchedFolder) {
        switch folder.role {
        case .groups: beginGroup(name, in: folder)
        case .containers(let source):
            guard let id = ContainerID(name), let opened = folder.opened(in: root) else { return }
            if read(id, source, folder, opened) == .elsewhere { _ = readAnywhere(id) }
        case .pods:
            if let pod = PodLogName(name) { insert(pod) }
        case .links:
            guard let id = ContainerLogName(name)?.id, isNamedByLogs(id), !readAnywhere(id) else { return }
            if let opened = folder.opened(in: root), let record = KubeletLogs.record(name, in: opened) {
                insert(id, record)
            }
        }
    }

    private func depart(_ name: [UInt8], from folder: WatchedFolder) {
        let now = KernelClock.monotonicNow()
        switch folder.role {
        case .groups: break
        case .containers:
            guard let id = ContainerID(name) else { return }
            pending.remove(id)
            // Another folder may still have it, or this one again.
            if !readAnywhere(id) { queue.withCache { $0.noteGone(id, now: now) } }
        case .pods:
            if let pod = PodLogName(name) { queue.withCache { $0.noteGone(pod, now: now) } }
        case .links:
            if let id = ContainerLogName(name)?.id {
                queue.withCache { if $0.source(id) == .logs { $0.noteGone(id, now: now) } }
            }
        }
    }

    /// Whether no runtime has told of it.
    private func isNamedByLogs(_ id: ContainerID) -> Bool {
        queue.withCache { $0.source(id).map { $0 == .logs } ?? true }
    }

    private func insert(_ id: ContainerID, _ record: ContainerRecord) {
        hasNews = true
        let inserted = queue.withCache { cache in
            var record = record
            // A question has told it.
            if record.podUID.isEmpty, let known = cache.record(id), known.namespace == record.namespace,
                known.pod == record.pod
            {
                record.podUID = known.podUID
            }
            if !record.hasPod, !record.podUID.isEmpty, let names = cache.pod(record.podUID) {
                (record.namespace, record.pod) = (names.namespace, names.pod)
            }
            cache.insert(id, record, now: KernelClock.monotonicNow())
            return record
        }
        namespaces.note(inserted)
    }

    private func insert(_ pod: PodLogName) {
        hasNews = true
        queue.withCache { $0.insert(pod, now: KernelClock.monotonicNow()) }
    }

    // MARK: - Answering

    /// - Parameter wanted: nil: all namespaces that are not known.
    private func seek(_ wanted: Set<NamespaceIdentity>?) {
        if let wanted, wanted.isEmpty { return }
        hasAnswered = true
        namespaces.seek(wanted) { owner in
            let id = ContainerID(owner.containerID)
            let record = id.flatMap { id in queue.withCache { $0.record(id) } }
            let uid = owner.podUID.isEmpty ? record?.podUID ?? [] : owner.podUID
            guard let names = findPod(uid) else { return nil }
            return PodNamespaces.Pod(uid: uid, names: names)
        }
    }

    private func answer(_ question: ContainerQueue.Question) {
        hasAnswered = true
        let now = KernelClock.monotonicNow()
        if find(question) || now - lastArmed < Self.armingPause { return }
        lastArmed = now
        if arm() { _ = find(question) }
    }

    /// - Returns: Whether the container's names are known now, or the pod's where that is the question.
    private func find(_ question: ContainerQueue.Question) -> Bool {
        let uid = question.podUID
        guard let id = question.id else { return findPod(uid) != nil }
        if !readAnywhere(id), isNamedByLogs(id), !pending.contains(id) { findInLogs(id, uid) }
        guard var record = queue.withCache({ $0.record(id) }) else { return false }
        // The cgroup's UID is the kubelet's: what an old runtime does not say.
        if record.podUID.isEmpty, !uid.isEmpty {
            record.podUID = uid
            if !record.hasPod, let names = findPod(uid) {
                (record.namespace, record.pod) = (names.namespace, names.pod)
            }
            insert(id, record)
        }
        return true
    }

    private func findInLogs(_ id: ContainerID, _ uid: [UInt8]) {
        let links = folders.first { if case .links = $0.role { $0.isThere } else { false } }
        if let opened = links?.opened(in: root), let record = KubeletLogs.record(id, in: opened) {
            insert(id, record)
        } else {
            _ = findPod(uid)
        }
    }

    private func findPod(_ uid: [UInt8]) -> PodNames? {
        guard !uid.isEmpty else { return nil }
        if let names = queue.withCache({ $0.pod(uid) }) { return names }
        let pods = folders.first { if case .pods = $0.role { $0.isThere } else { false } }
        guard let opened = pods?.opened(in: root), let pod = KubeletLogs.pod(uid, in: opened) else { return nil }
        insert(pod)
        return PodNames(namespace: pod.namespace, pod: pod.pod)
    }
}
