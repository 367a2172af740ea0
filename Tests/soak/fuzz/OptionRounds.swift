import PortTraceCore

/// Random option values: an answer or an error that is safe to print, and the same answer as libc or plain arithmetic.
func optionsRound(_ random: inout SplitMix, values: Int) throws(Finding) {
    for _ in 0..<values {
        let text = randomValue(&random)
        try checkDuration(text)
        try checkDestination(text)
        try checkGoodDestination(&random)
        _ = try value(of: text) { bytes throws(OptionError) in try OutputFormat(parsing: bytes) }
        try checkLists(text)
    }
}

private func randomValue(_ random: inout SplitMix) -> [UInt8] {
    let alphabet = Array("0123456789abcdefsmhF:./[],-+% ".utf8)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return random.hostileBytes(atMost: 40)
    case 1: return (0..<Int.random(in: 0...20, using: &random)).map { _ in random.pick(alphabet) }
    case 2: return Array("\(random.number(UInt64.self))\(random.pick(["ms", "s", "m", "h", "", "S", "us"]))".utf8)
    default:
        var text = Array(goodDestination(&random).text.utf8)
        for _ in 0..<Int.random(in: 0...3, using: &random) where !text.isEmpty {
            let index = Int.random(in: text.indices, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: text[index] = random.pick(alphabet)
            case 1: text.remove(at: index)
            default: text.insert(random.pick(alphabet), at: index)
            }
        }
        return text
    }
}

/// What a parser made of it; nil where it threw.
private func value<Value>(
    of text: [UInt8], _ parse: ([UInt8]) throws(OptionError) -> Value
) throws(Finding) -> Value? {
    do {
        return try parse(text)
    } catch {
        guard error.message.unicodeScalars.allSatisfy({ !$0.isHazardous }) else {
            throw Finding("a message acts on a terminal", Array(error.message.utf8))
        }
        return nil
    }
}

