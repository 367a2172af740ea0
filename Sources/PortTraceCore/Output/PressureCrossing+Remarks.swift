extension PressureCrossing {
    /// What a person wants to know beside who and where: `tcp ports: 190 of 234 used, above 80 %, full in 35 s`.
    var remarks: TerminalText {
        let resource = occupancy.resource
        var text = TerminalText()
        if resource.proto != 0 {
            text.append(TransportProtocol.name(of: resource.proto).map { "\($0) " } ?? "proto \(resource.proto) ")
        }
        text.append(resource.kind.words)
        text.append(": \(occupancy.used) of \(occupancy.limit ?? 0) used, ")
        text.append(direction == .up ? "above " : "below " as String)
        text.append(threshold.words)
        if direction == .down { text.append(" again" as String) }
        if let eta { text.append(", full in \(DurationWords.text(eta))") }
        return text
    }
}

extension Resource.Kind {
    /// The words for a person.
    var words: StaticString {
        switch self {
        case .ports: "ports"
        case .bindPorts: "ports for bind()"
        case .conntrack: "conntrack table"
        case .snat: "NAT ports"
        case .timeWait: "TIME_WAIT"
        }
    }
}

/// Durations for a person.
enum DurationWords {
    /// `35 s`, `12 min`, `3 h`: rounded down.
    static func text(_ nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        if seconds < 120 { return "\(seconds) s" }
        if seconds < 7_200 { return "\(seconds / 60) min" }
        return "\(seconds / 3_600) h"
    }
}
