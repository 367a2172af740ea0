"""A pod, its node and the outside, each a network namespace, and what the kernel says of the packets between them."""

import contextlib
import os
import pathlib
import re
import subprocess

from subjects import SubjectError

MAX_ENTRIES = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
FREED = pathlib.Path("/sys/kernel/tracing/events/skb/kfree_skb")
HELD = 24  # connections that fill a table

RECEIVER_PORT, RULE_PORT, UNUSED_PORT = 9, 10, 11

# The outside has the network of 2^17 addresses too: a datagram to each opens a flow of its own.
LINKS = """link add eth0 netns {pod} type veth peer name pod netns {node}
link add node netns {outside} type veth peer name out netns {node}
"""
DEVICES = {
    "pod": "link set eth0 up\naddr add 10.88.0.2/24 dev eth0\nroute add default via 10.88.0.1\n",
    "node": "link set pod up\nlink set out up\naddr add 10.88.0.1/24 dev pod\naddr add 203.0.113.2/24 dev out\n"
    "route add default via 203.0.113.1\n",
    "outside": "link set node up\naddr add 203.0.113.1/24 dev node\nroute add 10.88.0.0/24 via 203.0.113.2\n"
    "route add local 198.18.0.0/15 dev lo\n",
}
CONNTRACK = """table ip bench {
  chain post { type nat hook postrouting priority 100; oifname out masquerade; }
  chain forward { type filter hook forward priority 0; ct state new udp dport %d drop; }
}
""" % RULE_PORT  # fmt: skip


def execute(*command, text=""):
    run = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        raise SubjectError(f"{' '.join(command)}: {run.stderr.strip()}")
    return run.stdout


class Lab:
    """Its node forwards; with `conntrack` it tracks all flows, and masquerades those that leave."""

    def __init__(self, conntrack=True):
        self.names = {place: f"pt-bench-{os.getpid()}-{place}" for place in DEVICES}
        self.nets = Namespaces(self.names.values())
        try:
            self.build(conntrack)
        except BaseException:
            self.nets.remove()
            raise

    def build(self, conntrack):
        execute("ip", "-batch", "-", text=LINKS.format(**self.names))
        for place, lines in DEVICES.items():
            execute("ip", "-n", self.names[place], "-batch", "-", text="link set lo up\n" + lines)
        self.inside("node", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        if conntrack:
            self.inside("node", "nft", "-f", "-", text=CONNTRACK)

    def inside(self, place, *command, text=""):
        return execute("ip", "netns", "exec", self.names[place], *command, text=text)

    def path(self, place):
        return f"/run/netns/{self.names[place]}"

    def dropped(self):
        """Packets that the node's conntrack has refused."""
        header, *rows = self.inside("node", "cat", "/proc/net/stat/nf_conntrack").splitlines()
        return sum(int(row.split()[header.split().index("drop")], 16) for row in rows)

    @contextlib.contextmanager
    def full(self, client):
        """The node's table is full of connections that conntrack does not give up; the limit is the whole machine's."""
        command = [client, "hold", str(HELD), self.path("pod"), self.path("outside")]
        former = MAX_ENTRIES.read_text()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            try:
                if not holder.stdout.readline():
                    raise SubjectError("no connections to hold")
                MAX_ENTRIES.write_text(str(HELD))
                yield
            finally:
                MAX_ENTRIES.write_text(former)
                holder.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.nets.remove()


class Namespaces:
    """Network namespaces that are named, and nothing more."""

    def __init__(self, names):
        self.names = list(names)
        execute("ip", "-batch", "-", text="".join(f"netns add {name}\n" for name in self.names))

    def remove(self):
        execute("ip", "-force", "-batch", "-", text="".join(f"netns delete {name}\n" for name in self.names))


class Crowd(Namespaces):
    """Idle pods: each a namespace with lo and a veth that has an address, beside its other end here."""

    def __init__(self, count):
        super().__init__(f"pt-bench-{os.getpid()}-{index}" for index in range(count))
        lines = (f"link add ptb{index} type veth peer name eth0 netns {name}\nlink set ptb{index} up\n"
                 for index, name in enumerate(self.names))  # fmt: skip
        execute("ip", "-batch", "-", text="".join(lines))
        for index, name in enumerate(self.names):
            address = f"10.89.{index >> 8}.{index & 255}"
            lines = f"link set lo up\nlink set eth0 up\naddr add {address}/32 dev eth0\n"
            execute("ip", "-n", name, "-batch", "-", text=lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Freed:
    """Counts the kfree_skb tracepoint's visits, by reason where the kernel has one."""

    def __init__(self):
        fields = (FREED / "format").read_text()
        self.key = "reason" if " reason;" in fields else "protocol"
        self.words = dict(re.findall(r'\{ (\d+), "(\w+)" \}', fields))

    def __enter__(self):
        try:
            (FREED / "trigger").write_text(f"hist:keys={self.key}")
        except (FileNotFoundError, OSError) as error:
            raise SubjectError(f"the kernel makes no histogram of its events: {error}") from None
        return self

    def __exit__(self, *_):
        (FREED / "trigger").write_text(f"!hist:keys={self.key}")

    def visits(self):
        """reason → visits since it began."""
        found = re.findall(r"\{ \w+:\s+(\w+) \} hitcount:\s+(\d+)", (FREED / "hist").read_text())
        return {self.words.get(reason, reason): int(count) for reason, count in found}


def busy_ns():
    """Time that tasks ran, of all CPUs together (Documentation/scheduler/sched-stats.rst)."""
    with open("/proc/schedstat", encoding="ascii") as file:
        return sum(int(line.split()[7]) for line in file if line.startswith("cpu"))
