import Glibc
import PortTraceCore
import PortTraceProbes

/// The file of `--names`.
struct NamesList {
    let path: String

    /// Reads it. What of it cannot be used is said on standard error, the rest counts.
    ///
    /// - Throws: ``ProbeError`` where it cannot be read.
    func read() throws(ProbeError) -> NamedAddresses {
        let file = NamesFile(parsing: try bytes())
        for problem in file.problems { StandardError.write(line: "--names \(path): \(problem)") }
        if file.problemCount > file.problems.count {
            StandardError.write(line: "--names \(path): and \(file.problemCount - file.problems.count) more")
        }
        return file.addresses
    }

    /// The same while the stream waits: of a regular file alone, which keeps nobody waiting.
    func readAgain() throws(ProbeError) -> NamedAddresses {
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure() }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ProbeError("--names \(path): no regular file", hint: "it cannot be read again, the names stay")
        }
        return try read()
    }

    private func bytes() throws(ProbeError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        // One byte more than is used shows that there is more.
        while bytes.count <= NamesFile.mostBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure() }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return bytes
    }

    private func failure() -> ProbeError {
        ProbeError("--names \(path): \(String(cString: strerror(errno)))", hint: "it must be a file of JSON objects")
    }
}
