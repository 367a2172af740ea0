internal import CLinux
internal import Glibc

/// Wakes whoever waits for it, from any thread: an eventfd, which stays readable from the first ring until it is cleared.
final class Doorbell: Sendable {
    /// To be polled for reading; -1 where the process has no descriptor left.
    let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func ring() { eventfd_write(descriptor, 1) }

    func clear() {
        var count: eventfd_t = 0
        eventfd_read(descriptor, &count)
    }

    /// Waits for a ring and clears it.
    ///
    /// - Parameter milliseconds: As long at most; -1: as long as it takes.
    func wait(milliseconds: Int32 = -1) {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&polled, 1, milliseconds)
        clear()
    }
}
