import PortTraceCore

/// Cgroups of containers, whose id repeats the cgroup's number, and one of a unit.
struct ReplayedPaths: CgroupPathSource {
    func path(ofCgroup id: UInt64) -> [UInt8]? {
        if id == 13 { return Array("/system.slice/systemd-resolved.service".utf8) }
        let hexadecimal = String(id, radix: 16)
        let container = String(repeating: "0", count: 64 - hexadecimal.count) + hexadecimal
        return Array("/kubepods.slice/cri-containerd-\(container).scope".utf8)
    }
}

/// Their names.
struct ReplayedOwners: OwnerSource {
    var version: UInt64 { 0 }

    func names(ofContainer id: [UInt8], podUID: [UInt8]) -> OwnerNames? {
        var names = OwnerNames()
        names.containerID = id
        switch id.suffix(2) {
        case [UInt8(ascii: "0"), UInt8(ascii: "b")]: names.set("shop", "checkout-7d9f6c8b5-kx2vq", "web")
        case [UInt8(ascii: "0"), UInt8(ascii: "c")]: names.set("shop", "worker-6b7c9d-abcde", "app")
        // Names that no API server would let through, but a file on the node's disk may have.
        case [UInt8(ascii: "0"), UInt8(ascii: "e")]: names.set("evil", "a\u{202e}b\u{1b}[31mc\nd", "x")
        case [UInt8(ascii: "0"), UInt8(ascii: "f")]: names.set("tokyo", "注文処理サービス", "主")
        default: names.set("team-a", "service-\(String(decoding: id.suffix(3), as: UTF8.self))", "main")
        }
        return names
    }

    func names(of namespace: NamespaceIdentity) -> OwnerNames? {
        let pods: [UInt32: String] = [
            4_026_532_345: "checkout-7d9f6c8b5-kx2vq", Self.payments.inode: "payments-0",
        ]
        guard let pod = pods[namespace.inode] else { return nil }
        var names = OwnerNames()
        (names.namespace, names.pod) = (Array("shop".utf8), Array(pod.utf8))
        return names
    }

    private static let payments = NamespaceIdentity(inode: 4_026_532_999, mix: 1)

    func podNamespace(at address: IPAddress) -> (namespace: NamespaceIdentity, time: UInt64)? {
        address == IPAddress(ipv4: 0x0a14_000a) ? (Self.payments, 0) : nil
    }

    func place(of address: IPAddress) -> AddressPlace { .unknown }
}

extension OwnerNames {
    fileprivate mutating func set(_ namespace: String, _ pod: String, _ container: String) {
        (self.namespace, self.pod, self.container) = (
            Array(namespace.utf8), Array(pod.utf8), Array(container.utf8)
        )
    }
}
