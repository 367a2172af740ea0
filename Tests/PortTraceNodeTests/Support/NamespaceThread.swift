import CLinux
import Glibc

/// A thread inside a network namespace, which leaves the others where they are.
final class NamespaceThread {
    private let path: String
    private let body: () -> Void

    init(inside path: String, _ body: @escaping () -> Void) {
        self.path = path
        self.body = body
    }

    /// Runs it to its end.
    func run() {
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let this = Unmanaged<NamespaceThread>.fromOpaque(context).takeUnretainedValue()
                let namespace = open(this.path, O_RDONLY | O_CLOEXEC)
                guard linux_enter_network_namespace(namespace) == 0 else { return nil }
                close(namespace)
                this.body()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
        pthread_join(thread, nil)
    }
}
