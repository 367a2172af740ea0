internal import Glibc

/// The node's name where the user gives none.
public enum NodeName {
    /// The host name; in a pod without host UTS namespace it is the pod's.
    public static func current() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return name.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