private func checkDuration(_ text: [UInt8]) throws(Finding) {
    let found = try value(of: text) { bytes throws(OptionError) in try Duration(parsing: bytes) }
    let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    let units: [String: Int64] = ["ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000]
    let unit = String(validating: Array(text.dropFirst(digits.count)), as: UTF8.self).flatMap { units[$0] }
    var expected: Int64?
    if let unit, let number = Int64(String(decoding: digits, as: UTF8.self)), number > 0 {
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        if !overflow { expected = product }
    }
    if found?.wholeNanoseconds != expected {
        throw Finding("a duration is \(String(describing: found)), not \(String(describing: expected)) ns", text)
    }
}

private struct GoodDestination {
    var text: String
    /// The same written otherwise.
    var other: String
    /// Another.
    var different: String
}

private func goodDestination(_ random: inout SplitMix) -> GoodDestination {
    let isIPv6 = random.oneIn(2)
    let address = Array(KnownFailure.address(isIPv6 ? 6 : 4, &random).prefix(isIPv6 ? 16 : 4))
    let shortest = address.mappedIPv4 == nil ? 0 : 96
    let length = Int.random(in: shortest...(8 * address.count), using: &random)
    let port: UInt16 = random.oneIn(2) ? max(1, random.number()) : 0
    func written(_ address: String, _ port: UInt16) -> String {
        let network = "\(address)/\(length)"
        return port == 0 ? network : isIPv6 ? "[\(network)]:\(port)" : "\(network):\(port)"
    }
    // Host bits do not count.
    var masked = address
    for bit in length..<(8 * address.count) where random.oneIn(2) { masked[bit / 8] ^= 0x80 >> UInt8(bit % 8) }
    return GoodDestination(
        text: written(addressText(address), port), other: written(longText(masked), port),
        different: written(addressText(address), port == 1 ? 2 : port == 0 ? 3 : 1))
}

/// An address with nothing left out.
private func longText(_ address: [UInt8]) -> String {
    if address.count == 4 { return addressText(address) }
    return stride(from: 0, to: 16, by: 2).map { index in
        String(UInt16(address[index]) << 8 | UInt16(address[index + 1]), radix: 16, uppercase: true)
    }.joined(separator: ":")
}

private func checkGoodDestination(_ random: inout SplitMix) throws(Finding) {
    let good = goodDestination(&random)
    func parsed(_ text: String) throws(Finding) -> DestinationPattern? {
        try value(of: Array(text.utf8)) { bytes throws(OptionError) in try DestinationPattern(parsing: bytes) }
    }
    let (one, other, different) = (try parsed(good.text), try parsed(good.other), try parsed(good.different))
    try expect(one != nil && one == other, "not the same destination: \(good.text) and \(good.other)")
    try expect(different != nil && one != different, "the same destination: \(good.text) and \(good.different)")
}

/// Whether a value is `ADDR[/LEN][:PORT]` by libc's reading of addresses.
private func checkDestination(_ text: [UInt8]) throws(Finding) {
    let found = try value(of: text) { bytes throws(OptionError) in try DestinationPattern(parsing: bytes) }
    if (found != nil) != isDestination(text) {
        throw Finding("a destination is \(found == nil ? "refused" : "taken")", text)
    }
}

private func isDestination(_ text: [UInt8]) -> Bool {
    let (colon, close) = (UInt8(ascii: ":"), UInt8(ascii: "]"))
    if text.first == UInt8(ascii: "[") {
        guard let end = text.firstIndex(of: close), text[1..<end].contains(colon) else { return false }
        let rest = text[(end + 1)...]
        return isNetwork(Array(text[1..<end])) && (rest.isEmpty || (rest.first == colon && isPort(rest.dropFirst())))
    }
    guard text.count(where: { $0 == colon }) == 1, let at = text.firstIndex(of: colon) else { return isNetwork(text) }
    return (at == 0 || isNetwork(Array(text[..<at]))) && isPort(text[(at + 1)...])
}

private func isNetwork(_ text: [UInt8]) -> Bool {
    let parts = text.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = addressBytes(Array(parts[0])) else { return false }
    guard parts.count == 2 else { return true }
    guard let length = decimal(parts[1]), "\(length)".utf8.count == parts[1].count else { return false }
    return ((address.mappedIPv4 == nil ? 0 : 96)...8 * UInt64(address.count)).contains(length)
}

private func isPort(_ text: ArraySlice<UInt8>) -> Bool {
    decimal(text).map { (1...65_535).contains($0) } ?? false
}

private func decimal(_ text: ArraySlice<UInt8>) -> UInt64? {
    text.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        ? UInt64(String(decoding: text, as: UTF8.self)) : nil
}

/// The options that take a list.
private enum ListOption: CaseIterable {
    case cgroup, pid, comm, destination, kind, namespace, pod, container

    func add(_ text: [UInt8], to filter: inout Filter) throws(OptionError) {
        switch self {
        case .cgroup: try filter.addCgroups(parsing: text)
        case .pid: try filter.addPIDs(parsing: text)
        case .comm: try filter.addComms(parsing: text)
        case .destination: try filter.addDestinations(parsing: text)
        case .kind: try filter.addTypes(parsing: text)
        case .namespace: try filter.addNamespaces(parsing: text)
        case .pod: try filter.addPods(parsing: text)
        case .container: try filter.addContainers(parsing: text)
        }
    }

    /// Whether one item of its list is good; nil where that is not told here.
    func isGood(_ item: ArraySlice<UInt8>) -> Bool? {
        switch self {
        case .cgroup, .namespace, .pod, .container: nil
        case .pid: decimal(item).map { (1...UInt64(Int32.max)).contains($0) } ?? false
        case .comm: (1...15).contains(item.count)
        case .destination: isDestination(Array(item))
        case .kind: EventType.allCases.contains { "\($0.name)".utf8.elementsEqual(item) }
        }
    }
}

private func checkLists(_ text: [UInt8]) throws(Finding) {
    for option in ListOption.allCases {
        let filter = try value(of: text) { bytes throws(OptionError) in
            var filter = Filter()
            try option.add(bytes, to: &filter)
            return filter
        }
        if filter?.isEmpty == true { throw Finding("\(option) was taken and asks for nothing", text) }
        let items = text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        let verdicts = items.map { option.isGood($0) }
        if verdicts.contains(nil) { continue }
        let isGood = verdicts.allSatisfy { $0 == true }
        if (filter != nil) != isGood { throw Finding("a list of \(option) is \(isGood ? "refused" : "taken")", text) }
    }
}
