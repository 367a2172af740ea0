/// Random numbers that a seed repeats.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// True once in so many times.
    mutating func oneIn(_ number: Int) -> Bool {
        Int.random(in: 0..<number, using: &self) == 0
    }

    mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: choices.indices, using: &self)]
    }

    /// Often an edge, else any number of a random size.
    mutating func number<Number: FixedWidthInteger & UnsignedInteger>(_: Number.Type = Number.self) -> Number {
        switch Int.random(in: 0..<4, using: &self) {
        case 0:
            let half: Number = .max / 2
            let edges: [Number] = [0, 1, 2, .max, .max - 1, half, half + 1]
            return pick(edges)
        case 1: return Number(truncatingIfNeeded: next() % 16)
        default: return Number(truncatingIfNeeded: next() >> UInt64.random(in: 0..<64, using: &self))
        }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) }
    }

    /// Up to so many bytes of what text can do to a terminal or a parser.
    mutating func hostileBytes(atMost most: Int) -> [UInt8] {
        var result: [UInt8] = []
        while result.count < most, !oneIn(12) {
            switch Int.random(in: 0..<6, using: &self) {
            case 0: result += bytes(1)
            case 1: result += pick(SplitMix.hostile)
            case 2: result += pick(SplitMix.hostile).dropLast()
            case 3:
                let scalar = Unicode.Scalar(UInt32.random(in: 0..<0x11_0000, using: &self)) ?? "\u{FFFD}"
                result += Array(String(scalar).utf8)
            default: result.append(UInt8.random(in: 0x20...0x7e, using: &self))
            }
        }
        return Array(result.prefix(most))
    }

    private static let hostileText: [String] = [
        "\u{1b}[31m", "\u{1b}]0;title\u{7}", "\"", "\\", "\\u0041", "\n", "\r\n", "\t", "\u{0}", "\u{7f}",
        "\u{9b}31m", "\u{85}", "\u{2028}", "\u{2029}", "\u{202e}", "\u{2066}", "\u{200f}", "\u{61c}", "\u{feff}", "é",
        "漢",
        "🦊", "}\n{\"type\":\"summary\"", "connect_exhausted", "/", "..", ",", "kubepods.slice",
        String(repeating: "0123456789abcdef", count: 4),
    ]
    private static let noUTF8: [[UInt8]] = [
        [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0xf0, 0x9f, 0xa6], [0x80],
    ]
    private static let hostile: [[UInt8]] = hostileText.map { Array($0.utf8) } + noUTF8
}

/// What the fuzzing found.
struct Finding: Error {
    var problem: String

    init(_ problem: String, _ bytes: [UInt8]) {
        let text = String(validating: bytes, as: UTF8.self)?.debugDescription
        self.problem = "\(problem): \(text ?? bytes.map(hexadecimal).joined(separator: " "))"
    }

    init(_ problem: String) {
        self.problem = problem
    }
}

private func hexadecimal(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16)
    return text.count == 1 ? "0" + text : text
}

/// - Throws: ``Finding`` where it is not so.
func expect(_ condition: Bool, _ problem: @autoclosure () -> String) throws(Finding) {
    if !condition { throw Finding(problem()) }
}
