// Reads the node's conntrack tables once as `porttrace check` does, and prints what it has found as JSON lines:
// read-tables [--without-bpf] [--tables] [--counters] [--facts] [--times N] [--host-root DIR]
// Addresses are 32 hexadecimal digits, IPv4 as v4-mapped.
import CLinux
import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

private func hexadecimal(_ address: IPAddress) -> String {
    let low = address.family == .ipv4 ? 0xffff_0000_0000 | address.low : address.low
    return [address.high, low].map { half in
        let digits = String(half, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
}

private func list<Element>(_ elements: some Sequence<Element>, _ text: (Element) -> String) -> String {
    "[" + elements.map(text).joined(separator: ", ") + "]"
}

private func counts(_ counts: [UInt8: UInt64]) -> String {
    "{" + counts.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}"
}

private func holders(_ holders: [Holder]) -> String {
    list(holders) { "{\"netns\": \($0.owner.namespace?.inode ?? 0), \"count\": \($0.count)}" }
}

private func number(_ value: UInt64?) -> String { value.map(String.init) ?? "null" }

/// Text of the reader's own, with no byte that JSON would want escaped but these.
private func quoted(_ text: String) -> String {
    "\"" + String(text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }) + "\""
}

private func line(_ table: TableCensus) -> String {
    let destinations = list(table.destinations) {
        "{\"proto\": \($0.proto), \"addr\": \"\(hexadecimal($0.endpoint.address))\", \"port\": \($0.endpoint.port), "
            + "\"count\": \($0.count), \"unreplied\": \($0.unreplied)}"
    }
    let stale = list(table.stale) {
        "{\"addr\": \"\(hexadecimal($0.address))\", \"backend\": \($0.isBackend), \"count\": \($0.count), "
            + "\"timeout\": \($0.longestTimeout)}"
    }
    let translations = list(table.translations) { snat in
        let to = snat.resource.destination.map { "\"addr\": \"\(hexadecimal($0.address))\", \"port\": \($0.port), " }
        return "{\"proto\": \(snat.resource.proto), \"nat\": \"\(snat.resource.source.map(hexadecimal) ?? "")\", "
            + "\(to ?? "")\"used\": \(snat.used), \"limit\": \(number(snat.limit)), "
            + "\"holders\": \(holders(snat.holders))}"
    }
    let fields = [
        ("netns", "\(table.namespace.inode)"), ("mix", "\(table.namespace.mix)"), ("host", "\(table.isHost)"),
        ("used", "\(table.table.used)"), ("limit", number(table.table.limit)), ("buckets", "\(table.buckets)"),
        ("assured", "\(table.assured)"), ("unreplied", "\(table.unreplied)"), ("inbound", "\(table.inbound)"),
        ("own", "\(table.own)"), ("translated", "\(table.translated)"), ("protocols", counts(table.protocols)),
        ("tcp_states", counts(table.tcpStates)), ("holders", holders(table.table.holders)),
        ("destinations", destinations), ("stale", stale), ("snat", translations),
    ]
    return "{" + fields.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
}

private func line(_ facts: NodeFacts) -> String {
    let processes = facts.processes.sorted { $0.key < $1.key }
    return "{\"facts\": {\"max\": \(number(facts.conntrackMax)), \"buckets\": \(facts.conntrackBuckets), "
        + "\"memory\": \(facts.memory), \"kube_proxy\": \(facts.hasKubeProxy), "
        + "\"other\": \(quoted(facts.otherDataPath ?? "")), \"container\": \(facts.isInContainer), "
        + "\"processes\": {\(processes.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", "))}}}"
}

/// The most that this program had: ru_maxrss is its parent's where that is larger.
private func residentKiB() -> Int {
    guard let file = fopen("/proc/self/status", "re") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
        let text = line.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if text.hasPrefix("VmHWM:") { return Int(text.filter(\.isNumber)) ?? 0 }
    }
    return 0
}

private func write(_ line: String) { print(line) }

private func answer(_ reader: TableCensusReader, _ session: ProbeSession?, _ arguments: Set<String>) throws {
    _ = try session?.conntrack?.refresh()
    var question = TableCensusReader.Question(
        used: session?.conntrack?.usedTables(),
        addresses: try session?.conntrack?.addresses() ?? NodeAddresses(isComplete: false))
    question.wantsTables = arguments.contains("--tables")
    question.wantsCounters = arguments.contains("--counters")
    guard reader.ask(question) else { fatalError("the reader does not take a question") }
    var polled = pollfd(fd: reader.descriptor, events: Int16(POLLIN), revents: 0)
    while poll(&polled, 1, -1) < 1 {}
    let addresses = { try? session?.conntrack?.addresses() }
    guard let answer = reader.takeAnswer(addresses: addresses()) else { fatalError("no answer") }
    for table in answer.tables { write(line(table)) }
    for counters in answer.counters {
        let total = counters.total
        write(
            "{\"counters\": {\"netns\": \(counters.netnsID), \"drop\": \(total.drop), "
                + "\"insert_failed\": \(total.insertFailed), \"early_drop\": \(total.earlyDrop), "
                + "\"tw_overflow\": \(total.timeWaitOverflow)}}")
    }
    for part in answer.notVisible + answer.unreached.map(\.notVisible) {
        write(
            "{\"not_visible\": {\"part\": \(quoted("\(part.part)")), \"what\": \(quoted(part.what)), "
                + "\"why\": \(quoted(part.why))}}")
    }
    write("{\"cost_ns\": \(answer.cost), \"resident_kib\": \(residentKiB())}")
}

private func run(_ arguments: [String]) throws {
    let flags = Set(arguments)
    func value(_ name: String) -> String? {
        arguments.firstIndex(of: name).map { arguments.index(after: $0) }
            .flatMap { arguments.indices.contains($0) ? arguments[$0] : nil }
    }
    let hostRoot = value("--host-root") ?? "/"
    if flags.contains("--facts") { write(line(NodeFactsReader(hostRoot: hostRoot).read())) }
    let configuration = ProbeSession.Configuration(
        mode: .auto, btf: nil, each: false, ringSize: 256 << 10, tables: 1_024, verbose: false)
    let session = flags.contains("--without-bpf") ? nil : try ProbeSession(configuration)
    let reader = TableCensusReader(hostRoot: hostRoot)
    for _ in 0..<(value("--times").flatMap { Int($0) } ?? 1) {
        if flags.contains("--tables") || flags.contains("--counters") { try answer(reader, session, flags) }
    }
    session?.close()
}

try run(Array(CommandLine.arguments.dropFirst()))
