internal import BPF
internal import CLinux
internal import CPortTraceWire
internal import Glibc
public import PortTraceCore

/// The reading side of bpf/census.bpf.h: lets the kernel walk its tables of sockets, and takes the sums.
///
/// The walk runs on this thread, in runs of some 100 µs, as the kernel does not preempt one; the thread may be switched
/// away between them. It must be the thread of ``ConntrackAudit``: both go over the namespaces by one place.
public final class PortCensusReader {
    /// The programs that are run from here.
    enum Program: String, CaseIterable {
        case learn = "census_learn"
        case namespaces = "census_nets"
        case walk = "census_walk"
        /// The last one: it is not loaded everywhere.
        case files = "census_files"

        /// - Parameter processes: whether to tell which processes hold sockets.
        static func needed(processes: Bool) -> [Program] { allCases.filter { processes || $0 != .files } }
    }

    /// Runs of one walk at most: more than any table takes.
    private static let mostRuns = 1 << 20
    /// Walks over the namespaces until one is not broken by a namespace that goes.
    private static let mostTries = 8

    let programs: [Program: Int32]
    private let conntrack: UnsafeMutablePointer<pt_conntrack>
    let state: UnsafeMutablePointer<pt_census>
    private let keys: Map
    let owners: Map
    private let namespaces: Map
    private let sockets: [Descriptor]
    /// Those of `programs`, kept open.
    private let loaded: [Descriptor]

    /// - Parameter programs: In the order of ``Program``, the last one may be missing.
    /// - Throws: ``BPFError`` where the maps cannot be used.
    init(maps: [SharedMap: Int32], programs: [Descriptor]) throws(BPFError) {
        self.programs = Dictionary(uniqueKeysWithValues: zip(Program.allCases, programs.map(\.number)))
        conntrack = try Map(maps[.conntrack]!).mapped().assumingMemoryBound(to: pt_conntrack.self)
        state = try Map(maps[.census]!).mapped().assumingMemoryBound(to: pt_census.self)
        keys = try Map(maps[.censusKeys]!)
        owners = try Map(maps[.censusOwners]!)
        namespaces = try Map(maps[.censusNamespaces]!)
        sockets = [try KernelSocket.open(SOCK_DGRAM), try KernelSocket.open(SOCK_STREAM)]
        loaded = programs
    }

    /// Takes a census. It takes some milliseconds, and about 1 µs for each socket.
    ///
    /// - Parameters:
    ///   - processes: Whether an owner's processes are told apart where they are known: of TIME_WAIT sockets.
    ///   - isOnePods: Whether a namespace that has these owners' sockets is one pod's alone.
    /// - Throws: ``ProbeError`` where the kernel refuses a call.
    public func take(
        processes: Bool = false, isOnePods: (NamespaceIdentity, Set<HolderOwner>) -> Bool = { _, _ in false }
    ) throws(ProbeError) -> PortCensus {
        try ProbeError.wrapping { () throws(BPFError) in
            let time = Self.now()
            try begin()
            state.pointee.processes = processes ? 1 : 0
            var isComplete = try walkNamespaces()
            // All namespaces' tables lead to the same buckets.
            try walk(PT_CENSUS_BUCKETS, tables: min(state.pointee.tcp_tables, 1))
            try walk(PT_CENSUS_DATAGRAMS, tables: state.pointee.udp_tables)
            try walk(PT_CENSUS_SOCKETS, tables: state.pointee.tcp_tables)
            // Those that came meanwhile have sockets, and want their facts.
            isComplete = try walkNamespaces() && isComplete
            var census = try read(time: time, isOnePods)
            census.isWhole = isComplete
            census.notVisible += gaps(isComplete: isComplete)
            return census
        }
    }

    // MARK: Walks

    /// Empties what was left, and learns where the kernel has its tables.
    func begin() throws(BPFError) {
        try clear()
        try BPF.Program.run(programs[.learn]!, sockets.map { UInt64($0.number) })
    }

    /// Empties what a census that has failed, or a look at processes, may have left.
    func clear() throws(BPFError) {
        state.update(repeating: pt_census(), count: 1)
        for map in [keys, owners] { try reader().drain(map) { _, _, _ in } }
        try namespaceReader().drain(namespaces) { _, _, _ in }
    }

