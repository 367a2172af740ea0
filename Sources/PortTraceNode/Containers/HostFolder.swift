internal import CLinux
internal import Glibc

/// A folder of the node that others may write to. Below it nothing is followed: no symbolic link, no `..`, no mount of
/// procfs's magic links. Only regular files are read; what else is there is not opened for reading at all.
///
/// openat2(2) resolves the paths: Linux 5.6.
final class HostFolder {
    /// Bytes of a file that is read.
    static let largestFile = 4 << 20

    private static let below = UInt64(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

    /// Opened with O_PATH.
    private let descriptor: Int32

    private init?(opened descriptor: Int32) {
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// The folder that is taken for the host's root; its own path is resolved as any other. nil where it is not there.
    convenience init?(root path: String) {
        self.init(opened: open(path, linux_o_path | O_DIRECTORY | O_CLOEXEC))
    }

    /// A folder by an absolute path on the host, with this one as its root: symbolic links on the way are followed and
    /// stay below it, whatever they say. nil where it is not there, or cannot be opened.
    func resolved(_ path: String) -> HostFolder? {
        if case .folder(let folder) = resolve(path) { folder } else { nil }
    }

    enum Resolution {
        case folder(HostFolder)
        case absent
        /// Nobody can tell, for this errno.
        case failed(Int32)
    }

    func resolve(_ path: String) -> Resolution {
        let flags = linux_o_path | O_DIRECTORY
        let resolve = UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        var code = EAGAIN
        // EAGAIN: something was renamed on a way that has `..` in it.
        for _ in 1...8 where code == EAGAIN {
            let opened = linux_open_below(descriptor, path, flags, resolve)
            code = errno
            if let folder = HostFolder(opened: opened) { return .folder(folder) }
        }
        return [ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG].contains(code) ? .absent : .failed(code)
    }

    func folder(_ path: String) -> HostFolder? {
        HostFolder(opened: linux_open_below(descriptor, path, linux_o_path | O_DIRECTORY | O_NOFOLLOW, Self.below))
    }

    /// The content of a regular file of ``largestFile`` bytes at most; nil where there is none.
    func file(_ path: String) -> [UInt8]? {
        guard let place = HostFolder(opened: linux_open_below(descriptor, path, linux_o_path | O_NOFOLLOW, Self.below))
        else { return nil }
        return place.content()
    }

    /// The same of a file of the administrator's, by its path on the host as ``resolved(_:)`` takes it.
    func configuration(_ path: String) -> [UInt8]? {
        let resolve = UInt64(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        guard let place = HostFolder(opened: linux_open_below(descriptor, path, linux_o_path, resolve)) else {
            return nil
        }
        return place.content()
    }

    /// What tells whether a file is still the same; nil where there is no regular file.
    func stamp(ofFile path: String) -> FileStamp? {
        HostFolder(opened: linux_open_below(descriptor, path, linux_o_path | O_NOFOLLOW, Self.below))?.regular()
            .map(FileStamp.init)
    }

    /// Where a symbolic link leads, as it is written: 4096 bytes at most; nil where there is none.
    func link(_ name: String) -> [UInt8]? {
        var target = [UInt8](repeating: 0, count: 4096)
        let count = target.withUnsafeMutableBytes { buffer in
            let characters = buffer.assumingMemoryBound(to: CChar.self)
            return characters.baseAddress.map { readlinkat(descriptor, name, $0, characters.count) } ?? -1
        }
        return count >= 0 ? Array(target[..<count]) : nil
    }

    /// Calls `body` with the name of each entry, until it returns false; `.` and `..` are left out.
    func forEachName(_ body: (UnsafeRawBufferPointer) -> Bool) {
        let opened = linux_open_below(descriptor, ".", O_RDONLY | O_DIRECTORY, Self.below)
        guard opened >= 0 else { return }
        guard let folder = fdopendir(opened) else {
            close(opened)
            return
        }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let goesOn = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                let name = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.firstIndex(of: 0) ?? bytes.count)])
                return name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8) || body(name)
            }
            guard goesOn else { return }
        }
    }

    /// Its path for system calls that take no descriptor; valid as long as this is.
    func withPath<Result>(_ body: (String) -> Result) -> Result {
        body("/proc/self/fd/\(descriptor)")
    }

    /// The state of what is open here, if that is a regular file.
    private func regular() -> stat? {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return status
    }

    private func content() -> [UInt8]? {
        guard let status = regular(), status.st_size <= Self.largestFile else { return nil }
        let file = withPath { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard file >= 0 else { return nil }
        defer { close(file) }
        // It may be growing: one byte more than it has tells.
        var capacity = Int(status.st_size) + 1
        var content: [UInt8] = []
        while true {
            let missing = capacity - content.count
            let part = [UInt8](unsafeUninitializedCapacity: missing) { buffer, count in
                count = max(0, read(file, buffer.baseAddress, missing))
            }
            if part.isEmpty { return content }
            content = content.isEmpty ? part : content + part
            guard content.count <= Self.largestFile else { return nil }
            if content.count == capacity { capacity += 64 << 10 }
        }
    }
}

/// A file's identity, length and last change.
struct FileStamp: Equatable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    private let seconds: Int
    private let nanoseconds: Int

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}
