"""The lab of one scenario: a node with containerd, an outside, clients in pods, one porttrace, the counts around it."""

import dataclasses
import json
import os
import pathlib
import tempfile

from harness.node import cgroup2_root
from robust.lab import check
from track import lab as track
from track.net import Net, execute

from .containerd import Containerd
from .cri import ContainerSpec, PodSpec
from .images import CLIENTS

HELD = "32768 32775"  # the port range of a pod whose sandbox holds all of it
PACKET = 43  # bytes on an Ethernet of a UDP packet that carries one
FILLED = 24  # entries of a full table
GATE = pathlib.Path("/run/porttrace-gate")  # a FIFO: who reads from it waits for open_gate()
# What the runtimes and CNI write goes to memory, at its usual place.
SCRATCH = ("/run/containerd", "/run/netns", "/run/containers", "/var/lib/containerd", "/var/lib/containers")
SCRATCH += ("/run/libpod", "/var/lib/cni", "/var/log/pods", "/etc/cni")


class RootNet(Net):
    """The namespace of the machine itself, by a name like the others'."""

    def __init__(self, prefix, kind):
        self.kind, self.name = kind, f"{prefix}-{kind}"
        execute(["ip", "netns", "attach", self.name, "1"])
        self.path = pathlib.Path("/run/netns") / self.name
        self.inode = self.path.stat().st_ino
        self.counted = {}
        self.sysctl("net/ipv4/conf/all/rp_filter", 0)
        self.sysctl("net/ipv4/conf/default/rp_filter", 0)


@dataclasses.dataclass(frozen=True)
class Owner:
    """What porttrace must call somebody: whole where it knows the socket, else the pod alone."""

    k8s: dict | None = None
    runtime: dict | None = None
    unit: str | None = None
    cgroup: str = ""  # how the path of the cgroup must end


@dataclasses.dataclass
class Client:
    """Somebody who fails, known by a destination of its own."""

    name: str
    type: str  # connect_exhausted or conntrack_table_full
    command: list
    address: str
    port: int
    whole: bool = True  # its container is known; False: the socket is closed at once, the pod must do
    owner: Owner | None = None  # None: not started yet
    attempts: int = 0
    real: int = 0  # failures by its own count, or by nft's

    @property
    def forwarded(self):
        return self.type == "conntrack_table_full"

    @property
    def match(self):
        return f"ip daddr {self.address} udp dport {self.port}"

    def read(self, report):
        """What it printed itself."""
        if self.forwarded:
            self.attempts = report["sent"]
            return
        outcomes = report["destinations"][0]["outcomes"]
        self.attempts, self.real = sum(outcomes.values()), outcomes.get("EADDRNOTAVAIL", 0)