    /// Goes over the kernel's list of namespaces; false where it was broken every time.
    func walkNamespaces() throws(BPFError) -> Bool {
        for _ in 0..<Self.mostTries {
            let broken = conntrack.pointee.broken
            conntrack.pointee.cursor = 0
            for _ in 0..<Self.mostRuns {
                try BPF.Program.run(programs[.namespaces]!)
                if conntrack.pointee.cursor == 0 { break }
            }
            if conntrack.pointee.broken == broken, conntrack.pointee.cursor == 0 { return true }
        }
        return false
    }

    private func walk(_ walk: pt_census_walk, tables: UInt32) throws(BPFError) {
        for table in 0..<tables {
            state.pointee.index = 0
            for _ in 0..<Self.mostRuns {
                try BPF.Program.run(programs[.walk]!, [UInt64(walk.rawValue), UInt64(table)])
                if state.pointee.done != 0 { break }
            }
        }
    }

    // MARK: What was counted

    func reader() -> BatchReader {
        BatchReader(keySize: keys.keySize, valueSize: keys.valueSize, rows: 1_024)
    }

    private func namespaceReader() -> BatchReader {
        BatchReader(keySize: namespaces.keySize, valueSize: namespaces.valueSize, rows: 1_024)
    }

    private func read(
        time: UInt64, _ isOnePods: (NamespaceIdentity, Set<HolderOwner>) -> Bool
    ) throws(BPFError) -> PortCensus {
        var builder = PortCensusBuilder()
        let host = conntrack.pointee.host_net
        try namespaceReader().drain(namespaces) { keys, values, count in
            for index in 0..<count {
                let size = PortCensusBuilder.namespaceSize
                builder.addNamespace(
                    UnsafeRawBufferPointer(rebasing: values[(index * size)..<((index + 1) * size)]),
                    isHost: keys.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) == host)
            }
        }
        if state.pointee.keys > PortCensusBuilder.fewKeys {
            try reader().read(keys, Self.each { builder.estimate(key: $0, value: $1) })
            builder.choose()
        }
        let reader = reader()
        for map in [owners, keys] { try reader.drain(map, Self.each { builder.add(key: $0, value: $1) }) }
        return builder.census(time: time, isOnePods: isOnePods)
    }

    /// Hands the elements of a batch on, one by one.
    static func each(
        _ body: @escaping (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer, Int) -> Void {
        let (keySize, valueSize) = (PortCensusBuilder.keySize, PortCensusBuilder.valueSize)
        return { keys, values, count in
            for index in 0..<count {
                body(
                    UnsafeRawBufferPointer(rebasing: keys[(index * keySize)..<((index + 1) * keySize)]),
                    UnsafeRawBufferPointer(rebasing: values[(index * valueSize)..<((index + 1) * valueSize)]))
            }
        }
    }

    /// What this census lacks.
    private func gaps(isComplete: Bool) -> [NotVisible] {
        var gaps: [NotVisible] = []
        func add(_ part: NotVisible.Part, _ count: some BinaryInteger, _ what: StaticString, _ why: String) {
            if count > 0 { gaps.append(NotVisible(part, "\(count) \(what)", why: why)) }
        }
        let state = state.pointee
        if !isComplete {
            gaps.append(
                NotVisible(.ports, "some network namespaces", why: "others went while their list was read"))
        }
        add(.ports, state.lost_nets, "network namespaces", "there are too many")
        add(.ports, state.lost_tables, "tables of network namespaces that have their own", "there are too many")
        add(.ports, state.strange, "sockets", "their network namespace could not be read")
        add(.ports, state.uncounted.1, "TCP sockets", "they have more owners than there is room for")
        add(.other, state.uncounted.2 + state.uncounted.3, "ports' owners", "there are more than there is room for")
        // On a busy node chains change all the time, and little is missing of each.
        add(.other, state.moved, "chains of sockets", "they changed while they were read: some may be missing")
        add(.ports, state.long_chains, "chains of sockets", "they are too long to be read to their end")
        add(.other, state.crowded, "UDP sockets", "too many share a place of the table: a port may be counted twice")
        return gaps
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
