internal import BPF
internal import CPortTraceWire
internal import Glibc
public import PortTraceCore

/// The reading side of bpf/table.bpf.h and bpf/address_walk.bpf.h: keeps the programs' knowledge of namespaces and addresses
/// fresh, and tells what the kernel's counters have counted and no packet has claimed.
///
/// The walks run in the kernel, over its own lists, so that no namespace is missed; user space only starts them.
public final class ConntrackAudit {
    /// The programs of bpf/conntrack.bpf.h that are run from here.
    enum Program: String, CaseIterable {
        case learn = "conntrack_learn"
        case counters = "conntrack_counters"
        case addresses = "conntrack_addresses"
        case peek = "conntrack_peek"
        case namespace = "conntrack_namespace"
        case whose = "conntrack_whose"
    }

    /// Movements kept of namespaces that have gone; beyond, they are added up.
    private static let mostGone = 4_096
    /// Runs of one walk at most: each takes 32 namespaces, or 256 addresses.
    private static let mostRuns = 2_048

    private let programs: [Program: Int32]
    private let tables: Map
    private let cpus: Map
    private let state: UnsafeMutablePointer<pt_conntrack>
    private let peeks: UnsafeMutablePointer<pt_peek>
    private let used: UnsafeMutablePointer<pt_used_table>
    private let owners: Map
    private let possibleCPUs = Kernel.possibleCPUs
    private let sockets: [Descriptor]
    private var told: [TableKey: TableCounts.Told] = [:]
    private var gone: [ConntrackMovement] = []
    private var offline: [TableKey: [(cpu: Int, row: pt_peek)]] = [:]
    private var lastCompleteWalk: UInt32 = 0
    private var wasUsed = false
    private var refreshed: Int64 = 0
    private var unclaimed: [UInt32: UnclaimedFailures] = [:]

    /// A namespace, as ``pt_table_key``.
    private struct TableKey: Hashable {
        var net: UInt64
        var hashMix: UInt32
    }

    /// - Throws: ``BPFError`` where the maps cannot be used.
    init(maps: [SharedMap: Int32], programs: [Program: Int32]) throws(BPFError) {
        self.programs = programs
        tables = try Map(maps[.tables]!)
        cpus = try Map(maps[.cpus]!)
        state = try Map(maps[.conntrack]!).mapped().assumingMemoryBound(to: pt_conntrack.self)
        peeks = try Map(maps[.peeks]!).mapped().assumingMemoryBound(to: pt_peek.self)
        used = try Map(maps[.used]!).mapped(bytes: Int(PT_USED_TABLES) * MemoryLayout<pt_used_table>.size)
            .assumingMemoryBound(to: pt_used_table.self)
        owners = try Map(maps[.addresses]!)
        sockets = [try KernelSocket.open(SOCK_DGRAM), try KernelSocket.open(SOCK_STREAM)]
    }

    /// Makes the programs begin: what the counters have now is the base of everything.
    func arm() throws(BPFError) {
        try learn()
        try walkAddresses()
        // A CPU whose walk was broken is not armed yet, and begins with the next.
        for _ in 0..<Self.mostRuns where lastCompleteWalk == 0 { try walkCounters() }
        state.pointee.started = 1
    }

    /// nf_conntrack_max; nil where conntrack is not there.
    public var limit: UInt32? { state.pointee.max == 0 ? nil : state.pointee.max }

    /// Whether nothing has used conntrack so far: whenever we looked, no namespace's table had an entry, and no rule had
    /// asked for it.
    public var isIdle: Bool { !wasUsed }

    /// Packets of namespaces for which there was no room.
    public var unwatched: UInt64 { state.pointee.unwatched }

    /// Nanoseconds for which what is known of addresses and counters is fresh enough: within two such times a packet claims what
    /// was counted, or nobody.
    public static let freshness: Int64 = 1_000_000_000
    /// Nanoseconds by which it may be done early, so that who asks each second finds it due each time.
    private static let slack: Int64 = 100_000_000

    /// Walks over addresses and counters, if that was last done long ago. To be called at least as often as that.
    ///
    /// - Returns: Whether it was done.
    public func refresh() throws(ProbeError) -> Bool {
        guard Self.now() - refreshed >= Self.freshness - Self.slack else { return false }
        try ProbeError.wrapping { () throws(BPFError) in
            try learn()
            try walkAddresses()
            try walkCounters()
            try readTables()
        }
        return true
    }

