import CPortTraceWire
import PortTraceCore

/// An NDJSON line held against what was fed.
struct LineCheck {
    private let line: [UInt8]
    private let json: JSON
    private let stage: Stage

    /// - Throws: ``Finding`` where it is no JSON.
    init(_ line: [UInt8], _ stage: Stage) throws(Finding) {
        self.line = line
        self.stage = stage
        json = try JSON(parsing: line)
    }

    private func expectEqual<Value: Equatable>(_ name: String, _ found: Value?, _ expected: Value?) throws(Finding) {
        if found == expected { return }
        throw Finding("\(name) is \(String(describing: found)), not \(String(describing: expected))", line)
    }

    func check(_ failure: KnownFailure, _ fed: Fed) throws(Finding) {
        try checkStart(failure.typeName)
        try expectEqual("cause", json["cause"]?.string, failure.causeName)
        try expectEqual("count", json["count"]?.unsigned, fed.count)
        try expectEqual("timestamp", json["timestamp"]?.string.flatMap(utcNanoseconds), fed.first)
        try expectEqual("last_timestamp", json["last_timestamp"]?.string.flatMap(utcNanoseconds), fed.last)
        try expectEqual("error_raw", json["error_raw"]?.unsigned, failure.error == 0 ? nil : UInt64(failure.error))
        let errors: [UInt16: String] = [1: "EPERM", 11: "EAGAIN", 98: "EADDRINUSE", 99: "EADDRNOTAVAIL"]
        if let name = errors[failure.error] { try expectEqual("error", json["error"]?.string, name) }
        try expectEqual("netns_id", json["netns_id"]?.unsigned, failure.netnsID == 0 ? nil : UInt64(failure.netnsID))
        try checkOwner(failure)
        try checkEndpoint(in: json, "src", failure.source, failure.sourcePort)
        try checkEndpoint(in: json, "dst", failure.destination, failure.destinationPort)
        if let range = failure.portRange {
            try expectEqual("port_range", json["detail"]?["port_range"], .array(range.map { .number("\($0)") }))
        } else {
            try expectEqual("port_range", json["detail"]?["port_range"], nil)
        }
        try expectEqual("folded", json["detail"]?["folded"], failure.folding == .none ? nil : .bool(true))
        try checkConntrack(failure)
        let states = failure.states
        try expectEqual("old", json["detail"]?["old"]?.string, states?.old)
        try expectEqual("new", json["detail"]?["new"]?.string, states?.new)
    }

    private func checkConntrack(_ failure: KnownFailure) throws(Finding) {
        let detail = json["detail"]
        let icmp = failure.icmp.map { values in
            JSON.object(
                zip(["type", "code", "id"], values).map { name, value in (name: name, value: .number("\(value)")) })
        }
        try expectEqual("icmp", detail?["icmp"], icmp)
        try expectEqual("direction", detail?["direction"]?.string, failure.direction)
        try expectEqual("zone", detail?["zone"]?.unsigned, failure.zone)
        try expectEqual("limit", detail?["limit"]?.unsigned, failure.limit)
        try expectEqual("evidence", detail?["evidence"]?.string, failure.isExhausted ? "all_held" : nil)
        try checkEndpoint(in: detail, "nat", failure.nat?.address, failure.nat?.port ?? 0)
        try checkEndpoint(in: detail, "backend", failure.backend?.address, failure.backend?.port ?? 0)
    }

    private func checkStart(_ type: String) throws(Finding) {
        try expectEqual("schema", json["schema"]?.unsigned, 1)
        try expectEqual("type", json["type"]?.string, type)
        let node = stage.node.isEmpty ? nil : String(decoding: stage.node, as: UTF8.self)
        try expectEqual("node", json["node"], node.map { .string($0) })
    }

    private func checkOwner(_ failure: KnownFailure) throws(Finding) {
        let id = failure.cgroupID
        try expectEqual("cgroup.id", json["cgroup"]?["id"]?.unsigned, id == 0 ? nil : id & ~PT_CGROUP_V1)
        let path = id == 0 ? nil : stage.paths.path(ofCgroup: id)
        try expectEqual(
            "cgroup.path", json["cgroup"]?["path"], path.map { .string(String(decoding: $0, as: UTF8.self)) })
        try expectEqual("attribution", json["attribution"]?.string, failure.attributionName)
        guard failure.hasProcess else { return try expectEqual("proc", json["proc"], nil) }
        let process = json["proc"]
        try expectEqual("proc.pid", process?["pid"]?.unsigned, UInt64(failure.key.tgid))
        try expectEqual("proc.uid", process?["uid"]?.unsigned, UInt64(failure.detail.uid))
        let tid = failure.detail.tid
        try expectEqual("proc.tid", process?["tid"]?.unsigned, tid == 0 ? nil : UInt64(tid))
        try expectEqual("proc.comm", process?["comm"], .string(String(decoding: failure.comm, as: UTF8.self)))
    }

    private func checkEndpoint(
        in object: JSON?, _ name: String, _ address: [UInt8]?, _ port: UInt16
    ) throws(Finding) {
        let endpoint = object?[name]
        try expectEqual("\(name).port", endpoint?["port"]?.unsigned, port == 0 ? nil : UInt64(port))
        let text = endpoint?["addr"]?.string
        try expectEqual("\(name).addr", text.flatMap { addressBytes(Array($0.utf8)) }, address)
        try expectEqual("\(name).addr", text?.lowercased(), text)
    }

    func checkSummary(_ accounts: Accounts, bindTier: String) throws(Finding) {
        try checkStart("summary")
        let detail = json["detail"]
        for type in KnownFailure.typeNames {
            try expectEqual("totals", detail?["totals"]?[type]?.unsigned ?? 0, accounts.passed[type] ?? 0)
            try expectEqual("undecided", detail?["undecided"]?[type]?.unsigned ?? 0, accounts.undecided[type] ?? 0)
        }
        try expectEqual("exact", detail?["exact"], .bool(accounts.missed == 0 && accounts.undecodable == 0))
        try expectEqual("lost.ring", detail?["lost"]?["ring"]?.unsigned, accounts.lost)
        try expectEqual("lost.missed_runs", detail?["lost"]?["missed_runs"]?.unsigned, accounts.missed)
        try expectEqual("probes.bind", detail?["probes"]?["bind"], .string(bindTier))
        let movement = JSON.object([("netns_id", .number("5")), ("drop", .number("7"))])
        try expectEqual("kernel", detail?["kernel"], .array([movement]))
    }
}

/// Nanoseconds since 1970 of `2026-11-21T08:20:45.123456789Z`; nil for anything else.
func utcNanoseconds(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    guard bytes.count == 30, bytes[10] == UInt8(ascii: "T"), bytes[29] == UInt8(ascii: "Z") else { return nil }
    func number(_ range: Range<Int>) -> Int64 { Int64(String(decoding: bytes[range], as: UTF8.self)) ?? -1 }
    let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
    guard (1...12).contains(month), (1...31).contains(day) else { return nil }
    // Days since 1970 by counting: slow and plain.
    func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }
    var days = day - 1
    for before in 1970..<max(year, 1970) { days += isLeap(before) ? 366 : 365 }
    for before in 1..<month {
        days += [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][Int(before - 1)]
    }
    let seconds = (days * 24 + number(11..<13)) * 3_600 + number(14..<16) * 60 + number(17..<19)
    return seconds * 1_000_000_000 + number(20..<29)
}
