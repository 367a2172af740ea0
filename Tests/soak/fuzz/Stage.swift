import PortTraceCore

/// A stream with everything about it made up: filter, cgroups, node, clock.
final class Stage {
    struct Paths: CgroupPathSource {
        var paths: [UInt64: [UInt8]]

        func path(ofCgroup id: UInt64) -> [UInt8]? { paths[id] }
    }

    /// Nobody has a name.
    struct NoOwners: OwnerSource {
        var version: UInt64 { 0 }

        func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? { nil }
        func names(of namespace: NamespaceIdentity) -> OwnerNames? { nil }
        func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)? { nil }
        func place(of address: IPAddress) -> AddressPlace { .unknown }
    }

    /// Keeps what is asked about clashes.
    final class Questions: NATClashReader {
        var asked: [NATClash] = []

        func ask(_ clash: NATClash) { asked.append(clash) }
    }

    let stream: EventStream
    let questions = Questions()
    /// Whether a pair's clashes are exhaustion, in this interval.
    var verdicts: [NATPair: Bool] = [:]
    /// The ports that flows of NAT addresses were seen with; the pair's peer and zone are nobody's.
    private var spans: [NATPair: ClosedRange<UInt16>] = [:]
    let format: OutputFormat
    let filter: KnownFilter
    let paths: Paths
    let node: [UInt8]

    init(_ format: OutputFormat, _ random: inout SplitMix) throws(Finding) {
        self.format = format
        filter = KnownFilter(&random)
        node = random.oneIn(3) ? [] : random.hostileBytes(atMost: 64)
        paths = Paths(paths: Stage.randomPaths(&random))
        let configuration = EventStream.Configuration(
            format: format, node: node, each: random.oneIn(2), filter: try filter.filter())
        let box = Box()
        stream = EventStream(
            configuration,
            clock: Clock(utcOffsetNanoseconds: Int64.random(in: 0...1_900_000_000_000_000_000, using: &random)),
            sources: .init(cgroupPaths: paths, owners: NoOwners(), clashes: questions, census: NoCensus()),
            report: { box.messages.append($0.message) })
        self.box = box
    }

    /// Notes what a NAT address was seen with; returns all that it was.
    func widenSpan(of pair: NATPair, by ports: ClosedRange<UInt16>) -> ClosedRange<UInt16> {
        var source = pair
        (source.zone, source.peer, source.peerPort) = (0, pair.natAddress, 0)
        let known = spans[source] ?? ports
        let span = min(known.lowerBound, ports.lowerBound)...max(known.upperBound, ports.upperBound)
        spans[source] = span
        return span
    }

    private struct NoCensus: CensusSource {
        func occupancy(of resource: Resource) -> Occupancy? { nil }
    }

    private final class Box { var messages: [String] = [] }
    private let box: Box

    /// What it said on standard error.
    var messages: [String] { box.messages }

    private static func randomPaths(_ random: inout SplitMix) -> [UInt64: [UInt8]] {
        var paths: [UInt64: [UInt8]] = [:]
        for id in UInt64(1)..<32 {
            var path = Array(random.pick(["/a", "/a/b", "/ab", "/a/b/c", "/c/d", "/"]).utf8)
            if random.oneIn(2) { path += random.hostileBytes(atMost: 120) }
            paths[id] = path.filter { $0 != 0 }
        }
        return paths
    }

    /// The bytes that wait; none do afterwards.
    func take() -> [UInt8] {
        let bytes = stream.withPendingBytes { Array($0) }
        stream.consume(bytes.count)
        return bytes
    }

    /// The lines that wait.
    ///
    /// - Throws: ``Finding`` where they are not whole, no UTF-8, or hold what acts on a terminal.
    func takeLines() throws(Finding) -> [[UInt8]] {
        let bytes = take()
        if bytes.isEmpty { return [] }
        guard bytes.last == UInt8(ascii: "\n") else { throw Finding("a line is not whole", bytes) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Finding("no UTF-8", bytes) }
        guard text.unicodeScalars.allSatisfy({ $0 == "\n" || !$0.isHazardous }) else {
            throw Finding("something acts on a terminal", bytes)
        }
        return bytes.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    }
}

extension Unicode.Scalar {
    /// Control characters, line and paragraph separators, marks that turn the direction of writing.
    var isHazardous: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default:
            [0x61c, 0x200e, 0x200f].contains(value) || (0x202a...0x202e).contains(value)
                || (0x2066...0x2069).contains(value)
        }
    }
}
