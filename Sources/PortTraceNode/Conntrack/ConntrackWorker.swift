internal import Glibc
internal import PortTraceCore

/// The thread that reads conntrack tables. It alone enters other network namespaces.
final class ConntrackWorker {
    /// Tables that are kept open; the one that was not used for longest makes room.
    private static let mostTables = 8
    /// Nanoseconds after which a table is opened anew or closed: it holds its namespace.
    private static let lifetime: Int64 = 10_000_000_000
    /// Nanoseconds for one question. The first one may have the kernel load its module.
    private static let patience: Int64 = 10_000_000_000

    private let queue: ConntrackQueue
    private let namespaces: NetworkNamespaces
    /// By the inode of their network namespaces, the last one used last.
    private var tables: [(netnsID: UInt32, table: ConntrackTable)] = []

    init(_ queue: ConntrackQueue, proc: String) {
        self.queue = queue
        namespaces = NetworkNamespaces(proc: proc)
    }

    /// Answers until the queue is closed.
    func run() {
        while true {
            switch queue.next(milliseconds: millisecondsToExpiry) {
            case .question(let clash): queue.answer(clash, evidence(of: clash))
            case .pause: break
            case .closed: return
            }
            let now = KernelClock.monotonicNow()
            tables.removeAll { now - $0.table.opened >= Self.lifetime }
        }
    }

    private var millisecondsToExpiry: Int32 {
        guard let oldest = tables.map(\.table.opened).min() else { return -1 }
        return Int32(max(0, oldest + Self.lifetime - KernelClock.monotonicNow()) / 1_000_000 + 1)
    }

    /// - Returns: nil where the namespace is not to be found or its table not to be read, or after ``patience``.
    private func evidence(of clash: NATClash) -> NATClashEvidence? {
        let deadline = KernelClock.monotonicNow() + Self.patience
        let isOver = { [queue] in KernelClock.monotonicNow() >= deadline || queue.isClosed }
        // A socket that has failed once is opened anew once.
        for _ in 1...2 {
            guard let table = table(clash.pair.netnsID) else { return nil }
            if let evidence = try? table.evidence(of: clash, isOver: isOver) { return evidence }
            tables.removeAll { $0.table === table }
            if isOver() { return nil }
        }
        return nil
    }

    private func table(_ netnsID: UInt32) -> ConntrackTable? {
        if let index = tables.firstIndex(where: { $0.netnsID == netnsID }) {
            tables.append(tables.remove(at: index))
        } else {
            guard let table = namespaces.inside(netnsID, { try? ConntrackTable.ofThisThread() }) else { return nil }
            if tables.count == Self.mostTables { tables.removeFirst() }
            tables.append((netnsID, table))
        }
        return tables.last?.table
    }
}
