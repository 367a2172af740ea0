import Glibc

struct ShellError: Error, CustomStringConvertible {
    var script: String
    var output: String
    var status: Int32

    var description: String { "exit \(status): \(script)\n\(output)" }
}

enum Shell {
    /// Runs a script, and returns what it wrote.
    ///
    /// - Throws: ``ShellError`` where one of its commands fails.
    @discardableResult
    static func run(_ script: String) throws -> String {
        guard let stream = popen("{ set -e\n\(script)\n} 2>&1 </dev/null", "re") else {
            throw ShellError(script: script, output: "popen: \(errno)", status: -1)
        }
        var output: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&block, 1, block.count, stream)
            if count == 0 { break }
            output += block[..<count]
        }
        let status = pclose(stream)
        let text = String(decoding: output, as: UTF8.self)
        guard status == 0 else { throw ShellError(script: script, output: text, status: status) }
        return text
    }
}
