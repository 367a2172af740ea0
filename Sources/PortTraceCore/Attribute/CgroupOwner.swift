/// What the path of a cgroup says of its owner: the container, the pod, or the systemd unit.
///
/// Paths are what kubelet, the container runtimes and systemd make of them; a form that is not known says nothing. The
/// innermost container or pod counts: a node in a container (kind, k3d) has pods of its own. A container that runs
/// within a pod's container still has that pod. What is made below a container's cgroup, as by a systemd in it, is
/// the container's. conmon, which minds a container of CRI-O or podman from outside, is not the container.
///
/// Cgroups below a delegated one are named by whom it was delegated to, so a path is what its owner says of itself.
public struct CgroupOwner: Equatable, Sendable {
    /// Nil where there is no container, and where the path does not tell: the cgroupfs driver of kubelet names
    /// containers by their ids alone.
    public var runtime: ContainerRuntime?
    /// 64 lower-case hexadecimal digits; empty: no container.
    public var containerID: [UInt8] = []
    /// As Kubernetes writes it: with dashes, or 32 hexadecimal digits for a static pod; empty: no pod.
    public var podUID: [UInt8] = []
    /// The unit of the host's systemd; empty: none, or within a container or pod. Beside a container's id, where only
    /// the form of its name speaks for a container.
    public var unit: [UInt8] = []

    /// Reads a path.
    ///
    /// Takes time in proportion to the path.
    ///
    /// - Parameter path: from the host's cgroup root, beginning with `/`; any bytes.
    public init(path: [UInt8]) {
        // The two parts above this one.
        var parent = path[..<path.startIndex]
        var grandparent = parent
        var systemd = SystemdUnit()
        var isContained = false
        for part in path.split(separator: UInt8(ascii: "/")) {
            if let uid = CgroupOwner.podUID(of: part, below: parent, grandparent) {
                podUID = uid
                containerID = []
                runtime = nil
                isContained = true
            }
            if let container = CgroupOwner.container(of: part, below: parent) {
                containerID = Array(container.id)
                runtime = container.runtime
                // An id alone may be anything's.
                if runtime != nil { isContained = true }
            }
            systemd.enter(part)
            (grandparent, parent) = (parent, part)
        }
        if !isContained { unit = systemd.name }
    }
}

// MARK: Containers

extension CgroupOwner {
    /// What runtimes put before a container's id: `NAME-ID.scope` under systemd, `NAME-ID` in cgroupfs, and
    /// `SLICE:NAME:ID` where a path meant for systemd was taken for one of cgroupfs.
    private static let runtimes: [(name: StaticString, runtime: ContainerRuntime)] = [
        ("docker", .docker),
        ("cri-containerd", .containerd),
        ("nerdctl", .containerd),
        ("crio", .crio),
        ("libpod", .podman),
        ("libpod-payload", .podman),
    ]

    /// Cgroups whose containers are named by their ids alone, and their runtime.
    private static let parents: [(name: StaticString, runtime: ContainerRuntime)] = [
        ("docker", .docker),
        ("k8s.io", .containerd),
    ]

    /// The container that a part of a path names, if it does.
    private static func container(
        of part: ArraySlice<UInt8>, below parent: ArraySlice<UInt8>
    ) -> (id: ArraySlice<UInt8>, runtime: ContainerRuntime?)? {
        let scope = part.dropping(suffix: ".scope")
        let text = scope ?? part
        let id = text.suffix(64)
        guard id.isHexadecimal(64) else { return nil }
        var name = text.dropLast(64)
        switch name.popLast() {
        case nil:
            // A pod of podman's has an id of that form too.
            if scope != nil || parent.equals("libpod_parent") { return nil }
            return (id, parents.first { parent.equals($0.name) }?.runtime)
        case UInt8(ascii: "-"):
            break
        case UInt8(ascii: ":"):
            guard scope == nil, let colon = name.lastIndex(of: UInt8(ascii: ":")) else { return nil }
            let slice = name[..<colon]
            guard slice.isEmpty || slice.dropping(suffix: ".slice") != nil else { return nil }
            name = name[(colon + 1)...]
        default:
            return nil
        }
        return runtimes.first { name.equals($0.name) }.map { (id, $0.runtime) }
    }
}

// MARK: Pods

extension CgroupOwner {
    /// The UID of the pod that a part of a path names, if it does: `kubepods[/burstable|/besteffort]/podUID`, or
    /// `kubepods[-burstable|-besteffort]-podUID.slice`, in which `_` stands for `-`. A root that kubelet was given comes
    /// before `kubepods`, under systemd with a `-` between.
    private static func podUID(
        of part: ArraySlice<UInt8>, below parent: ArraySlice<UInt8>, _ grandparent: ArraySlice<UInt8>
    ) -> [UInt8]? {
        if let uid = part.dropping(prefix: "pod"), uid.isPodUID(separator: UInt8(ascii: "-")) {
            return isClass(parent, below: grandparent) ? Array(uid) : nil
        }
        guard let slice = part.prefix(while: { $0 != UInt8(ascii: ":") }).dropping(suffix: ".slice") else { return nil }
        for length in [36, 32] {
            let uid = slice.suffix(length)
            guard uid.isPodUID(separator: UInt8(ascii: "_")),
                let group = slice.dropLast(length).dropping(suffix: "-pod")
            else { continue }
            let root =
                (group.dropping(suffix: "-burstable") ?? group.dropping(suffix: "-besteffort") ?? group)
                .dropping(suffix: "kubepods")
            guard let root, root.isEmpty || root.last == UInt8(ascii: "-") else { return nil }
            return uid.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }
        }
        return nil
    }

    /// Whether pods of a class are in it: guaranteed ones are in `kubepods` itself.
    ///
    /// A cgroup namespace shows what is above its own root as `..`, which no cgroup can be called: of a pod beside the
    /// reader's own, these two parts may be hidden behind it.
    private static func isClass(_ part: ArraySlice<UInt8>, below parent: ArraySlice<UInt8>) -> Bool {
        if part.equals("burstable") || part.equals("besteffort") {
            return parent.equals("kubepods") || parent.equals("..")
        }
        return part.equals("kubepods") || part.equals("..")
    }
}

extension ArraySlice<UInt8> {
    /// The rest after a prefix; nil where it does not begin with it.
    func dropping(prefix: StaticString) -> ArraySlice<UInt8>? {
        starts(with: prefix.bytes) ? dropFirst(prefix.utf8CodeUnitCount) : nil
    }

    /// The rest before a suffix; nil where it does not end with it.
    func dropping(suffix: StaticString) -> ArraySlice<UInt8>? {
        self.suffix(suffix.utf8CodeUnitCount).equals(suffix) ? dropLast(suffix.utf8CodeUnitCount) : nil
    }

    func equals(_ text: StaticString) -> Bool {
        elementsEqual(text.bytes)
    }

    /// Whether it is so many lower-case hexadecimal digits and nothing else.
    fileprivate func isHexadecimal(_ digits: Int) -> Bool {
        count == digits
            && allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    /// Whether it is 32 hexadecimal digits, as a static pod has, or 8, 4, 4, 4 and 12 of them.
    fileprivate func isPodUID(separator: UInt8) -> Bool {
        if count == 32 { return isHexadecimal(32) }
        guard count == 36 else { return false }
        var rest = self
        for digits in [8, 4, 4, 4] {
            guard rest.prefix(digits).isHexadecimal(digits) else { return false }
            rest = rest.dropFirst(digits)
            guard rest.popFirst() == separator else { return false }
        }
        return rest.isHexadecimal(12)
    }
}

extension StaticString {
    fileprivate var bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