    /// Gives what nobody has claimed, of all namespaces, each once.
    ///
    /// - Parameter last: The programs are detached: what nobody has claimed by now, nobody will.
    public func flush(last: Bool = false) throws(ProbeError) -> [UnclaimedFailures] {
        if last {
            try ProbeError.wrapping { () throws(BPFError) in
                try learn()
                try walkCounters()
                // The second one gives up what the first has found.
                try walkCounters()
                try readTables(last: true)
            }
        }
        defer { unclaimed = [:] }
        return Array(unclaimed.values)
    }

    /// How far the counters have moved, as of the last flush.
    public func movements() -> [ConntrackMovement] {
        (gone + rows().map { TableCounts($0.values).movement }).filter { !$0.isNone }
    }

    // MARK: Namespaces

    /// Tells network namespaces by their files, on any thread, for as long as the session lives.
    public var namespaceFiles: NamespaceFiles { NamespaceFiles(program: programs[.namespace]!) }

    /// Whose an address is at this moment; unknown also where several had it at the last walk.
    public func place(of address: IPAddress) -> AddressPlace {
        let low = address.family == .ipv4 ? 0xffff_0000_0000 | address.low : address.low
        switch try? run(.whose, [address.high.bigEndian, low.bigEndian]) {
        case 1: return .namespace(NamespaceIdentity(inode: peeks[0].netns_id, mix: peeks[0].key.hash_mix))
        case 2: return .host
        default: return .unknown
        }
    }

    /// The conntrack tables that had entries at the last refresh, also of namespaces that nobody can enter; nil where its
    /// walk was broken, or the kernel does not tell how many entries there are.
    public func usedTables() -> UsedTables? {
        guard state.pointee.address_walk_done == state.pointee.address_walk, state.pointee.max != 0 else { return nil }
        let listed = Int(state.pointee.listed)
        let rows = UnsafeBufferPointer(start: used, count: min(listed, Int(PT_USED_TABLES)))
        return UsedTables(
            tables: rows.map {
                UsedTable(
                    namespace: NamespaceIdentity(inode: $0.netns_id, mix: $0.hash_mix), isHost: $0.is_host != 0,
                    entries: UInt64($0.entries))
            },
            unlisted: listed - rows.count)
    }

    /// Whose all addresses were at the last refresh.
    public func addresses() throws(ProbeError) -> NodeAddresses {
        try ProbeError.wrapping { () throws(BPFError) in
            let done = state.pointee.address_walk_done
            var count = 0
            var addresses = NodeAddresses(isComplete: done == state.pointee.address_walk && done != 0)
            let batch = BatchReader(keySize: owners.keySize, valueSize: owners.valueSize, rows: Self.addressBatch)
            try batch.read(owners) { keys, values, rows in
                count += rows
                for row in 0..<rows {
                    let owner = values.loadUnaligned(
                        fromByteOffset: row * MemoryLayout<pt_address_owner>.stride, as: pt_address_owner.self)
                    guard owner.walk >= done else { continue }
                    let high = keys.loadUnaligned(fromByteOffset: row * 16, as: UInt64.self)
                    let low = keys.loadUnaligned(fromByteOffset: row * 16 + 8, as: UInt64.self)
                    addresses.insert(
                        IPAddress(mappedHigh: UInt64(bigEndian: high), low: UInt64(bigEndian: low)), place(owner, done))
                }
            }
            // The map lets the oldest go when it is full.
            if count >= owners.capacity / 2 { addresses.isComplete = false }
            return addresses
        }
    }

    private static let addressBatch = 1_024

    private func place(_ owner: pt_address_owner, _ done: UInt32) -> AddressPlace {
        if owner.several != 0, owner.several >= done { return .unknown }
        if owner.net == state.pointee.host_net || owner.net == state.pointee.own_net { return .host }
        return .namespace(NamespaceIdentity(inode: owner.netns_id, mix: owner.hash_mix))
    }

    // MARK: Walks

    private func run(_ program: Program, _ arguments: [UInt64] = [], cpu: UInt32? = nil) throws(BPFError) -> UInt32 {
        try BPF.Program.run(programs[program]!, arguments, cpu: cpu)
    }

    /// Where conntrack's variables are: it may have come, gone or come back.
    private func learn() throws(BPFError) {
        let paths = [
            "/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max",
            "/sys/module/nf_conntrack",
        ]
        let files = paths.map { open($0, O_RDONLY | O_CLOEXEC) }
        defer { for file in files where file >= 0 { _ = close(file) } }
        _ = try run(.learn, sockets.map { UInt64($0.number) } + files.map { UInt64(max($0, 0)) })
    }

    private func walkAddresses() throws(BPFError) {
        refreshed = Self.now()
        state.pointee.address_walk += 1
        state.pointee.entries = 0
        state.pointee.users = 0
        state.pointee.listed = 0
        if try walk({ () throws(BPFError) in try run(.addresses) }) {
            state.pointee.address_walk_done = state.pointee.address_walk
        }
        if state.pointee.entries + state.pointee.users > 0 { wasUsed = true }
    }

