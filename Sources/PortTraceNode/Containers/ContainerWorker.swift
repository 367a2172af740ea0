internal import CLinux
internal import Glibc
internal import PortTraceCore

/// The thread that reads containers' names. The folders in which they appear are watched (inotify), and read over only
/// at the start and when events were lost.
final class ContainerWorker {
    /// What hinders the reading, by errno.
    private enum Problem: Hashable {
        case opening(Int32)
        case watching(Int32)
    }

    /// Groups of containers (containerd's namespaces) in one folder.
    private static let mostGroups = 64
    /// Nanoseconds until the next try where something cannot be watched or opened, and between looks for folders that
    /// questions ask for.
    private static let pause: Int64 = 1_000_000_000
    /// The same where a folder came while the one above it was looked for.
    private static let comingPause: Int64 = 10_000_000

    let queue: ContainerQueue
    let namespaces: PodNamespaces
    let root: HostFolder
    private(set) var folders: [WatchedFolder]
    private(set) var inotify = Inotify()
    private var watched: [Inotify.Watch: [WatchedFolder]] = [:]
    /// The nearest folders above those that are not there, with the names that must appear in them.
    private var ancestors: [Inotify.Watch: Set<String>] = [:]
    private(set) lazy var pending = PendingContainers(self)
    /// Events were lost: which watches have ended is not known.
    private var hasLostEvents = false
    private var isTakingEvents = false
    private var needsPass = false
    private var needsArming = false
    /// When to do so although nothing happens: something could not be watched, or not be opened. CLOCK_MONOTONIC,
    /// nanoseconds.
    private var nextPass = Int64.max
    private var nextArming = Int64.max
    private var problems: Set<Problem> = []
    private var hasNews = false
    var hasAnswered = false
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
        // Asked anew each time: whoever takes questions takes the word that it is closed off the descriptor.
        while !queue.isClosed {
            tell()
            var polled = [
                pollfd(fd: inotify.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: queue.asked, events: Int16(POLLIN), revents: 0),
            ]
            poll(&polled, nfds_t(polled.count), millisecondsToNext)
            if queue.isClosed { return }
            takeEvents()
            let now = KernelClock.monotonicNow()
            if needsPass || nextPass <= now { pass() }
            if needsArming || nextArming <= now { arm() }
            for question in queue.takeQuestions() {
                answer(question)
                takeEvents()
            }
            seek(queue.takeNamespaces())
            pending.retry()
            queue.withCache { $0.expire(now: KernelClock.monotonicNow()) }
        }
    }

    /// Milliseconds until something is due although nothing happens; -1: nothing will be.
    var millisecondsToNext: Int32 {
        if needsPass || needsArming { return 0 }
        let due = min(nextPass, nextArming, pending.nextDue)
        return due == .max ? -1 : Int32(max(0, due - KernelClock.monotonicNow()) / 1_000_000 + 1)
    }

    /// Takes what has happened; to be called often: what a container's folder has is gone 10 ms after its end.
    func takeEvents() {
        if isTakingEvents { return }
        isTakingEvents = true
        for event in inotify.take() { take(event) }
        isTakingEvents = false
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
    func arm() -> Bool {
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
        watch(folder, opened)
        read(folder, opened)
    }

    private func watch(_ folder: WatchedFolder, _ opened: HostFolder) {
        folder.watch = watch(opened, Inotify.entries)
        if let watch = folder.watch { watched[watch, default: []].append(folder) }
    }

    /// Watches a folder. Where the kernel refuses, all is read over in a while, and tried again.
    func watch(_ folder: HostFolder, _ mask: UInt32) -> Inotify.Watch? {
        if let watch = inotify.add(folder, mask) { return watch }
        // It may have gone meanwhile; what is above it is watched.
        if inotify.refusal == ENOENT { return nil }
        nextPass = min(nextPass, KernelClock.monotonicNow() + Self.pause)
        let limits = [EMFILE: " (fs.inotify.max_user_instances)", ENOSPC: " (fs.inotify.max_user_watches)"]
        note(
            .watching(inotify.refusal),
            "folders of containers cannot be watched and are read each second, names may come too late: inotify: "
                + "\(String(cString: strerror(inotify.refusal)))\(limits[inotify.refusal] ?? "")")
        return nil
    }

    private func note(_ problem: Problem, _ text: String) {
        if problems.insert(problem).inserted { queue.note(problem: text) }
    }

    private func watchAncestors() {
        (needsArming, nextArming) = (false, .max)
        var needed: [Inotify.Watch: Set<String>] = [:]
        for folder in folders where !folder.isThere {
            switch folder.wayEnd(in: root) {
            case .there: arm(after: Self.comingPause)
            case .failed(let code):
                arm(after: Self.pause)
                note(
                    .opening(code),
                    "names of containers cannot be read: \(folder.path): \(String(cString: strerror(code)))")
            case .above(let above, let missing):
                guard let watch = watch(above, Inotify.entries) else { continue }
                needed[watch, default: []].insert(missing.split(separator: "/").last.map(String.init) ?? "")
                if case .above(_, missing: missing) = folder.wayEnd(in: root) { continue }
                // It has come meanwhile.
                arm(after: Self.comingPause)
            }
        }
        for watch in ancestors.keys where needed[watch] == nil && watched[watch] == nil { inotify.remove(watch) }
        ancestors = needed
    }

    /// Looks again in a while; never at once, as it may be of no avail.
    private func arm(after pause: Int64) { nextArming = min(nextArming, KernelClock.monotonicNow() + pause) }

    func take(_ event: Inotify.Event) {
        if event.isOverflow {
            (hasLostEvents, needsPass) = (true, true)
            return
        }
        if event.isEnd || event.isMoved { return end(event.watch, isMoved: event.isMoved) }
        if pending.take(event) { return }
        let name = String(decoding: event.name, as: UTF8.self)
        if event.isArrival, ancestors[event.watch]?.contains(name) ?? false { needsArming = true }
        for folder in watched[event.watch] ?? [] {
            if event.isArrival { arrive(event.name, in: folder) }
            if event.isDeparture { depart(event.name, from: folder) }
        }
    }

    /// Begins anew.
    private func restart() {
        hasLostEvents = false
        inotify = Inotify()
        watched = [:]
        ancestors = [:]
        pending.removeAll()
        folders.removeAll { !$0.group.isEmpty }
        for folder in folders { (folder.watch, folder.isThere) = (nil, false) }
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
        (needsPass, nextPass) = (false, .max)
        if hasLostEvents || inotify.descriptor < 0 { restart() }
        queue.withCache { $0.beginPass() }
        for folder in folders {
            guard let opened = folder.opened(in: root) else {
                if folder.isThere { lose(folder) }
                continue
            }
            if !folder.isThere {
                begin(folder, opened)
            } else {
                if folder.watch == nil { watch(folder, opened) }
                read(folder, opened)
            }
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
                if let id = source.container(ofEntry: name) { _ = read(id, Array(name), source, folder, opened) }
            case .pods:
                if let pod = PodLogName(name) { insert(pod) }
            }
            takeEvents()
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
        folders.insert(folder, at: (folders.firstIndex { $0 === parent } ?? 0) + 1)
        begin(folder, opened)
    }

    /// Reads a container; where it is not whole yet, its file is waited for.
    private func read(
        _ id: ContainerID, _ entry: [UInt8], _ source: any ContainerSource, _ folder: WatchedFolder,
        _ opened: HostFolder
    ) -> ContainerReading {
        let reading = source.read(id, entry: entry, in: opened, group: folder.group)
        switch reading {
        case .record(let record):
            if record.source == .logs {
                // A runtime knows more, also of what has gone, or will soon.
                if !isNamedByLogs(id) { return .elsewhere }
            } else {
                pending.remove(id)
            }
            insert(id, record)
        case .notYet: pending.add(id, folder, opened)
        case .elsewhere: break
        }
        return reading
    }

    /// Reads a container that is waited for.
    func readPending(_ id: ContainerID, in folder: WatchedFolder?, _ opened: HostFolder) -> Bool {
        guard let folder, let source = folder.containers, let entry = source.entry(of: id, in: opened),
            case .record(let record) = source.read(id, entry: entry, in: opened, group: folder.group)
        else { return false }
        insert(id, record)
        return true
    }

    /// Asks every source, until one knows.
    func readAnywhere(_ id: ContainerID) -> Bool {
        folders.contains { folder in
            guard folder.isThere, let source = folder.containers, let opened = folder.opened(in: root),
                let entry = source.entry(of: id, in: opened)
            else { return false }
            if case .record = read(id, entry, source, folder, opened) { return true }
            return false
        }
    }

    private func arrive(_ name: [UInt8], in folder: WatchedFolder) {
        switch folder.role {
        case .groups: beginGroup(name, in: folder)
        case .containers(let source):
            guard let id = source.container(ofEntry: name), let opened = folder.opened(in: root) else { return }
            // The kubelet's links are asked last.
            if source.file.isEmpty || read(id, name, source, folder, opened) == .elsewhere { _ = readAnywhere(id) }
        case .pods:
            if let pod = PodLogName(name) { insert(pod) }
        }
    }

    private func depart(_ name: [UInt8], from folder: WatchedFolder) {
        let now = KernelClock.monotonicNow()
        switch folder.role {
        case .groups: break
        case .containers(let source):
            guard let id = source.container(ofEntry: name) else { return }
            pending.remove(id)
            // Another folder may still have it, or this one again.
            if !readAnywhere(id) { queue.withCache { $0.noteGone(id, now: now) } }
        case .pods:
            if let pod = PodLogName(name) { queue.withCache { $0.noteGone(pod, now: now) } }
        }
    }

    /// Whether no runtime has told of it.
    func isNamedByLogs(_ id: ContainerID) -> Bool {
        queue.withCache { $0.source(id).map { $0 == .logs } ?? true }
    }

    func insert(_ id: ContainerID, _ record: ContainerRecord) {
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

    func insert(_ pod: PodLogName) {
        hasNews = true
        queue.withCache { $0.insert(pod, now: KernelClock.monotonicNow()) }
    }

    /// Looks for folders that were not there, if that was not just done.
    func armForAQuestion() -> Bool {
        let now = KernelClock.monotonicNow()
        if now - lastArmed < Self.pause { return false }
        lastArmed = now
        return arm()
    }
}
