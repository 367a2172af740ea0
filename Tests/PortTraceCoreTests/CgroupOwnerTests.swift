import Testing

@testable import PortTraceCore

/// In the paths, ID and ID2 stand for containers' ids, UID for a pod's UID, U_ID for the same as systemd has it, HASH
/// for a static pod's.
@Suite struct CgroupOwnerTests {
    private static let names = [
        ("U_ID", "2c48913c_b29f_11e7_9350_020968147796"), ("UID2", "74c13223-5a00-11e9-b385-42010a80018d"),
        ("UID", "2c48913c-b29f-11e7-9350-020968147796"), ("HASH", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ("ID2", "b2a102854b4969b2ce98dc329c86b4fb2b06e4ad2cc8da9d8a7578c9cd2004a2"),
        ("ID", "9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d"),
    ]

    private func spelled(_ text: String) -> String {
        Self.names.reduce(text) { text, name in
            text.split(separator: name.0, omittingEmptySubsequences: false).joined(separator: name.1)
        }
    }

    private func described(_ owner: CgroupOwner) -> String {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        var parts: [String] = []
        if !owner.podUID.isEmpty { parts.append("pod \(text(owner.podUID))") }
        if !owner.containerID.isEmpty {
            parts.append("\(owner.runtime?.rawValue ?? "container") \(text(owner.containerID))")
        }
        if !owner.unit.isEmpty { parts.append("unit \(text(owner.unit))") }
        return parts.joined(separator: ", ")
    }

    private func check(_ path: String, _ owner: String) {
        #expect(described(CgroupOwner(path: Array(spelled(path).utf8))) == spelled(owner))
    }

    @Test(arguments: [
        // cgroupfs, whatever the runtime.
        ("/kubepods/podUID/ID", "pod UID, container ID"),
        ("/kubepods/burstable/podUID/ID", "pod UID, container ID"),
        ("/kubepods/besteffort/podUID/ID", "pod UID, container ID"),
        ("/kubepods/burstable/podHASH/ID", "pod HASH, container ID"),
        ("/kubepods/burstable/podUID", "pod UID"),
        ("/kubepods/burstable/podUID/crio-ID", "pod UID, cri-o ID"),
        ("/kubepods/burstable/podUID/crio-conmon-ID", "pod UID"),
        ("/kubepods/burstable/podUID/ID/init.scope", "pod UID, container ID"),
        ("/kubepods/burstable/podUID/kata_overhead/ID", "pod UID, container ID"),
        ("/kubepods/kubepods/besteffort/podUID/ID", "pod UID, container ID"),
        ("/kubelet/kubepods/burstable/podUID/ID", "pod UID, container ID"),
        ("/k8s/node-1.slice/kubepods/podUID/ID", "pod UID, container ID"),
        // systemd.
        ("/kubepods.slice/kubepods-podU_ID.slice/cri-containerd-ID.scope", "pod UID, containerd ID"),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_ID.slice/cri-containerd-ID.scope",
            "pod UID, containerd ID"
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_ID.slice/crio-ID.scope",
            "pod UID, cri-o ID"
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podHASH.slice/docker-ID.scope",
            "pod HASH, docker ID"
        ),
        ("/kubepods.slice/kubepods-podU_ID.slice/crio-ID.scope/container", "pod UID, cri-o ID"),
        ("/kubepods.slice/kubepods-podU_ID.slice/crio-conmon-ID.scope", "pod UID"),
        (
            "/kubepods.slice/kubepods-podU_ID.slice/cri-containerd-ID.scope/system.slice/a.service",
            "pod UID, containerd ID"
        ),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_ID.slice", "pod UID"),
        ("/kubepods.slice/kubepods-podU_ID.slice/ID", "pod UID, container ID"),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
                + "kubelet-kubepods-besteffort-podU_ID.slice/cri-containerd-ID.scope",
            "pod UID, containerd ID"
        ),
        ("/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-podHASH.slice/crio-ID.scope", "pod HASH, cri-o ID"),
        ("/podroot.slice/podroot-kubepods.slice/podroot-kubepods-podU_ID.slice", "pod UID"),
        // kubelet with the systemd driver, containerd without.
        ("/kubepods-besteffort-podU_ID.slice:cri-containerd:ID", "pod UID, containerd ID"),
        (
            "/system.slice/containerd.service/kubepods-burstable-podU_ID.slice:cri-containerd:ID",
            "pod UID, containerd ID"
        ),
        ("/system.slice/k3s.service/kubepods-podHASH.slice:cri-containerd:ID", "pod HASH, containerd ID"),
        ("/kubepods-burstable-podU_ID.slice:crio:ID", "pod UID, cri-o ID"),
    ])
    func pods(_ path: String, _ owner: String) {
        check(path, owner)
    }

    @Test(arguments: [
        ("/docker/ID", "docker ID"),
        ("/docker/ID/init", "docker ID"),
        ("/docker/ID/system.slice/nginx.service", "docker ID"),
        ("/podruntime/docker/ID", "docker ID"),
        ("/system.slice/docker-ID.scope", "docker ID"),
        ("/system.slice/docker-ID.scope/init.scope", "docker ID"),
        ("/ecstasks.slice/ecstasks-HASH.slice/docker-ID.scope", "docker ID"),
        ("/ecs/HASH/ID", "container ID"),
        ("/actions_job/ID", "container ID"),
        ("/ID", "container ID"),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope", "docker ID"),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/nerdctl-ID.scope", "containerd ID"),
        ("/user.slice/user-1001.slice/user@1001.service/user.slice/cri-containerd-ID.scope", "containerd ID"),
        ("/system.slice/nerdctl-ID.scope", "containerd ID"),
        ("/default/ID", "container ID"),
        ("/k8s.io/ID", "containerd ID"),
        ("/system.slice/cri-containerd-ID.scope", "containerd ID"),
        ("/system.slice:docker:ID", "docker ID"),
        ("/:cri-containerd:ID", "containerd ID"),
        ("/machine.slice/libpod-ID.scope", "podman ID"),
        ("/machine.slice/libpod-ID.scope/container", "podman ID"),
        ("/machine.slice/libpod-ID.scope/container/system.slice/nginx.service", "podman ID"),
        ("/machine.slice/machine-libpod_pod_ID2.slice/libpod-ID.scope/container", "podman ID"),
        ("/libpod_parent/libpod-ID", "podman ID"),
        ("/libpod_parent/ID2/libpod-ID", "podman ID"),
        ("/libpod_parent/ID2", ""),
        ("/libpod_parent/ID2/libpod-conmon-ID", ""),
        ("/libpod_parent/libpod-conmon-ID", ""),
        ("/libpod_parent/libpod-ID/ctr", "podman ID"),
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", "podman ID"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_ID2.slice/libpod-ID.scope",
            "podman ID"
        ),
        ("/system.slice/app.service/libpod-payload-ID", "podman ID"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-ID", "podman ID"),
        ("/lxc.payload.ci/system.slice/docker-ID.scope", "docker ID"),
        // Nothing but its form says that it is a container.
        ("/system.slice/builder.service/ID", "container ID, unit builder.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/ci.service/ID/x", "container ID, unit ci.service"),
        ("/system.slice/docker-ID.scope/ID2", "container ID2"),
    ])
    func containers(_ path: String, _ owner: String) {
        check(path, owner)
    }

    @Test(arguments: [
        ("/docker/ID/kubelet/kubepods/burstable/podUID/ID2", "pod UID, container ID2"),
        ("/docker/ID/kubepods/besteffort/podHASH/ID2", "pod HASH, container ID2"),
        (
            "/system.slice/docker-ID.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_ID.slice/"
                + "cri-containerd-ID2.scope",
            "pod UID, containerd ID2"
        ),
        ("/docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podU_ID.slice", "pod UID"),
        ("/docker/ID/system.slice/kubelet.service", "docker ID"),
        (
            "/docker/ID/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podU_ID.slice/crio-ID2.scope",
            "pod UID, cri-o ID2"
        ),
        ("/docker/ID/system.slice/crio-conmon-ID2.scope", "docker ID"),
        ("/docker/ID/docker/ID2", "docker ID2"),
        ("/machine.slice/libpod-ID.scope/container/system.slice/docker-ID2.scope", "docker ID2"),
        // A container that a pod's container runs is in that pod.
        ("/kubepods/burstable/podUID/ID/docker/ID2", "pod UID, docker ID2"),
        ("/kubepods/podUID2/ID/docker/ID2/kubelet/kubepods/podUID/ID2", "pod UID, container ID2"),
    ])
    func nested(_ path: String, _ owner: String) {
        check(path, owner)
    }

    /// As /proc/PID/cgroup shows others to a process in a cgroup namespace of its own.
    @Test(arguments: [
        ("/../../podUID/ID", "pod UID, container ID"),
        ("/../../../podHASH/ID", "pod HASH, container ID"),
        ("/../../../besteffort/podUID/ID", "pod UID, container ID"),
        ("/../../../../besteffort/podUID/ID", "pod UID, container ID"),
        ("/../ID", "container ID"),
        ("/../cri-containerd-ID.scope", "containerd ID"),
        ("/../../kubepods-burstable-podU_ID.slice/cri-containerd-ID.scope", "pod UID, containerd ID"),
        ("/../../../kubepods.slice/kubepods-podU_ID.slice/crio-ID.scope", "pod UID, cri-o ID"),
        ("/../../../../system.slice/nginx.service", ""),
        // What a container makes below its own cgroup is not the kubelet's.
        ("/../ID/podUID/ID2", "container ID2"),
        ("/../ID/burstable/podUID/ID2", "container ID2"),
        ("/podUID/ID", "container ID"),
    ])
    func fromANamespace(_ path: String, _ owner: String) {
        check(path, owner)
    }

    @Test(arguments: [
        ("/system.slice/nginx.service", "unit nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "unit getty@tty1.service"),
        (
            #"/system.slice/system-postgresql.slice/postgresql@15\x2dmain.service"#,
            #"unit postgresql@15\x2dmain.service"#
        ),
        ("/system.slice/foo.service/worker", "unit foo.service"),
        ("/system.slice/foo.service/worker/inner.scope", "unit foo.service"),
        ("/system.slice/containerd.service", "unit containerd.service"),
        ("/system.slice/garden.service/garden/UID", "unit garden.service"),
        ("/a.slice/a-b.slice/a-b-c.slice/deep.service", "unit deep.service"),
        ("/init.scope", "unit init.scope"),
        ("/rootless.service", "unit rootless.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "unit session-3.scope"),
        ("/user.slice/user-1000.slice/user@1000.service", "unit user@1000.service"),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "unit user@1000.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "unit foo.service"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-UID.scope",
            "unit vte-spawn-UID.scope"
        ),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service/sub/x.service", "unit foo.service"),
        ("/user.slice/user-1000.slice/user@1000.service/tmux", "unit user@1000.service"),
        ("/user.slice/user-1000.slice/user@1000.service/session.slice/user@1.service/a.service", "unit user@1.service"),
        ("/machine.slice/machine-web.scope", "unit machine-web.scope"),
        ("/machine.slice/machine-web.scope/payload/system.slice/nginx.service", "unit machine-web.scope"),
        ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "unit systemd-nspawn@web.service"),
        (#"/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt/emulator"#, #"unit machine-qemu\x2d1\x2dvm.scope"#),
        ("/system.slice/srv-data.mount", "unit srv-data.mount"),
        ("/system.slice/systemd-udevd.service/udev", "unit systemd-udevd.service"),
        ("/system.slice/sshd.socket", "unit sshd.socket"),
        ("/system.slice/_cpu.service", "unit cpu.service"),
        ("/nomad.slice/share.slice/UID.redis.scope", "unit UID.redis.scope"),
        ("/system.slice/crio-conmon-ID.scope", "unit crio-conmon-ID.scope"),
        ("/machine.slice/libpod-conmon-ID.scope", "unit libpod-conmon-ID.scope"),
        ("/system.slice/app.service/runtime", "unit app.service"),
    ])
    func units(_ path: String, _ owner: String) {
        check(path, owner)
    }

    /// What looks like one and is none.
    @Test(arguments: [
        ("", ""), ("/", ""), ("//", ""), ("/docker", ""), ("/system.slice", ""), ("/user.slice/user-1000.slice", ""),
        ("/kubepods.slice/kubepods-burstable.slice", ""), ("/kubepods/burstable", ""),
        // The systemd of something else.
        ("/lxc.payload.web/system.slice/nginx.service", ""), ("/lxc/101/ns/init.scope", ""),
        ("/lxc.monitor.web", ""), ("/garden/system.slice/a.service", ""), ("/system/runtime", ""),
        // Ids.
        ("/docker/aID", ""), ("/docker/IDa", ""), ("/docker/ID-", ""), ("/docker/ID.scope", ""), ("/docker/-ID", ""),
        ("/docker/HASH", ""), ("/docker/HASHHASH0", ""), ("/docker/Id", ""),
        ("/docker/buildkit/abcdefghijklmnopqrstuvwxy", ""),
        ("/docker/9EC39B91F3D70E1BEFF50A308F77067065EA6BE0D91A3378375056CD4422CF3D", ""),
        ("/docker/9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3", ""),
        ("/system.slice/docker-HASH.scope", "unit docker-HASH.scope"),
        ("/system.slice/docker-aID.scope", "unit docker-aID.scope"),
        ("/system.slice/mydocker-ID.scope", "unit mydocker-ID.scope"),
        ("/system.slice/docker-ID.scopes", ""), ("/system.slice/docker-ID.service", "unit docker-ID.service"),
        ("/system.slice/ID.scope", "unit ID.scope"),
        ("/foo:cri-containerd:ID", ""), ("/cri-containerd:ID", ""), ("/a.slice:podman:ID", ""), ("/a.slice::ID", ""),
        ("/a.slice:docker:ID.scope", "unit a.slice:docker:ID.scope"),
        // Pods.
        ("/kubepods/podUIDa", ""), ("/kubepods/podU_ID", ""), ("/kubepods/pod", ""), ("/kubepods/podHASHa", ""),
        ("/podUID", ""), ("/burstable/podUID", ""), ("/kubepods/guaranteed/podUID", ""),
        ("/kubepods/x/burstable/podUID", ""),
        ("/kubepods/pod2C48913C-B29F-11E7-9350-020968147796", ""),
        ("/kubepods/pod2c48913-cb29f-11e7-9350-020968147796", ""),
        ("/kubepods-podU_ID", ""), ("/xkubepods-podU_ID.slice", ""), ("/kubepods-other-podU_ID.slice", ""),
        ("/kubepods-burstable-podUID.slice", ""), ("/kubepods-burstableU_ID.slice", ""),
        ("/kubepods-podHASH0.slice", ""),
        // Units.
        ("/system.slice/.service", ""), ("/system.slice/foo@.service", ""), ("/system.slice/@foo.service", ""),
        ("/system.slice/foo.service.d", ""), ("/system.slice/foo.timer", ""), ("/system.slice/foo bar.service", ""),
        ("/system.slice/a\u{1b}[31m.service", ""), ("/.slice/a.service", ""), ("/system.slice/gr\u{fc}n.service", ""),
        ("/system.slice/" + String(repeating: "x", count: 250) + ".service", ""),
    ])
    func lookAlikes(_ path: String, _ owner: String) {
        check(path, owner)
    }

    /// Random bytes and parts: nothing traps, and nothing is told that the path does not have.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func nothingIsMadeUp(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        let pieces =
            [
                "/", "/", "/", "-", ":", ".", "_", "@", "a", "0", "kubepods", "burstable", "besteffort", "pod", "-pod",
                "docker",
                "crio", "cri-containerd", "libpod", "libpod-payload", "conmon", "system", "user@", ".slice", ".scope",
                ".service", "UID", "U_ID", "HASH", "ID", "/kubepods/podUID/", "/docker/ID", "/system.slice/",
            ].map { Array(spelled($0).utf8) } + [[0], [0xff], [0x0a]]
        for _ in 0..<500 {
            var path = Array("/".utf8)
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                path += pieces[Int.random(in: pieces.indices, using: &random)]
            }
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                path[Int.random(in: path.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let owner = CgroupOwner(path: path)
            let parts = path.split(separator: UInt8(ascii: "/"))
            if !owner.containerID.isEmpty {
                #expect(owner.containerID.count == 64 && path.contains(owner.containerID))
                #expect(owner.unit.isEmpty)
            }
            if !owner.podUID.isEmpty {
                let dashed = path.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }
                #expect(dashed.contains(Array("pod".utf8) + owner.podUID))
                #expect(owner.unit.isEmpty)
            }
            #expect(owner.runtime == nil || !owner.containerID.isEmpty)
            if !owner.unit.isEmpty {
                #expect(parts.contains { $0.elementsEqual(owner.unit) || $0.dropFirst().elementsEqual(owner.unit) })
            }
        }
    }

    /// The longest that the kernel has, of what takes longest: one part, and thousands.
    @Test func longPaths() {
        for piece in ["/", "a", "/a", ":", "0", "-pod", "/pod", "/kubepods", ".slice:", "a.slice/", "libpod-"] {
            let bytes = (0..<4_096).map { Array(piece.utf8)[$0 % piece.utf8.count] }
            let owner = CgroupOwner(path: bytes)
            #expect(owner.containerID.isEmpty && owner.podUID.isEmpty && owner.unit.isEmpty)
        }
    }
}
