internal import Glibc

/// Where the node's processes are seen.
enum NodeProc {
    /// The host's procfs below a host root, which shows all processes also where this one's own shows a container's;
    /// this process's own where there is none.
    static func path(hostRoot: String) -> String {
        let path = hostRoot == "/" ? "/proc" : "\(hostRoot)/proc"
        return access("\(path)/1/ns/net", F_OK) == 0 ? path : "/proc"
    }
}
