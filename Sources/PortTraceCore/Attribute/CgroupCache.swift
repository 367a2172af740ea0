/// What is known of the cgroups that failed lately, ready to be written.
///
/// Bounded twice, by entries and by bytes; the oldest goes. A cgroup that is not known is asked for again once an
/// interval, not at each event: asking is a system call.
struct CgroupCache {
    /// One cgroup.
    struct Entry {
        fileprivate var id: UInt64
        /// `,"cgroup":{…}`; empty in text mode.
        var json: [UInt8] = []
        /// The path for a person, shortened; `cgroup 12` where it is not known. Empty in NDJSON mode.
        var text = TerminalText()
        /// What the filter says of the path.
        var verdict: Verdict
        /// The interval in which it was last asked for in vain; nil: it is known.
        fileprivate var missedIn: UInt64?

        fileprivate var bytes: Int { json.count + text.bytes.count + 128 }
    }

    private static let mostEntries = 4_096
    private static let mostBytes = 2 << 20

    private let source: any CgroupPathSource
    private let filter: Filter
    private let forTerminal: Bool
    private var positions: [UInt64: Int] = [:]
    // A ring: the oldest at `oldest`, `count` of them.
    private var entries: ContiguousArray<Entry> = []
    private var oldest = 0
    private var count = 0
    private var bytes = 0
    private var interval: UInt64 = 0
    private var last: (id: UInt64, position: Int)?

    init(source: any CgroupPathSource, filter: Filter, forTerminal: Bool) {
        self.source = source
        self.filter = filter
        self.forTerminal = forTerminal
        nothing = Entry(id: 0, verdict: filter.evaluate(cgroup: nil), missedIn: nil)
    }

    /// The entry of a failure without a cgroup.
    private let nothing: Entry

    /// Entries held, and about how many bytes they take.
    var entryCount: Int { count }
    var byteCount: Int { bytes }

    /// Lets cgroups that were not known be asked for again.
    mutating func endInterval() {
        interval += 1
    }

    /// What is known of a cgroup; 0 is none.
    ///
    /// Constant time; asks the source for a cgroup that is new, or not known yet in this interval.
    mutating func entry(for id: UInt64) -> Entry {
        if id == 0 { return nothing }
        if let last, last.id == id, entries[last.position].missedIn == nil { return entries[last.position] }
        if let position = positions[id] {
            last = (id, position)
            if entries[position].missedIn.map({ $0 == interval }) ?? true { return entries[position] }
            guard let path = source.path(ofCgroup: id) else {
                entries[position].missedIn = interval
                return entries[position]
            }
            bytes -= entries[position].bytes
            entries[position] = makeEntry(id, path)
            bytes += entries[position].bytes
            return entries[position]
        }
        return insert(makeEntry(id, source.path(ofCgroup: id)))
    }

    private mutating func insert(_ entry: Entry) -> Entry {
        while count > 0, count == CgroupCache.mostEntries || bytes + entry.bytes > CgroupCache.mostBytes {
            positions[entries[oldest].id] = nil
            bytes -= entries[oldest].bytes
            oldest = (oldest + 1) % CgroupCache.mostEntries
            count -= 1
        }
        let position = (oldest + count) % CgroupCache.mostEntries
        if position == entries.count {
            entries.append(entry)
        } else {
            entries[position] = entry
        }
        positions[entry.id] = position
        count += 1
        bytes += entry.bytes
        last = (entry.id, position)
        return entry
    }

    private func makeEntry(_ id: UInt64, _ path: [UInt8]?) -> Entry {
        var entry = Entry(
            id: id, verdict: filter.evaluate(cgroup: path), missedIn: path == nil ? interval : nil)
        if forTerminal {
            entry.text = path.map { CgroupPathText.shortened($0) } ?? CgroupPathText.unknown(id)
        } else {
            var buffer = OutputBuffer()
            buffer.append(",\"cgroup\":{\"id\":")
            buffer.append(decimal: id)
            if let path {
                buffer.append(",\"path\":\"")
                path.withUnsafeBytes { buffer.append(escapedForJSON: $0) }
                buffer.append(byte: UInt8(ascii: "\""))
            }
            buffer.append(byte: UInt8(ascii: "}"))
            entry.json = buffer.withBytes { Array($0) }
        }
        return entry
    }
}
