internal import Glibc

/// Parts of the kernel that may be modules.
enum KernelModule {
    /// Whether it is there, loaded or built in.
    static func isPresent(_ name: String) -> Bool {
        access("/sys/module/\(name)", F_OK) == 0
    }

    /// Whether the kernel describes the types of a module that was loaded (v5.11: 36e68442d1af ("bpf: Load and verify
    /// kernel module BTFs")).
    static func hasTypes(_ name: String) -> Bool {
        access("/sys/kernel/btf/\(name)", F_OK) == 0
    }

    /// The name, if it is a module that was loaded: what is built in has no state.
    static func loadable(_ name: String?) -> String? {
        name.flatMap { access("/sys/module/\($0)/initstate", F_OK) == 0 ? $0 : nil }
    }
}
