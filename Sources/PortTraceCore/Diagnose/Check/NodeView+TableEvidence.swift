/// Sentences about a conntrack table: what fills it, and how it compares with its hash and the memory.
extension NodeView {
    private typealias Words = CheckWords

    func tableEvidence(_ trouble: Trouble) -> [String] {
        guard let table = table(trouble.resource) else {
            let entries = trouble.isMeasured ? "\(Words.number(trouble.occupancy.used)) " : ""
            return ["The table could not be listed: whose its \(entries)entries are is not known."]
        }
        var sentences = [filling(table)]
        let unassured = table.table.used - min(table.assured, table.table.used)
        if trouble.isFailing {
            sentences.append(
                "\(Words.number(unassured)) entries are not assured: only those can be evicted to make room.")
        }
        if let stale = table.stale.first, TableFilling(table).kind != .stale {
            sentences.append(
                "\(Words.number(table.stale.reduce(0) { $0 + $1.count })) entries are stale, of addresses that are "
                    + "nobody's any more; most of \(Words.address(stale.address)).")
        }
        sentences += smallness(table)
        if let counters = counters(trouble.resource), counters.total.drop > counters.moved.drop {
            sentences.append(
                "Since that namespace was made: drop \(Words.number(counters.total.drop)), early_drop "
                    + "\(Words.number(counters.total.earlyDrop)), insert_failed "
                    + "\(Words.number(counters.total.insertFailed)).")
        }
        return sentences
    }

    private func filling(_ table: TableCensus) -> String {
        let filling = TableFilling(table)
        let share = "\(Words.number(filling.count)) entries (\(Words.percent(filling.count, of: table.table.used)))"
        let most =
            filling.destination.map {
                ", most towards \(Words.endpoint($0.endpoint)) (\(Words.number($0.count)))"
            } ?? ""
        switch filling.kind {
        case .churn:
            return
                "Filled by churn: \(share) are TCP's TIME_WAIT, each for \(Words.number(table.timeWait)) s after its "
                + "connection\(most)."
        case .udp where filling.isDNS:
            return "Filled by DNS: \(share) are UDP, which only a timeout ends\(most)."
        case .udp: return "Filled by UDP, which only a timeout ends: \(share)\(most)."
        case .longLived: return "Filled by connections that stay open: \(share) are established\(most)."
        case .stale:
            let longest = table.stale.map(\.longestTimeout).max() ?? 0
            return "Filled by stale entries: \(share) are of addresses that are nobody's any more; by themselves "
                + "they "
                + "are over in \(Words.time(Double(longest))) at the latest."
        case .retries:
            let to = filling.destination.map { Words.endpoint($0.endpoint) } ?? "one destination"
            return "Filled by one retry storm: \(share) wait for an answer of \(to)."
        case .mixed: return "No one kind fills it: TCP, UDP and others, towards many destinations."
        }
    }

    /// A table that is small against its hash, or against the memory that there is.
    private func smallness(_ table: TableCensus) -> [String] {
        var sentences: [String] = []
        if table.buckets > 0, table.table.used > 4 * table.buckets {
            sentences.append(
                "The hash is small: \(Words.number(table.buckets)) buckets for \(Words.number(table.table.used)) "
                    + "entries.")
        } else if let limit = table.table.limit, table.buckets > 2 * limit {
            sentences.append(
                "nf_conntrack_max is small against its hash of \(Words.number(table.buckets)) buckets, which the "
                    + "kernel "
                    + "means for as many entries.")
        }
        if let limit = table.table.limit, sample.facts.memory > 0,
            ConntrackSize(entries: limit, buckets: table.buckets).bytes * 200 < sample.facts.memory
        {
            let bytes = ConntrackSize(entries: limit, buckets: table.buckets).bytes
            sentences.append(
                "A full table takes \(Words.bytes(bytes)) of this machine's \(Words.bytes(sample.facts.memory)): "
                    + "it can be larger.")
        }
        return sentences
    }

    // MARK: Insertions

    func insertionEvidence(_ trouble: Trouble) -> [String] {
        var sentences: [String] = []
        if isDNSRace(trouble) {
            sentences.append(
                "DNS races: \(Words.number(trouble.dns)) were questions to a name server: asked again after 5 s.")
        }
        if trouble.chains > 0 {
            sentences.append("\(Words.number(trouble.chains)) of them because a bucket's chain is too long.")
        }
        if trouble.translated > 0 {
            let address = trouble.mapping?.source.map { ", most to \(Words.address($0))" } ?? ""
            sentences.append(
                "\(Words.number(trouble.translated)) were source-NATed\(address): two flows chose one NAT port in the "
                    + "same moment, and the later one's packet is dropped.")
        }
        if trouble.untranslated > 0 {
            sentences.append(
                isDNSRace(trouble)
                    ? "\(Words.number(trouble.untranslated)) were not source-NATed: questions from one socket at once (A "
                        + "and AAAA) make one flow more than once. The kernel merges those that are alike (since Linux "
                        + "5.7), not all that destination NAT leads to different backends."
                    : "\(Words.number(trouble.untranslated)) were not source-NATed: two packets made one flow in the "
                        + "same moment.")
        }
        if trouble.races > 0, trouble.translated + trouble.untranslated == 0 {
            sentences.append("Races: two packets made one flow, or chose one NAT port, in the same moment.")
        }
        if trouble.noMemory > 0 { sentences.append("\(Words.number(trouble.noMemory)) for want of memory.") }
        if trouble.dying > 0 { sentences.append("\(Words.number(trouble.dying)) entries were being deleted.") }
        if let table = table(trouble.resource) {
            var hash = "The table holds \(Words.number(table.table.used)) entries"
            if table.buckets > 0 { hash += " in \(Words.number(table.buckets)) buckets" }
            sentences.append(hash + (table.translated > 0 ? "; \(Words.number(table.translated)) are NATed." : "."))
        }
        if let counters = counters(trouble.resource), counters.total.insertFailed > counters.moved.insertFailed {
            sentences.append(
                "insert_failed of that namespace: \(Words.number(counters.total.insertFailed)) since it was made.")
        }
        return sentences
    }

    func isDNSRace(_ trouble: Trouble) -> Bool {
        trouble.problem == .conntrackInsertFailed && trouble.dns * 2 > trouble.count
    }
}

extension TableCensus {
    /// Seconds (nf_conntrack_proto_tcp.c).
    static let usualTimeWait: UInt64 = 120

    /// Seconds for which an entry of TCP's stays when its connection has ended.
    var timeWait: UInt64 { timeouts[.timeWait] ?? TableCensus.usualTimeWait }
}

/// The memory of a conntrack table.
struct ConntrackSize {
    var entries: UInt64
    var buckets: UInt64

    /// Bytes: `struct nf_conn` takes 256 of its slab on x86-64, its extensions some 64 more (nf_ct_ext_add(),
    /// net/netfilter/nf_conntrack_extend.c); a bucket is one pointer (struct hlist_nulls_head).
    var bytes: UInt64 { entries * 320 + buckets * 8 }
}
