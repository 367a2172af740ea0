internal import BPF
internal import CZlib

/// A BPF object of bpf/, compiled and embedded by the BPFObjects plugin.
struct EmbeddedObject {
    let name: String
    /// Bytes of the object.
    let size: Int
    /// The object, compressed by zlib.
    let hexadecimal: StaticString

    /// Opens the object; nothing is loaded.
    func open(btf: String?) throws(BPFError) -> Object {
        try Object(bytes, name: name, btf: btf)
    }

    private var bytes: [UInt8] {
        let digits = UnsafeBufferPointer(start: hexadecimal.utf8Start, count: hexadecimal.utf8CodeUnitCount)
        let compressed = (0..<digits.count / 2).map {
            Self.value(of: digits[2 * $0]) << 4 | Self.value(of: digits[2 * $0 + 1])
        }
        var count = uLong(size)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            let code = uncompress(buffer.baseAddress, &count, compressed, uLong(compressed.count))
            precondition(code == Z_OK && count == size, "embed-object has written something else")
            initialized = size
        }
    }

    private static func value(of digit: UInt8) -> UInt8 {
        digit < UInt8(ascii: "a") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
    }
}
