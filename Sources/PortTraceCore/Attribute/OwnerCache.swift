internal import CPortTraceWire

/// What is known of the owners of late failures, ready to be written.
///
/// Bounded twice, by entries and by bytes; the oldest goes. What is not known in full is asked for again when the source
/// knows more, and a cgroup's path once an interval, not at each event: asking is a system call.
struct OwnerCache {
    /// One owner.
    struct Entry {
        fileprivate var key: OwnerKey
        /// `,"cgroup":{…},"k8s":{…},"runtime":{…},"unit":"…"`; empty in text mode.
        var json: [UInt8] = []
        /// The same without the runtime, as a holder has it.
        var holderJSON: [UInt8] = []
        /// `namespace/pod/container`, or as much as is known; nil: nothing. Nil in NDJSON mode.
        var names: TerminalText?
        /// What stands for an owner without names: the cgroup's path, shortened, `cgroup 12`, `netns 4026532345`, `host`.
        /// Nil in NDJSON mode.
        var place: TerminalText?
        /// What the filter says of the cgroup and the names.
        var verdict: Verdict
        /// The interval in which the path was last asked for in vain; nil: it is known.
        fileprivate var missedIn: UInt64?
        /// The source's version when the names were last asked for in vain; nil: they are known, or there can be none.
        fileprivate var unnamedAt: UInt64?

        fileprivate var bytes: Int {
            json.count + holderJSON.count + (names?.bytes.count ?? 0) + (place?.bytes.count ?? 0) + 160
        }
    }

    private static let mostEntries = 4_096
    private static let mostBytes = 2 << 20

    private let paths: any CgroupPathSource
    private let owners: any OwnerSource
    private let filter: Filter
    private let forTerminal: Bool
    /// What addresses are known by: `--names`.
    var addresses: NamedAddresses { didSet { removeAll() } }
    private var positions: [OwnerKey: Int] = [:]
    // A ring: the oldest at `oldest`, `count` of them.
    private var entries: ContiguousArray<Entry> = []
    private var oldest = 0
    private var count = 0
    private var bytes = 0
    private var interval: UInt64 = 0
    private var last: (key: OwnerKey, position: Int)?

    init(
        paths: any CgroupPathSource, owners: any OwnerSource, addresses: NamedAddresses, filter: Filter,
        forTerminal: Bool
    ) {
        self.paths = paths
        self.owners = owners
        self.addresses = addresses
        self.filter = filter
        self.forTerminal = forTerminal
        nobody = Entry(
            key: OwnerKey(), verdict: filter.evaluate(cgroup: nil).and(filter.evaluate(names: nil)))
    }

    /// The entry of a failure without an owner.
    private let nobody: Entry

    /// Entries held, and about how many bytes they take.
    var entryCount: Int { count }
    var byteCount: Int { bytes }

    /// Lets cgroups that were not known be asked for again.
    mutating func endInterval() {
        interval += 1
    }

    /// What is known of an owner.
    ///
    /// Constant time; asks the sources for one that is new, or that more may be known of by now.
    mutating func entry(for key: OwnerKey) -> Entry {
        if key == OwnerKey() { return nobody }
        if let last, last.key == key, isCurrent(entries[last.position]) { return entries[last.position] }
        guard let position = positions[key] else { return insert(makeEntry(key)) }
        last = (key, position)
        if isCurrent(entries[position]) { return entries[position] }
        bytes -= entries[position].bytes
        entries[position] = makeEntry(key)
        bytes += entries[position].bytes
        return entries[position]
    }

    private func isCurrent(_ entry: Entry) -> Bool {
        if let missedIn = entry.missedIn, missedIn != interval { return false }
        return entry.unnamedAt.map { $0 == owners.version } ?? true
    }

    private mutating func removeAll() {
        positions.removeAll()
        entries.removeAll()
        (oldest, count, bytes, last) = (0, 0, 0, nil)
    }

