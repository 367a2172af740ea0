import CPortTraceWire
import PortTraceCore

/// A filter whose meaning is told twice: as options that Core reads, and here, by the contract's words.
struct KnownFilter {
    enum Verdict { case pass, reject, undecided }

    struct Destination {
        /// 4 or 16 bytes; nil: any address.
        var address: [UInt8]?
        var length = 0
        /// 0: any.
        var port: UInt16 = 0
    }

    private var cgroups: [String] = []
    private var pids: [UInt32] = []
    private var comms: [String] = []
    private var destinations: [Destination] = []
    private var kinds: [String] = []

    init(_ random: inout SplitMix) {
        if random.oneIn(3) { return }
        func some<Value>(_ make: (inout SplitMix) -> Value) -> [Value] {
            random.oneIn(3) ? (0..<Int.random(in: 1...3, using: &random)).map { _ in make(&random) } : []
        }
        cgroups = some { $0.pick(["/a", "/a/b", "/c", "/", "/absent"]) }
        pids = some { UInt32.random(in: 1..<8, using: &$0) }
        comms = some { $0.pick(["nginx", "a", "fifteen-letters"]) }
        destinations = some(KnownFilter.destination)
        kinds = some { $0.pick(KnownFailure.typeNames + ["summary"]) }
    }

    private static func destination(_ random: inout SplitMix) -> Destination {
        var destination = Destination(port: random.oneIn(2) ? random.pick([80, 443, 8080]) : 0)
        if destination.port != 0, random.oneIn(2) { return destination }
        let family: UInt8 = random.pick([4, 6])
        destination.address = Array(KnownFailure.address(family, &random).prefix(family == 4 ? 4 : 16))
        destination.length = random.pick([0, 1, 8, 24, 31, 32])
        if destination.address?.mappedIPv4 != nil {
            destination.length = random.pick([96, 104, 128])
        } else if family == 6 {
            destination.length = random.pick([0, 1, 32, 48, 127, 128])
        }
        return destination
    }

    /// - Throws: ``Finding`` where Core refuses one of them.
    func filter() throws(Finding) -> Filter {
        var filter = Filter()
        do {
            for path in cgroups { try filter.addCgroups(parsing: path.utf8) }
            if !pids.isEmpty { try filter.addPIDs(parsing: pids.map { "\($0)" }.joined(separator: ",").utf8) }
            for comm in comms { try filter.addComms(parsing: comm.utf8) }
            for destination in destinations { try filter.addDestinations(parsing: destination.text.utf8) }
            if !kinds.isEmpty { try filter.addTypes(parsing: kinds.joined(separator: ",").utf8) }
        } catch {
            throw Finding("a good option is refused: \(error)")
        }
        return filter
    }

    /// - Parameter cgroup: its path; nil: not known.
    func verdict(_ failure: KnownFailure, cgroup: [UInt8]?) -> Verdict {
        var verdicts: [Verdict] = []
        func option(_ isGiven: Bool, _ isKnown: Bool, _ matches: @autoclosure () -> Bool) {
            if isGiven { verdicts.append(!isKnown ? .undecided : matches() ? .pass : .reject) }
        }
        option(!kinds.isEmpty, true, kinds.contains(failure.typeName))
        option(
            !cgroups.isEmpty, cgroup != nil,
            cgroups.contains { pattern in
                pattern == "/" || cgroup == Array(pattern.utf8) || cgroup?.starts(with: "\(pattern)/".utf8) == true
            })
        option(!pids.isEmpty, failure.hasProcess, pids.contains(failure.key.tgid))
        option(!comms.isEmpty, failure.hasProcess, comms.contains { failure.comm.elementsEqual($0.utf8) })
        let port = failure.destinationPort
        let isAddressed = destinations.contains { $0.matches(failure.destination ?? []) }
        let isMet = destinations.contains {
            $0.matches(failure.destination ?? []) && ($0.port == 0 || $0.port == port)
        }
        option(!destinations.isEmpty, failure.destination != nil && (isMet || port != 0 || !isAddressed), isMet)
        if verdicts.contains(.reject) { return .reject }
        return verdicts.contains(.undecided) ? .undecided : .pass
    }
}

extension KnownFilter.Destination {
    /// Whether its address is meant.
    func matches(_ other: [UInt8]) -> Bool {
        guard let address else { return true }
        var (pattern, length) = (address, length)
        if let mapped = pattern.mappedIPv4 {
            // Written as IPv6; it means the IPv4 address.
            if length < 96 { return false }
            (pattern, length) = (mapped, length - 96)
        }
        guard pattern.count == other.count else { return false }
        return (0..<length).allSatisfy { bit in
            let mask: UInt8 = 0x80 >> UInt8(bit % 8)
            return pattern[bit / 8] & mask == other[bit / 8] & mask
        }
    }

    var text: String {
        guard let address else { return ":\(port)" }
        let network = "\(addressText(address))/\(length)"
        if port == 0 { return network }
        return address.count == 16 ? "[\(network)]:\(port)" : "\(network):\(port)"
    }
}

extension [UInt8] {
    /// The IPv4 address in a v4-mapped one.
    var mappedIPv4: [UInt8]? {
        count == 16 && self[..<10].allSatisfy { $0 == 0 } && self[10] == 0xff && self[11] == 0xff
            ? Array(self[12...]) : nil
    }
}
