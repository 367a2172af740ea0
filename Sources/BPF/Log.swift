internal import CLibbpf
internal import Glibc

/// What libbpf has to say.
public enum Log {
    /// Sends libbpf's warnings, the verifier's words with them, to standard error.
    public static func show() {
        libbpf_set_print { level, format, arguments in
            guard level != LIBBPF_DEBUG, let format, let arguments else { return 0 }
            return vdprintf(STDERR_FILENO, format, arguments)
        }
    }

    /// Drops them: errors are reported by what failed. libbpf would print to standard error on its own.
    public static func hide() {
        libbpf_set_print(nil)
    }
}
