/// Numbers, addresses and times as the sentences of a verdict have them.
enum CheckWords {
    /// `28,232`.
    static func number(_ number: UInt64) -> String {
        var groups: [String] = []
        var rest = number
        while rest >= 1_000 {
            let group = String(rest % 1_000)
            groups.insert(String(repeating: "0", count: 3 - group.utf8.count) + group, at: 0)
            rest /= 1_000
        }
        return ([String(rest)] + groups).joined(separator: ",")
    }

    static func number(_ number: UInt32) -> String { self.number(UInt64(number)) }

    /// `98%`, rounded down, so that only all is 100 %.
    static func percent(_ part: UInt64, of whole: UInt64) -> String {
        whole == 0 ? "0%" : "\(min(part, whole) * 100 / whole)%"
    }

    /// `5.0 s`.
    static func seconds(_ nanoseconds: UInt64) -> String {
        let tenths = (nanoseconds + 50_000_000) / 100_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }

    /// `90 s`, `4 minutes`, from seconds.
    static func time(_ seconds: Double) -> String {
        let whole = UInt64(max(seconds, 0))
        return whole < 120 ? "\(whole) s" : whole < 7_200 ? "\(whole / 60) minutes" : "\(whole / 3_600) hours"
    }

    /// So many a second: one decimal below ten.
    static func rate(_ rate: Double) -> String {
        let tenths = UInt64(max(rate, 0) * 10 + 0.5)
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10)" : number(tenths / 10)
    }

    /// `21 MB`, `40 KB`.
    static func bytes(_ bytes: UInt64) -> String {
        bytes < 1_000_000 ? "\(bytes / 1_000) KB" : "\(number((bytes + 500_000) / 1_000_000)) MB"
    }

    static func address(_ address: IPAddress) -> String {
        text { $0.append(address) }
    }

    /// `10.0.0.9:8080`, `[fd00::9]:8080`.
    static func endpoint(_ endpoint: Endpoint) -> String {
        text { $0.append(endpoint.address, port: endpoint.port) }
    }

    static func range(_ range: PortRange) -> String { "\(range.low)-\(range.high)" }

    private static func text(_ body: (inout OutputBuffer) -> Void) -> String {
        var buffer = OutputBuffer()
        body(&buffer)
        return buffer.withBytes { String(decoding: $0, as: UTF8.self) }
    }
}
