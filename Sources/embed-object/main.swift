// embed-object NAME OUTPUT COMPILE CLANG SOURCE
//
// Compiles SOURCE with the script COMPILE and writes OUTPUT, a Swift file that holds the object, compressed by zlib and in
// hexadecimal: a StaticString may not hold arbitrary bytes.

import CZlib
import Foundation

guard CommandLine.arguments.count == 6 else {
    fatalError("usage: embed-object NAME OUTPUT COMPILE CLANG SOURCE")
}
let name = CommandLine.arguments[1]
let output = CommandLine.arguments[2]

#if arch(x86_64)
    let architecture = "x86"
#elseif arch(arm64)
    let architecture = "arm64"
#endif

let object = output + ".o"
let compiler = Process()
compiler.executableURL = URL(filePath: CommandLine.arguments[3])
compiler.arguments = [CommandLine.arguments[4], architecture, CommandLine.arguments[5], object]
try compiler.run()
compiler.waitUntilExit()
guard compiler.terminationStatus == 0 else { exit(1) }

let bytes = try Data(contentsOf: URL(filePath: object))
try FileManager.default.removeItem(atPath: object)

var compressedSize = compressBound(uLong(bytes.count))
var compressed = [UInt8](repeating: 0, count: Int(compressedSize))
let code = bytes.withUnsafeBytes {
    compress2(&compressed, &compressedSize, $0.baseAddress, uLong(bytes.count), Z_BEST_COMPRESSION)
}
guard code == Z_OK else { fatalError("zlib: \(code)") }

let digits = Array("0123456789abcdef".utf8)
var hexadecimal: [UInt8] = []
hexadecimal.reserveCapacity(Int(compressedSize) * 2)
for byte in compressed.prefix(Int(compressedSize)) {
    hexadecimal.append(digits[Int(byte >> 4)])
    hexadecimal.append(digits[Int(byte & 15)])
}
let source = """
    extension EmbeddedObject {
        static let \(name) = EmbeddedObject(
            name: "\(name)", size: \(bytes.count), hexadecimal: "\(String(decoding: hexadecimal, as: UTF8.self))")
    }

    """
try source.write(toFile: output, atomically: true, encoding: .utf8)