    private mutating func insert(_ entry: Entry) -> Entry {
        while count > 0, count == OwnerCache.mostEntries || bytes + entry.bytes > OwnerCache.mostBytes {
            positions[entries[oldest].key] = nil
            bytes -= entries[oldest].bytes
            entries[oldest] = nobody
            oldest = (oldest + 1) % OwnerCache.mostEntries
            count -= 1
        }
        let position = (oldest + count) % OwnerCache.mostEntries
        if position == entries.count {
            entries.append(entry)
        } else {
            entries[position] = entry
        }
        positions[entry.key] = position
        count += 1
        bytes += entry.bytes
        last = (entry.key, position)
        return entry
    }

    /// Whether an address is nobody's on this node, as far as is known.
    func isElsewhere(_ address: IPAddress) -> Bool { owners.place(of: address) == .unknown }

    // MARK: One owner

    private func makeEntry(_ key: OwnerKey) -> Entry {
        let version = owners.version
        let path = key.cgroupID == 0 ? nil : paths.path(ofCgroup: key.cgroupID)
        let (names, isWhole) = names(of: key, path: path)
        var entry = Entry(
            key: key,
            verdict: filter.evaluate(cgroup: path, hasV1: !paths.hierarchyName.isEmpty)
                .and(filter.evaluate(names: names)),
            missedIn: key.cgroupID != 0 && path == nil ? interval : nil, unnamedAt: isWhole ? nil : version)
        if forTerminal {
            entry.names = names?.text
            entry.place = place(of: key, path: path)
        } else {
            entry.json = json(key, path, names)
            if var names, names.runtime != nil || !names.containerID.isEmpty || !names.image.isEmpty {
                (names.runtime, names.containerID, names.image) = (nil, [], [])
                entry.holderJSON = json(key, path, names)
            } else {
                entry.holderJSON = entry.json
            }
        }
        return entry
    }

    private func json(_ key: OwnerKey, _ path: [UInt8]?, _ names: OwnerNames?) -> [UInt8] {
        var buffer = OutputBuffer()
        if key.cgroupID != 0 { append(cgroup: key.cgroupID, path, to: &buffer) }
        if let names { buffer.append(names) }
        return buffer.withBytes { Array($0) }
    }

    /// - Returns: The names as far as they are known, and whether there are no more to be expected.
    private func names(of key: OwnerKey, path: [UInt8]?) -> (OwnerNames?, isWhole: Bool) {
        if let namespace = key.namespace {
            // It may turn out that another pod has it too.
            return (owners.names(of: namespace).map { $0.ofPod }, false)
        }
        if let address = key.address { return (addresses.pod(at: address), true) }
        guard let path else { return (nil, true) }
        let owner = CgroupOwner(path: path)
        var names = OwnerNames(owner)
        if owner.containerID.isEmpty, owner.podUID.isEmpty { return (names, true) }
        guard let known = owners.names(ofContainer: owner.containerID, podUID: owner.podUID) else {
            return (names, false)
        }
        let isSame = names.complete(by: known)
        // A pod's names may come before its container's, or after; log directories' before the runtime's.
        let hasContainer = owner.containerID.isEmpty || known.runtime != nil
        let hasPod = owner.podUID.isEmpty || !names.pod.isEmpty
        return (names, isSame && hasContainer && hasPod)
    }

    private func place(of key: OwnerKey, path: [UInt8]?) -> TerminalText? {
        if key.isHost { return TerminalText("host") }
        if let namespace = key.namespace { return TerminalText("netns \(namespace.inode)") }
        if key.cgroupID == 0 { return nil }
        return path.map { CgroupPathText.shortened($0) } ?? CgroupPathText.unknown(key.cgroupID & ~PT_CGROUP_V1)
    }

    private func append(cgroup id: UInt64, _ path: [UInt8]?, to buffer: inout OutputBuffer) {
        buffer.append(",\"cgroup\":{\"id\":")
        buffer.append(decimal: id & ~PT_CGROUP_V1)
        if let path {
            buffer.append(",\"path\":\"")
            path.withUnsafeBytes { buffer.append(escapedForJSON: $0) }
            buffer.append(byte: UInt8(ascii: "\""))
        }
        if id & PT_CGROUP_V1 != 0, !paths.hierarchyName.isEmpty {
            buffer.append(",\"hierarchy\":\"")
            buffer.append(Array(paths.hierarchyName.utf8))
            buffer.append(byte: UInt8(ascii: "\""))
        }
        buffer.append(byte: UInt8(ascii: "}"))
    }
}
