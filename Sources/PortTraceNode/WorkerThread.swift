internal import CLinux
internal import Glibc

/// A thread beside the main loop. It takes no signal: they are the main loop's.
struct WorkerThread {
    private let thread: pthread_t

    private final class Body {
        let run: () -> Void

        init(_ run: @escaping () -> Void) {
            self.run = run
        }
    }

    /// Begins it.
    ///
    /// - Parameter stackBytes: nil: as the system has it.
    /// - Returns: nil where there is no thread to be had.
    init?(stackBytes: Int? = nil, _ run: @escaping @Sendable () -> Void) {
        let context = Unmanaged.passRetained(Body(run))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        if let stackBytes { pthread_attr_setstacksize(&attributes, stackBytes) }
        var all = sigset_t()
        var previous = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &previous)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        pthread_sigmask(SIG_SETMASK, &previous, nil)
        guard code == 0 else {
            context.release()
            return nil
        }
        self.thread = thread
    }

    /// Waits for its end. To be called once.
    func join() {
        pthread_join(thread, nil)
    }
}
