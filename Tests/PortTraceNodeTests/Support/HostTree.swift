import Glibc
import PortTraceCore

@testable import PortTraceNode

/// A host's file system below a temporary folder, which goes away with it.
final class HostTree {
    let path: String

    init() {
        var template = Array("/tmp/pt-host-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? ""
    }

    deinit { if !path.isEmpty { _ = try? Shell.run("rm -rf \(path)") } }

    func folder(_ name: String) {
        var path = path
        for part in name.split(separator: "/") {
            path += "/\(part)"
            mkdir(path, 0o755)
        }
    }

    /// Writes a file, with the folders above it.
    func write(_ name: String, _ content: [UInt8]) {
        var file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        if file < 0 {
            folder(name.split(separator: "/").dropLast().joined(separator: "/"))
            file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        }
        var rest = content[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        close(file)
    }

    func write(_ name: String, _ content: String) { write(name, Array(content.utf8)) }

    func link(_ name: String, to target: String) {
        folder(name.split(separator: "/").dropLast().joined(separator: "/"))
        symlink(target, "\(path)/\(name)")
    }

    func remove(_ name: String) { _ = try? Shell.run("rm -rf '\(path)/\(name)'") }

    /// A watch on it that has made its first pass.
    func watch() -> ContainerWatch {
        let watch = ContainerWatch(hostRoot: path)
        watch.start()
        _ = watch.awaitFirstPass(milliseconds: 300_000)
        return watch
    }
}

/// A container's id that ends in a number.
func containerID(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 64 - digits.count) + digits
}

extension ContainerWatch {
    func record(_ id: String) -> ContainerRecord? { record(ofContainer: Array(id.utf8)) }
    func pod(_ uid: String) -> PodNames? { pod(ofUID: Array(uid.utf8)) }

    /// Looks for a container, and waits for the answer.
    func found(_ id: String, podUID: String = "") -> ContainerRecord? {
        takeNews()
        look(for: Array(id.utf8), podUID: Array(podUID.utf8))
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, 10_000)
        return record(id)
    }

    /// Waits for news until a condition holds: 10 s at most.
    func waits(until condition: () -> Bool) -> Bool {
        let end = KernelClock.monotonicNow() + 10_000_000_000
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while KernelClock.monotonicNow() < end {
            if condition() { return true }
            if poll(&polled, 1, 20) == 1 { takeNews() }
        }
        return false
    }
}

extension ContainerRecord {
    /// `namespace/pod/UID/container image name netns`, as far as they are known.
    var text: String {
        let names = [namespace, pod, podUID, container].map(Self.string).joined(separator: "/")
        let others = [image, name, netnsPath].map(Self.string).joined(separator: " ")
        return "\(names) \(others)" + (isSandbox ? " sandbox" : "")
    }

    private static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

extension PodNames {
    var text: String { String(decoding: namespace + Array("/".utf8) + pod, as: UTF8.self) }
}
