"""Network namespaces, and what the kernel itself says about conntrack in them."""

import collections
import ctypes
import json
import os
import pathlib
import subprocess
import threading

from harness.node import CLONE_NEWNET, libc
from robust.lab import Skip

COUNTERS = ("drop", "insert_failed", "early_drop", "chaintoolong", "invalid", "clash_resolve")
COLUMNS = {"chainlength": "chaintoolong", "clashres": "clash_resolve"}  # names in /proc since v5.15 and v5.9
STATISTICS = "/proc/thread-self/net/stat/nf_conntrack"
NETFILTER = pathlib.Path("/proc/sys/net/netfilter")

OUTSIDE4, OUTSIDE6 = "198.51.100.0/24", "2001:db8:51::/48"
CHAINS = {"pre": "prerouting", "in": "input", "out": "output"}


def execute(command, **options):
    """Runs a program; what it printed on standard error is part of the exception."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()[:300]}")
    return done.stdout


def read_counters():
    """The conntrack counters of the calling thread's namespace, summed over the CPUs; they wrap at 2³²."""
    try:
        header, *rows = pathlib.Path(STATISTICS).read_text().splitlines()
    except FileNotFoundError:  # the module is not loaded
        return dict.fromkeys(COUNTERS, 0)
    sums = collections.Counter()
    for row in rows:
        for name, value in zip(header.split(), row.split()):
            sums[COLUMNS.get(name, name)] += int(value, 16)
    return {name: sums[name] for name in COUNTERS}


def remove_leftovers():
    """Namespaces that a killed run has left: their addresses are those of the next one's."""
    for file in pathlib.Path("/run/netns").glob("*"):
        name, number, _ = f"{file.name}--".split("-", 2)
        if name == "ptrack" and number.isdecimal() and not pathlib.Path("/proc", number).exists():
            execute(["ip", "netns", "delete", file.name])


class Net:
    """A network namespace of the test."""

    is_removed = False

    def __init__(self, prefix, kind):
        self.kind, self.name = kind, f"{prefix}-{kind}"
        execute(["ip", "netns", "add", self.name])
        self.path = pathlib.Path("/run/netns") / self.name
        self.inode = self.path.stat().st_ino
        self.counted = {}  # name → (chain, match)
        self.ip("link set lo up")
        self.sysctl("net/ipv4/conf/all/rp_filter", 0)
        self.sysctl("net/ipv4/conf/default/rp_filter", 0)

    def remove(self):
        """In the end, or before it by a scenario."""
        if not self.is_removed:
            self.is_removed = True
            execute(["ip", "netns", "delete", self.name])

    def ip(self, lines):
        execute(["ip", "-n", self.name, "-batch", "-"], input=lines)

    def run(self, *command, **options):
        return execute(["ip", "netns", "exec", self.name, *command], **options)

    def nft(self, rules):
        self.run("nft", "-f", "-", input=rules)

    def inside(self, function):
        """Calls a function on a thread of its own that has entered the namespace."""
        results = []

        def body():
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if libc.setns(descriptor, CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(descriptor)
                results.append((function(), None))
            except BaseException as error:
                results.append((None, error))

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        value, error = results[0]
        if error:
            raise error
        return value

    def sysctl(self, name, value):
        self.inside(lambda: pathlib.Path("/proc/sys", name).write_text(str(value)))

    def counters(self):
        return self.inside(read_counters)

    def entries(self, *arguments):
        """Lines of `conntrack -L`."""
        return self.run("conntrack", "-L", *arguments).splitlines()

    def entry_count(self):
        try:
            return int(self.inside(lambda: (NETFILTER / "nf_conntrack_count").read_text()))
        except FileNotFoundError:
            return 0

    def count(self, name, chain, match):
        """Packets that fit are counted before conntrack sees them, once place_counters() has been called."""
        self.counted[name] = (chain, match)

    def place_counters(self):
        if not self.counted:
            return
        lines = ["table inet counts {"]
        lines += [f"counter {name} {{ }}" for name in self.counted]
        for chain, hook in CHAINS.items():
            lines += [f"chain {chain} {{", f"type filter hook {hook} priority -300;"]
            lines += [f"{match} counter name {name}" for name, (place, match) in self.counted.items() if place == chain]
            if self.kind.startswith("outside") and chain == "pre":
                lines += [f"ip daddr {OUTSIDE4} drop", f"ip6 daddr {OUTSIDE6} drop"]
            lines += ["}"]
        self.nft("\n".join(["table inet counts", "delete table inet counts", *lines, "}\n"]))

    def packets(self):
        """name → packets counted so far."""
        if not self.counted:
            return {}
        listing = json.loads(self.run("nft", "-j", "list", "counters", "table", "inet", "counts"))
        found = (entry["counter"] for entry in listing["nftables"] if "counter" in entry)
        return {counter["name"]: counter["packets"] for counter in found}


def namespaces_in_use():
    """The entries in the conntrack tables of all namespaces that have a process: inode → count."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            inode = (folder / "ns/net").stat().st_ino
        except OSError:
            continue
        if inode in found:
            continue
        net = Net.__new__(Net)
        net.path = folder / "ns/net"
        try:
            found[inode] = net.entry_count()
        except OSError:
            continue
    return found


class Limit:
    """nf_conntrack_max, which is the whole machine's: set for moments only, and always given back."""

    path = NETFILTER / "nf_conntrack_max"
    former = pathlib.Path("/run/porttrace-conntrack.max")  # what it was, while it is another: SIGKILL does no harm

    def __init__(self):
        self.value = None

    def set(self, value, own):
        """`own`: inodes of the test's namespaces; those of others must have room below the new limit."""
        crowded = {i: n for i, n in namespaces_in_use().items() if i not in own and n >= value}
        if crowded:
            raise Skip(f"conntrack tables of others are in use here (netns → entries): {crowded}")
        self.remember()
        self.path.write_text(str(value))
        self.value = value

    @classmethod
    def remember(cls):
        """It is about to be changed."""
        if not cls.former.exists():
            cls.former.write_text(cls.path.read_text())

    @classmethod
    def restore(cls):
        """Also what a run that was killed has left."""
        if cls.former.exists():
            cls.path.write_text(cls.former.read_text())
            cls.former.unlink()