    private func walkCounters() throws(BPFError) {
        state.pointee.walk += 1
        var isComplete = true
        for cpu in OnlineCPUs.current() {
            do {
                if try !walk({ () throws(BPFError) in try run(.counters, cpu: cpu) }) { isComplete = false }
            } catch  where error.code == ENXIO {
                continue  // gone offline just now
            }
        }
        if isComplete { lastCompleteWalk = state.pointee.walk }
    }

    /// Runs until the walk is at its end; false where it has met a namespace that was going, and stopped there, or where
    /// the CPU was in the midst of another run whenever it was tried.
    ///
    /// - Parameter run: Gives 0 where it is to be tried again.
    private func walk(_ run: () throws(BPFError) -> UInt32) throws(BPFError) -> Bool {
        let broken = state.pointee.broken
        state.pointee.cursor = 0
        state.pointee.device = 0
        for _ in 0..<Self.mostRuns {
            if try run() == 0 {
                usleep(100)
            } else if state.pointee.cursor == 0 {
                return state.pointee.broken == broken
            }
        }
        return false
    }

    // MARK: Tables

    /// All tables, each with what every CPU has counted.
    private func rows() -> [(key: TableKey, values: [pt_table])] {
        let keys = tables.keys()
        var rows: [TableKey: [pt_table]] = [:]
        var buffer = [pt_table](repeating: pt_table(), count: possibleCPUs)
        for offset in stride(from: 0, to: keys.count, by: tables.keySize) {
            keys.withUnsafeBytes { bytes in
                let key = bytes.loadUnaligned(fromByteOffset: offset, as: pt_table_key.self)
                guard tables.read(bytes.baseAddress! + offset, into: &buffer) else { return }
                rows[TableKey(net: key.net, hashMix: key.hash_mix)] = buffer
            }
        }
        for (key, counters) in offline {
            var values = rows[key] ?? [pt_table](repeating: pt_table(), count: possibleCPUs)
            for (cpu, row) in counters {
                values[cpu].flushed = row.now
                values[cpu].netns_id = row.netns_id
            }
            rows[key] = values
        }
        return rows.map { ($0.key, $0.value) }
    }

    /// No program has run on a CPU since it went offline, and none moves its values: it is read, not walked.
    private func readOfflineCPUs() throws(BPFError) {
        let online = OnlineCPUs.current()
        var index: UInt32 = 0
        var values = [UInt8](repeating: 0, count: (cpus.valueSize + 7) / 8 * 8 * possibleCPUs)
        guard online.count < possibleCPUs, cpus.read(&index, into: &values) else { return }
        for cpu in 0..<possibleCPUs where !online.contains(UInt32(cpu)) {
            // struct pt_cpu (bpf/conntrack_maps.bpf.h) begins with its offset; one that was never online has none.
            let offset = values.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: values.count / possibleCPUs * cpu, as: UInt64.self)
            }
            guard offset != 0 else { continue }
            state.pointee.cursor = 0
            repeat {
                for row in 0..<Int(try run(.peek, [offset])) {
                    let row = peeks[row]
                    let counters = row.now
                    guard counters.drop | counters.insert_failed | counters.early_drop | counters.tw_overflow != 0
                    else { continue }
                    offline[TableKey(net: row.key.net, hashMix: row.key.hash_mix), default: []].append((cpu, row))
                }
            } while state.pointee.cursor != 0
        }
    }

    private func readTables(last: Bool = false) throws(BPFError) {
        if last { try readOfflineCPUs() }
        for (key, values) in rows() {
            let isGone = isGone(values)
            let found = TableCounts(values).unclaimed(since: &told[key, default: .init()], isFinal: last || isGone)
            if !found.isNone { unclaimed[found.netnsID, default: UnclaimedFailures(netnsID: found.netnsID)].add(found) }
            if isGone, !last { forget(key, values) }
        }
    }

    /// Whether no CPU has met the namespace in the last two complete walks.
    private func isGone(_ values: [pt_table]) -> Bool {
        let met = values.map(\.walk).max() ?? 0
        return Int64(met) < Int64(lastCompleteWalk) - 1
    }

    private func forget(_ key: TableKey, _ values: [pt_table]) {
        let movement = TableCounts(values).movement
        if !movement.isNone {
            if gone.count < Self.mostGone { gone.append(movement) } else { gone[0].add(movement) }
        }
        told[key] = nil
        var record = pt_table_key(net: key.net, hash_mix: key.hashMix, unused: 0)
        tables.remove(&record)
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
