import Foundation

@testable import PortTraceCore

/// What the lines of a run add up to, by type.
struct LineSums: Equatable {
    var counts: [String: UInt64] = [:]

    /// Adds NDJSON lines.
    ///
    /// - Throws: where a line is no JSON object.
    mutating func add(ndjson lines: [String]) throws {
        for line in lines {
            let object = try Self.object(line)
            guard let type = object["type"] as? String, type != "lost", type != "summary" else { continue }
            counts[type, default: 0] += (object["count"] as? NSNumber)?.uint64Value ?? 0
        }
    }

    static func object(_ line: String) throws -> [String: Any] {
        struct NoObject: Error {}
        guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            throw NoObject()
        }
        return object
    }

    /// Adds text lines; those of the closing table are none.
    mutating func add(text lines: [String]) {
        for line in lines {
            let rest = line.dropFirst(14)
            for type in EventType.counted where rest.hasPrefix("\(type.words)") {
                counts["\(type.name)", default: 0] += Self.number(rest, after: type)
            }
        }
    }

    /// The counts of a closing table's rows: the lines of the run's end from its second to the next empty one.
    static func counts(ofTable lines: [String]) -> [UInt64] {
        lines.dropFirst(2).prefix { !$0.isEmpty }.map { line in
            let type = EventType.counted.first { line.hasPrefix("\($0.words)") }
            return number(line[...], after: type)
        }
    }

    private static func number(_ line: Substring, after type: EventType?) -> UInt64 {
        let words = type.map { "\($0.words)".count } ?? 0
        return UInt64(line.dropFirst(words).drop { " +≥".contains($0) }.prefix { $0.isNumber }) ?? 0
    }
}
