internal import Glibc

/// Small files of procfs, sysfs and tracefs.
enum TextFile {
    /// The whole content, at most 1 MiB of it; nil where the file cannot be read.
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
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

    /// Appends one write's worth of text; 0 or the errno.
    static func append(_ text: String, to path: String) -> Int32 {
        let file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard file >= 0 else { return errno }
        defer { close(file) }
        var text = text
        return text.withUTF8 { write(file, $0.baseAddress, $0.count) == $0.count ? 0 : errno }
    }
}
