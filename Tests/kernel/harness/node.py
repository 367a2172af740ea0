"""Throw-away network namespaces and cgroups."""

import ctypes
import os
import pathlib
import subprocess
import time

CLONE_NEWNET = 0x40000000
PORT_RANGES = {"tight": (32768, 32783), "narrow": (40000, 40007), "plain": (32768, 60999)}

ADDRESSES = """
ip link set lo up
ip address add 10.77.0.1/32 dev lo
ip address add fd77::1/128 dev lo nodad
ip route add 198.51.100.0/24 dev lo
ip -6 route add 2001:db8::/32 dev lo
"""
REFUSING_ROUTES = """
ip route add prohibit 203.0.113.1
ip route add unreachable 203.0.113.2
ip route add blackhole 203.0.113.3
ip route add 203.0.113.4/30 dev lo
ip route add 203.0.113.8 dev lo
ip rule add to 203.0.113.8 ipproto tcp sport 30000-61000 prohibit
"""
# A neighbour that is not there behind a known hardware address: packets leave and nothing ever comes back.
SILENCE = """
ip link add silent type veth peer name nobody
ip link set silent up
ip link set nobody up
ip address add 10.77.1.1/24 dev silent
ip address add fd77:1::1/64 dev silent nodad
ip neighbour add 10.77.1.2 lladdr 02:00:00:00:00:99 dev silent
ip -6 neighbour add fd77:1::2 lladdr 02:00:00:00:00:99 dev silent
ip route add 198.18.0.0/24 via 10.77.1.2
ip -6 route add 2001:db8:5::/48 via fd77:1::2
"""
POLICY = """
table inet rules {
  chain output {
    type filter hook output priority 0
    ip daddr 203.0.113.4 meta l4proto tcp reject with tcp reset
    ip daddr 203.0.113.5 reject with icmp type admin-prohibited
    ip daddr 203.0.113.6 drop
  }
}
"""

libc = ctypes.CDLL(None, use_errno=True)


def cgroup2_root():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return pathlib.Path(fields[1])
    raise RuntimeError("no cgroup2 is mounted")


class Namespace:
    """A network namespace of this test."""

    def __init__(self, kind, prefix):
        self.kind = kind
        self.name = f"{prefix}-{kind}"
        self.port_range = PORT_RANGES[kind]
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.path = pathlib.Path("/run/netns") / self.name
        self.inode = self.path.stat().st_ino
        low, high = self.port_range
        self.shell(f"{ADDRESSES}\necho '{low} {high}' >/proc/sys/net/ipv4/ip_local_port_range")
        if kind == "plain":
            self.shell(REFUSING_ROUTES + SILENCE)

    def shell(self, script):
        subprocess.run(["ip", "netns", "exec", self.name, "sh", "-ec", script], check=True)

    def apply_policy(self):
        """Returns why there can be no policy, or nothing."""
        command = ["ip", "netns", "exec", self.name, "nft", "-f", "-"]
        run = subprocess.run(command, input=POLICY, stderr=subprocess.PIPE, text=True)
        return run.stderr.strip().splitlines()[0] if run.returncode else ""

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


class Node:
    """The namespaces and cgroups of one run; leaves nothing behind."""

    def __init__(self):
        self.prefix = f"porttrace-test-{os.getpid()}"
        self.cgroup_root = cgroup2_root()
        self.cgroup = f"/{self.prefix}"
        self.cgroup_folders = []
        self.namespaces = {}

    def __enter__(self):
        try:
            for name in ("", "/a", "/b", "/b/deep"):
                folder = self.cgroup_folder(name)
                folder.mkdir()
                self.cgroup_folders.append(folder)
            for kind in PORT_RANGES:
                self.namespaces[kind] = Namespace(kind, self.prefix)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for namespace in self.namespaces.values():
            namespace.remove()
        for folder in reversed(self.cgroup_folders):
            remove_cgroup(folder)

    def cgroup_folder(self, name):
        return self.cgroup_root / f"{self.prefix}{name}"

    def entry(self, net, cgroup, cpus):
        """What a child does before it becomes the client."""
        namespace = os.open(self.namespaces[net].path, os.O_RDONLY | os.O_CLOEXEC)
        procs = os.open(self.cgroup_folder(f"/{cgroup}") / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

        def enter():
            os.write(procs, b"0")
            if libc.setns(namespace, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            if cpus:
                os.sched_setaffinity(0, range(cpus))

        def release():
            os.close(namespace)
            os.close(procs)

        return enter, release


def remove_cgroup(folder):
    """A cgroup stays busy until the kernel has done with the last of its processes."""
    for _ in range(200):
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.02)
    folder.rmdir()
