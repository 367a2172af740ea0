internal import BPF

/// A BPF object of bpf/, compiled and embedded by the BPFObjects plugin.
struct EmbeddedObject {
    let name: String
    let hexadecimal: StaticString

    /// Opens the object; nothing is loaded.
    func open(btf: String?) throws(BPFError) -> Object {
        try Object(bytes, name: name, btf: btf)
    }

    private var bytes: [UInt8] {
        let digits = UnsafeBufferPointer(start: hexadecimal.utf8Start, count: hexadecimal.utf8CodeUnitCount)
        return (0..<digits.count / 2).map { Self.value(of: digits[2 * $0]) << 4 | Self.value(of: digits[2 * $0 + 1]) }
    }

    private static func value(of digit: UInt8) -> UInt8 {
        digit < UInt8(ascii: "a") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
    }
}
