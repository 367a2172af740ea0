/// Where a setting is in force, how a command gets there, and how it stays.
///
/// The commands are pasted by root. They are made of words that stand in this program, and of numbers and addresses: nothing
/// that a pod can name.
struct SettingPlace {
    /// The namespace's inode; not used where it is the host's.
    let netnsID: UInt32
    let isHost: Bool
    /// A process in it; nil: none is known.
    let process: UInt32?
    /// Whose that process is by its cgroup; nil: not known.
    let keeper: CgroupOwner?
    /// Whether processes are seen by the host's numbers.
    let seesProcesses: Bool
    let isInContainer: Bool

    private static let outside = " # on the node, outside of this container"

    /// A command that acts there; nil: nobody is in that namespace whom `nsenter` could follow.
    func command(_ words: String) -> String? {
        let remark = isInContainer ? SettingPlace.outside : ""
        if isHost { return words + remark }
        return process.map { "nsenter -t \($0) -n \(words)\(remark)" }
    }

    /// A command that sets; see ``command(_:)``.
    func sysctl(_ settings: [(name: String, value: String)]) -> String? {
        let words = settings.map { setting in
            let isOne = !setting.value.utf8.contains(UInt8(ascii: " "))
            return "\(setting.name)=" + (isOne ? setting.value : "\"\(setting.value)\"")
        }
        return command("sysctl -w \(words.joined(separator: " "))")
    }

    /// `in the node's own network namespace`, in words that say how to get there.
    var words: String {
        if isHost { return "in the node's own network namespace" }
        if let process { return "in network namespace \(netnsID), by way of process \(process)" }
        return "in network namespace \(netnsID) (no command can be given: "
            + (seesProcesses ? "no process is in it)" : "the host's process ids are not seen from here)")
    }

    /// How settings of a network namespace outlive it.
    ///
    /// - Parameter areSafe: whether they are in the kubelet's list of safe ones (pkg/kubelet/sysctl/safe_sysctls.go).
    func persist(_ settings: [(name: String, value: String)], areSafe: Bool) -> String {
        if isHost { return hostFiles(settings) }
        let list = settings.map { "{name: \($0.name), value: \"\($0.value)\"}" }.joined(separator: ", ")
        let names = settings.map(\.name).joined(separator: ",")
        let pods =
            "the pod's securityContext.sysctls: [\(list)] "
            + (areSafe ? "(a safe sysctl)" : "(the kubelet must allow it: --allowed-unsafe-sysctls=\(names))")
        let options = settings.map { "--sysctl \($0.name)=\"\($0.value)\"" }.joined(separator: " ")
        let others = "what makes that network namespace must set it each time, as ExecStartPre= of a unit does"
        guard let keeper else { return "if it is a pod's: \(pods); else \(others)" }
        if !keeper.podUID.isEmpty { return pods }
        switch keeper.runtime {
        case .docker: return "docker run \(options); of compose: sysctls"
        case .podman: return "podman run \(options); of a pod: podman pod create \(options)"
        default:
            return keeper.containerID.isEmpty ? others : "linux.sysctl in the container's own configuration: [\(list)]"
        }
    }

    /// Sysctls of conntrack's are there once its module is.
    private func hostFiles(_ settings: [(name: String, value: String)]) -> String {
        let lines = settings.map { "\($0.name) = \($0.value)" }.joined(separator: ", ")
        guard settings.contains(where: { $0.name.hasPrefix("net.netfilter.") }) else {
            return "/etc/sysctl.d/90-ports.conf: \(lines)"
        }
        return
            "/etc/sysctl.d/90-conntrack.conf: \(lines); /etc/modules-load.d/conntrack.conf: nf_conntrack, so that it is "
            + "there when sysctl.d is read"
    }
}