class Lab(track.Lab):
    def __init__(self, options, mode, folder):
        super().__init__(options, mode, folder)
        self.temporary = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="porttrace-lab.")))
        self.clients, self.running = [], []
        self.former_cgroups = {path for path in self.runtime_cgroups()}
        self.stack.callback(self.remove_runtime_cgroups)

    # Parts

    def net(self, kind):
        if kind != "node" or self.native:
            return super().net(kind)
        net = self.nets[kind] = RootNet(self.prefix, kind)
        self.stack.callback(net.remove)
        return net

    def start(self, addresses=("10.88.1.1", "10.88.9.254")):
        """The node, the outside, containerd."""
        self.build()
        self.track()
        GATE.unlink(missing_ok=True)
        os.mkfifo(GATE)
        self.stack.callback(GATE.unlink)
        self.containerd = Containerd(self, addresses, self.options.driver == "systemd")
        self.cri = self.containerd.cri

    def runtime_cgroups(self):
        """The cgroups at the top of any hierarchy under which the runtimes make theirs."""
        for pattern in ("kubepods*", "libpod_parent", "machine.slice"):
            yield from cgroup2_root().parent.glob(f"*/{pattern}") if self.native else ()

    def remove_runtime_cgroups(self):
        for top in set(self.runtime_cgroups()) - self.former_cgroups:
            for folder, _, _ in os.walk(top, topdown=False):
                track.remove_cgroup(pathlib.Path(folder))

    # Pods

    def pod(self, namespace, name, **options):
        return self.cri.start_pod(PodSpec(namespace, name, **{"port_range": HELD} | options))

    def owner_in(self, pod, container):
        k8s = {"namespace": pod.namespace, "pod": pod.name, "pod_uid": pod.uid, "container": container.name}
        runtime = {"name": "containerd", "container_id": container.id, "image": container.image}
        return Owner(k8s, runtime, cgroup=self.path_end(pod, container))

    def path_end(self, pod, container):
        if self.containerd.systemd:
            slice_ = f"kubepods-burstable-pod{pod.uid.replace('-', '_')}.slice"
            return f"/kubepods.slice/kubepods-burstable.slice/{slice_}/cri-containerd-{container.id}.scope"
        return f"/kubepods/burstable/pod{pod.uid}/{container.id}"

    def trickle(self, pod, packets_per_second):
        """What the pod sends waits in it, so that the sockets may be gone when the node sees the packets."""
        rate = f"{packets_per_second * 8 * PACKET}bit"
        command = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", 2 * PACKET, "limit", 10**6]
        execute(["nsenter", f"--net=/proc/{self.containerd.pid(pod.sandbox)}/ns/net", *map(str, command)])

    def run(self, pod, name, *clients, gated=False, linger=0):
        """Starts a container in which the clients run one after the other, `gated` only once the gate is open; it stays
        for `linger` seconds more."""
        command = clients[0].command
        if gated or linger or len(clients) > 1:
            lines = ["cat /gate"] if gated else []
            lines += [" ".join(client.command) for client in clients]
            lines += [f"sleep {linger}"] if linger else []
            command = ["sh", "-c", "; ".join(lines)]
        mounts = {"/gate": str(GATE)} if gated else {}
        container = self.cri.start_container(pod, ContainerSpec(name, CLIENTS, command, mounts))
        for client in clients:
            client.owner = self.owner_in(pod, container)
        self.running.append((pod, container, clients))
        return container

    def ports(self, name, count):
        """A client whose connects find no port."""
        address, port = self.next_place()
        command = ["failing", "--count", count, "--comm", "pt-ports", "connect", f"{address}:{port}"]
        return self.client(name, "connect_exhausted", command, address, port)

    def flows(self, name, count=0, seconds=0, held=True, pause_us=200):
        """A client whose UDP packets the node's table refuses, all from one socket or each from a new one."""
        address, port = self.next_place()
        limit = ["--seconds", seconds] if seconds else ["--count", count]
        command = ["flows", *limit, "--pause-us", pause_us, "--comm", "pt-flows", *(["--one"] if held else [])]
        command += ["udp", address, port]
        return self.client(name, "conntrack_table_full", command, address, port, whole=held)

    def client(self, name, kind, command, address, port, **options):
        client = Client(name, kind, list(map(str, command)), address, port, **options)
        self.clients.append(client)
        return client

    def next_place(self):
        number = len(self.clients)
        return f"198.51.100.{10 + number % 200}", 20_000 + number

    def open_gate(self):
        """Lets everybody in who waits there."""
        os.close(os.open(GATE, os.O_RDWR | os.O_NONBLOCK))

    def finish(self):
        """Waits for the ends of all containers and reads what their clients counted."""
        for pod, container, clients in self.running:
            self.read_reports(pod, container, clients)
        self.running = []

    def end(self, pod):
        """Waits for the ends of its containers and removes it."""
        for entry in [entry for entry in self.running if entry[0] is pod]:
            self.running.remove(entry)
            self.read_reports(*entry)
        self.cri.remove_pod(pod)

    def read_reports(self, pod, container, clients):
        code = self.cri.await_exit(container)
        reports = [json.loads(line) for line in self.cri.log(pod, container) if line.startswith("{")]
        check(not code and len(reports) == len(clients), f"{pod.name}/{container.name}: exit {code}, {reports}")
        for client, report in zip(clients, reports):
            client.read(report)

    # Counts

    def watch(self, *arguments, **options):
        """Fills the table, and from here on everything counts."""
        for net in (self.nets["node"], self.nets["outside"]):
            for client in self.clients:
                if client.forwarded:
                    net.count(f"at_{client.port}", "pre", client.match)
            net.place_counters()
        self.fill(FILLED)
        self.set_limit(FILLED)
        self.attach(*arguments, **options)

    def unwatch(self):
        self.detach()
        entered, arrived = (self.nets[kind].packets() for kind in ("node", "outside"))
        for client in self.clients:
            if client.forwarded:
                name = f"at_{client.port}"
                client.real = entered.get(name, 0) - arrived.get(name, 0)
