internal import CLinux
internal import Glibc

/// Network namespaces by inode, for a thread that goes into them and does nothing else.
///
/// To be made and used on that one thread.
final class NetworkNamespaces {
    /// See ``NodeProc``.
    private let proc: String
    /// The thread's own when it began; -1 where it cannot be opened.
    private let home: Int32
    private let homeIdentity: Identity?
    /// Where the thread is now: at home, or stranded where there was no way back.
    private var current: Identity?

    /// An inode of nsfs.
    private struct Identity: Equatable {
        var device: dev_t
        var inode: UInt64

        init?(_ descriptor: Int32) {
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { return nil }
            self.init(status)
        }

        init(_ status: stat) {
            device = status.st_dev
            inode = UInt64(status.st_ino)
        }
    }

    init(proc: String = "/proc") {
        self.proc = proc
        home = Glibc.open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        homeIdentity = Identity(home)
        current = homeIdentity
    }

    deinit { if home >= 0 { close(home) } }

    /// Runs `body` with the calling thread inside the namespace with that inode, then goes back home.
    ///
    /// - Returns: What `body` returns; nil where there is no such namespace to be found or it may not be entered. One
    ///   that only a socket, a thread other than its process's first or an open file holds is not found.
    /// - Complexity: O(number of processes), for a namespace other than the thread's own.
    func inside<Result>(_ inode: UInt32, _ body: () -> Result?) -> Result? {
        if current?.inode == UInt64(inode) { return body() }
        guard let namespace = descriptor(inode) else { return nil }
        defer { close(namespace) }
        guard linux_enter_network_namespace(namespace) == 0 else { return nil }
        current = Identity(namespace)
        defer {
            if linux_enter_network_namespace(home) == 0 { current = homeIdentity }
        }
        return body()
    }

    /// The same for one that is known to be opened by a path: constant time.
    ///
    /// - Throws: ``NetlinkError/system(_:)``: ENOENT where it is not to be found there any more.
    func inside<Result>(
        _ inode: UInt32, at path: String, _ body: () throws(NetlinkError) -> Result
    ) throws(NetlinkError) -> Result {
        if current?.inode == UInt64(inode) { return try body() }
        guard var wanted = homeIdentity else { throw .system(EACCES) }
        wanted.inode = UInt64(inode)
        guard let namespace = open(path, as: wanted) else { throw .system(ENOENT) }
        defer { close(namespace) }
        guard linux_enter_network_namespace(namespace) == 0 else { throw .system(errno) }
        current = Identity(namespace)
        defer {
            if linux_enter_network_namespace(home) == 0 { current = homeIdentity }
        }
        return try body()
    }

    /// Opens it by a process that is in it, else by a mount.
    private func descriptor(_ inode: UInt32) -> Int32? {
        guard let homeIdentity else { return nil }
        var wanted = homeIdentity
        wanted.inode = UInt64(inode)
        if let path = NodeProc.processes(proc).lazy.map({ [proc] in "\(proc)/\($0)/ns/net" }).first(where: { path in
            var status = stat()
            return stat(path, &status) == 0 && Identity(status) == wanted
        }), let namespace = open(path, as: wanted) {
            return namespace
        }
        // Process 1 has the host's mounts where this process has a container's own.
        for process in ["/proc/self", "\(proc)/1"] {
            for mount in NamespaceMounts.points(inode: inode, mountInfo: "\(process)/mountinfo") {
                if let namespace = open("\(process)/root\(mount)", as: wanted) { return namespace }
            }
        }
        return nil
    }

    /// Opens a file if it is that namespace: the process may have gone and its number been given to another one,
    /// something else may be mounted over the mount.
    private func open(_ path: String, as wanted: Identity) -> Int32? {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        if Identity(file) == wanted { return file }
        close(file)
        return nil
    }
}

/// Where namespaces are mounted, as `ip netns` and container engines do: the lines of /proc/PID/mountinfo, proc(5).
enum NamespaceMounts {
    /// The mount points of a network namespace; none where the file cannot be read.
    static func points(inode: UInt32, mountInfo path: String) -> [String] {
        var points: [String] = []
        NodeProc.forEachLine(of: path) { line in
            if let point = point(inode: inode, line: line) { points.append(point) }
            return true
        }
        return points
    }

    /// The mount point of a line that is about this namespace; nil where it is not.
    static func point(inode: UInt32, line: some Collection<UInt8>) -> String? {
        guard let mount = mount(line: line), mount.inode == inode else { return nil }
        return mount.point
    }

    /// A line's network namespace and mount point; nil where it is about something else.
    static func mount(line: some Collection<UInt8>) -> (inode: UInt32, point: String)? {
        let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
        // id, parent, device, root, mount point; the root of an nsfs mount is its namespace.
        guard fields.count == 6, fields[3].starts(with: "net:[".utf8) else { return nil }
        let digits = fields[3].dropFirst(5).prefix { $0 != UInt8(ascii: "]") }
        guard let inode = UInt32(String(decoding: digits, as: UTF8.self)) else { return nil }
        return (inode, unescaped(fields[4]))
    }

    /// Blanks and backslashes are written as three octal digits after a backslash (`mangle_path()`, fs/seq_file.c).
    private static func unescaped(_ text: some Collection<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
