internal import CLinux
internal import Glibc

/// inotify(7).
final class Inotify {
    /// A watch's number; the kernel gives the same one for the same folder.
    typealias Watch = Int32

    struct Event {
        /// -1 with `isOverflow`.
        var watch: Watch
        var mask: UInt32
        /// The entry's name; empty where it is about the folder itself.
        var name: [UInt8]

        /// Events were lost.
        var isOverflow: Bool { mask & UInt32(IN_Q_OVERFLOW) != 0 }
        /// The watch is gone.
        var isEnd: Bool { mask & UInt32(IN_IGNORED) != 0 }
        /// The folder is no longer where it was.
        var isMoved: Bool { mask & UInt32(IN_MOVE_SELF) != 0 }
        /// An entry is there that was not.
        var isArrival: Bool { mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0 }
        var isDeparture: Bool { mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 }
    }

    /// Entries that come and go.
    static let entries = UInt32(IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_MOVE_SELF | IN_ONLYDIR)
    /// Files that may be whole now.
    static let files = UInt32(IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR)

    /// To be polled; -1 where there is none to be had.
    let descriptor: Int32
    /// Why the kernel has refused what it was asked last: an errno.
    private(set) var refusal: Int32 = 0

    init() {
        descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        if descriptor < 0 { refusal = errno }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Adds to what is watched in a folder; nil where the kernel refuses: it has limits for each user.
    func add(_ folder: HostFolder, _ mask: UInt32) -> Watch? {
        guard descriptor >= 0 else { return nil }
        let watch = folder.withPath { inotify_add_watch(descriptor, $0, mask | UInt32(IN_MASK_ADD)) }
        if watch < 0 { refusal = errno }
        return watch >= 0 ? watch : nil
    }

    func remove(_ watch: Watch) {
        inotify_rm_watch(descriptor, watch)
    }

    /// The events that are there; does not wait.
    func take() -> [Event] {
        let header = MemoryLayout<inotify_event>.size
        var events: [Event] = []
        withUnsafeTemporaryAllocation(byteCount: 32 << 10, alignment: 8) { buffer in
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            guard count > 0 else { return }
            var rest = UnsafeRawBufferPointer(buffer)[..<count]
            while rest.count >= header {
                let event = UnsafeRawBufferPointer(rebasing: rest).loadUnaligned(as: inotify_event.self)
                let name = rest.dropFirst(header).prefix(Int(event.len))
                events.append(Event(watch: event.wd, mask: event.mask, name: Array(name.prefix { $0 != 0 })))
                rest = rest.dropFirst(header + name.count)
            }
        }
        return events
    }
}
