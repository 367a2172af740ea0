"""The clients: who sends what from where, and what became of it by independent counts."""

import dataclasses
import json
import subprocess

from harness import clients
from harness.clients import ClientError, Crowd

SOURCE = clients.SOURCES / "flows/flows.c"


def build(folder):
    """Compiles the client unless it is there."""
    if not (folder / "flows").exists():
        subprocess.run([clients.compiler(), *clients.FLAGS, "-o", folder / "flows", SOURCE], check=True)


@dataclasses.dataclass
class Sender:
    """One client. Unless told otherwise it has a destination of its own, by which its packets are known."""

    name: str
    place: str  # a pod, `node` or `outside`
    proto: str = "udp"  # tcp, udp, icmp, sctp, gre or a number
    family: int = 4
    options: tuple = ()
    count: int = 0  # 0: its share of what is asked for
    share: float = 1
    container: str = "app"  # of the pod; a service of the node
    to: str = ""
    port: int = 0
    owner: str = ""  # what must be known of it: own, pod or any; "": as its place and protocol promise
    process: float = 0  # the share of its failures whose process must be known
    direction: str = "outbound"
    table: str = "node"  # the namespace whose table refuses it
    enters: tuple = ()  # (namespace, chain): where its packets are counted before conntrack
    leaves: tuple = ()  # (namespace, chain): where they are counted afterwards
    backend: tuple = ()  # (address, port) at which it arrives, where that is another one
    types: tuple = ("conntrack_table_full",)  # what its refused packets may be called
    nat: tuple = ()  # addresses, ports
    zone: int = 0
    # What became of it:
    pid: int = 0
    sent: int = 0
    errors: dict = dataclasses.field(default_factory=dict)
    entered: int = 0
    arrived: int = 0

    @property
    def refused(self):
        return self.entered - self.arrived

    @property
    def comm(self):
        return f"pt-{self.name}"[:15]

    @property
    def source(self):
        """An address of nobody here, from which it sends; "" for its namespace's own."""
        return self.options[self.options.index("--from") + 1] if "--from" in self.options else ""

    @property
    def holds(self):
        return "--hold" in self.options

    @property
    def connected(self):
        return self.proto == "tcp" or "--connect" in self.options

    @property
    def has_ports(self):
        return self.proto in ("tcp", "udp", "sctp")

    @property
    def event_proto(self):
        return "icmpv6" if self.proto == "icmp" and self.family == 6 else self.proto

    def address(self, index):
        """Gives it a destination of its own where it has none."""
        self.to = self.to or (f"198.51.100.{10 + index}" if self.family == 4 else f"2001:db8:51::{10 + index:x}")
        self.port = self.port or (1000 + index if self.has_ports else 0)

    def match(self, address="", port=0):
        """Its packets in nft's words; of TCP the SYNs."""
        address, port = address or self.to, port or self.port
        words = [f"{'ip' if self.family == 4 else 'ip6'} daddr {address}"]
        if self.proto == "tcp":
            words += [f"tcp dport {port}", "tcp flags & (syn | ack) == syn"]
        elif self.proto == "icmp":
            words += ["icmp type echo-request" if self.family == 4 else "icmpv6 type echo-request"]
        elif self.has_ports:
            words += [f"{self.proto} dport {port}"]
        else:
            words += [f"meta l4proto {self.proto}"]
        return " ".join(words)


class Senders(Crowd):
    """Clients that wait for one common start."""

    def __init__(self, lab):
        super().__init__(lab, lab.folder)

    def spawn(self, sender, arguments):
        number = {"gre": "47"}.get(sender.proto, sender.proto)
        command = [self.folder / "flows", *sender.options, *arguments, number, sender.to]
        command += [str(sender.port)] if sender.port else []
        enter, release = self.node.entry(sender)
        try:
            return subprocess.Popen(
                command, stdin=self.waiting, stdout=subprocess.PIPE, preexec_fn=enter, text=True
            )
        finally:
            release()

    def add(self, sender, count):
        process = self.spawn(sender, ["--count", str(count), "--comm", sender.comm])
        sender.pid = process.pid
        self.members.append((sender, process))

    def outcomes(self):
        """Waits until all have sent everything; those that hold their sockets go on holding."""
        for sender, process in self.members:
            line = process.stdout.readline()
            if not line:
                raise ClientError(f"{sender.name} exited with {process.wait()}")
            report = json.loads(line)
            sender.sent += report["sent"]
            sender.errors = report["errors"]
            if not sender.holds:
                process.wait()
