internal import Glibc

/// Small files of procfs, sysfs and tracefs.
enum TextFile {
    /// The whole content, at most 1 MiB of it; nil where the file cannot be read.
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return readAll(file)
    }

    /// The same of an open file, from its beginning.
    static func readAll(_ file: Int32) -> String? {
        guard lseek(file, 0, SEEK_SET) == 0 else { return nil }
        var content: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while content.count < 1 << 20 {
            let count = Glibc.read(file, &block, block.count)
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            content += block[..<count]
        }
        return String(decoding: content, as: UTF8.self)
    }
}
