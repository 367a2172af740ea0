// How fast events go from the kernel's bytes to NDJSON, on one core: bench-stream [EVENTS [REPEATS]]
// Prints one JSON line for samples and one for rows of a count map; the medians of the repeats.
import Glibc
import PortTraceCore

/// A node's cgroups: some hundred, with paths as long as Kubernetes makes them.
private struct Paths: CgroupPathSource {
    func path(ofCgroup id: UInt64) -> [UInt8]? {
        let pod = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod\(id).slice"
        return Array("/\(pod)/cri-containerd-\(String(id, radix: 16)).scope".utf8)
    }
}

/// Each container has its names.
private struct NoCensus: CensusSource {
    func occupancy(of resource: Resource) -> Occupancy? { nil }
}

private struct Owners: OwnerSource {
    var version: UInt64 { 0 }

    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? {
        var names = OwnerNames()
        (names.namespace, names.pod, names.container) = (Array("shop".utf8), Array("checkout".utf8), Array("app".utf8))
        return names
    }
    func names(of namespace: NamespaceIdentity) -> OwnerNames? { nil }
    func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)? { nil }
    func place(of address: IPAddress) -> AddressPlace { .unknown }
}

/// There are no clashes.
private struct NoReader: NATClashReader {
    func ask(_ clash: NATClash) {}
}

private struct Figures {
    var events: Double
    var bytes: Double
    var nanoseconds: Double

    var eventsPerSecond: Double { events / nanoseconds * 1e9 }
}

private func cpuNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

private func makeStream() -> EventStream {
    EventStream(
        EventStream.Configuration(format: .ndjson, node: Array("worker-17".utf8)),
        clock: Clock(utcOffsetNanoseconds: 1_780_000_000_000_000_000),
        sources: .init(cgroupPaths: Paths(), owners: Owners(), clashes: NoReader(), census: NoCensus()),
        report: { fatalError($0.message) })
}

/// Formatted bytes after which the command writes; here they are touched and forgotten.
private let batchBytes = 256 << 10

private struct Sink {
    var bytes = 0
    var check: UInt8 = 0

    mutating func drain(_ stream: EventStream, atLeast least: Int) {
        guard stream.pendingByteCount >= least else { return }
        check ^= stream.withPendingBytes { $0.first ?? 0 }
        bytes += stream.pendingByteCount
        stream.consume(stream.pendingByteCount)
    }
}

private func measure(_ events: Int, _ feed: (EventStream, inout Sink) -> Void) -> Figures {
    let stream = makeStream()
    var sink = Sink()
    let start = cpuNanoseconds()
    feed(stream, &sink)
    sink.drain(stream, atLeast: 0)
    let nanoseconds = cpuNanoseconds() - start
    guard stream.undecodable == 0, stream.passed == UInt64(events), sink.bytes > 200 * events else {
        fatalError("\(stream.passed) of \(events) events, \(sink.bytes) bytes, \(stream.undecodable) undecodable")
    }
    return Figures(events: Double(events), bytes: Double(sink.bytes), nanoseconds: Double(nanoseconds))
}

private func feedSamples(_ records: Records, _ stream: EventStream, _ sink: inout Sink) {
    records.samples.withUnsafeBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: Records.sampleSize) {
            stream.sample(UnsafeRawBufferPointer(rebasing: bytes[start..<start + Records.sampleSize]))
            sink.drain(stream, atLeast: batchBytes)
        }
    }
}

private func feedRows(_ records: Records, _ stream: EventStream, _ sink: inout Sink) {
    let batch = 512
    records.keys.withUnsafeBytes { keys in
        records.values.withUnsafeBytes { values in
            for start in stride(from: 0, to: records.count, by: batch) {
                let count = min(batch, records.count - start)
                stream.rows(
                    keys: UnsafeRawBufferPointer(rebasing: keys[(start * Records.keySize)...]),
                    values: UnsafeRawBufferPointer(rebasing: values[(start * Records.valueSize)...]),
                    count: count, generation: 0)
                sink.drain(stream, atLeast: batchBytes)
            }
        }
    }
}

private func run(_ name: String, _ repeats: Int, _ records: Records, _ feed: (EventStream, inout Sink) -> Void) {
    let figures = (0..<repeats).map { _ in measure(records.count, feed) }
        .sorted { $0.eventsPerSecond < $1.eventsPerSecond }
    let median = figures[repeats / 2]
    print(
        """
        {"part":"stream","subject":"\(name)","events":\(records.count),"repeats":\(repeats),\
        "events_per_s":\(Int(median.eventsPerSecond)),"bytes_per_s":\(Int(median.bytes / median.nanoseconds * 1e9)),\
        "bytes_per_event":\(Int(median.bytes / median.events)),\
        "least_per_s":\(Int(figures[0].eventsPerSecond)),"most_per_s":\(Int(figures[repeats - 1].eventsPerSecond))}
        """)
}

private let arguments = CommandLine.arguments.dropFirst().map { Int($0) ?? 0 }
private let (events, repeats) = (arguments.first ?? 500_000, arguments.dropFirst().first ?? 5)
guard events > 0, repeats > 0 else {
    print("usage: bench-stream [EVENTS [REPEATS]]")
    exit(2)
}
private let records = Records(count: events)
run("samples", repeats, records) { feedSamples(records, $0, &$1) }
run("rows", repeats, records) { feedRows(records, $0, &$1) }
