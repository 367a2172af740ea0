"""Namespaces and cgroups with processes that hold sockets, the census, and ss."""

import collections
import json
import pathlib
import subprocess
import sys

from robust.lab import await_that, check
from track.lab import Lab, end
from track.net import execute

HOLDER = pathlib.Path(__file__).resolve().parent / "holder.py"
SETTLED = {"ESTAB", "SYN-SENT", "LISTEN", "UNCONN", "TIME-WAIT", "FIN-WAIT-2", "CLOSE-WAIT"}


class Holder:
    """A process in a cgroup and a network namespace."""

    def __init__(self, lab, net, cgroup):
        self.id = cgroup.stat().st_ino
        enter, release = lab.enter(net, cgroup)
        self.process = subprocess.Popen(
            [sys.executable, str(HOLDER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=enter
        )
        release()
        lab.stack.callback(self.process.stdout.close)
        lab.stack.callback(end, self.process)
        check(self.process.stdout.readline() == "ready\n", "a holder could not begin")

    def __getattr__(self, operation):
        def call(*arguments):
            self.process.stdin.write(json.dumps([operation, *arguments]) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
            check(not isinstance(answer, dict), f"{operation} {arguments}: {answer}")
            return answer

        return call


class Taker:
    """The program that takes a census whenever it is told to."""

    def __init__(self, lab, *arguments):
        command = [str(lab.options.census), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lab.stack.callback(self.process.stdout.close)
        lab.stack.callback(end, self.process)
        line = self.process.stdout.readline()
        check(line == "ready\n", f"the census does not stand: {line}")

    def take(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Census(json.loads(self.process.stdout.readline()))


class Census:
    def __init__(self, document):
        self.ns, self.cpu_ns, self.gaps = document["ns"], document["cpu_ns"], document["not_visible"]
        self.namespaces = {entry["netns"]: entry for entry in document["namespaces"]}
        self.occupancies = document["occupancies"]

    def ports(self, inode):
        """(source, destination, port) → occupancy."""
        found = [entry for entry in self.occupancies if entry["kind"] == "ports" and entry["netns"] == inode]
        return {(entry["src"], entry["dst"], entry["port"]): entry for entry in found}

    def one(self, kind, inode, proto=6):
        for entry in self.occupancies:
            if (entry["kind"], entry["netns"], entry["proto"]) == (kind, inode, proto):
                return entry
        return {"used": 0, "holders": [], "limit": None}


class PortsLab(Lab):
    def space(self, kind, low=40000, high=40999, reserved=""):
        """A namespace with addresses of its own; packets to 198.51.100.0/24 come to nobody."""
        return self.furnish(self.net(kind), low, high, reserved)

    def child_space(self, kind, parent):
        """One that is made from inside another: that one's net.ipv4.*_child_* count."""
        net = self.net(kind)
        execute(["ip", "netns", "delete", net.name])
        execute(["nsenter", f"--net={parent.path}", "ip", "netns", "add", net.name])
        net.inode = net.path.stat().st_ino
        return self.furnish(net, 40000, 40999, "")

    def furnish(self, net, low, high, reserved):
        net.ip(
            "link set lo up\naddr add 10.99.0.1/32 dev lo\naddr add 10.99.0.2/32 dev lo\naddr add fd99::1/128 dev lo nodad\n"
            "route add 198.51.100.0/24 dev lo\n"
        )
        net.sysctl("net/ipv4/ip_local_port_range", f"{low} {high}")
        net.sysctl("net/ipv4/ip_local_reserved_ports", reserved)
        return net

    def holder(self, net, name):
        return Holder(self, net, self.make_cgroup(name))

    def taker(self, *arguments):
        return Taker(self, *arguments)

    def settle_sockets(self, nets):
        """Waits until no socket changes its state any more."""
        last = []

        def still():
            last.append([Truth(net) for net in nets])
            same = len(last) > 1 and all(a.lines == b.lines for a, b in zip(last[-1], last[-2]))
            return same and all(truth.is_settled for truth in last[-1])

        await_that(still, "rest")


class Truth:
    """What ss says of a namespace."""

    def __init__(self, net):
        self.lines = sorted(net.run("ss", "-Htan").splitlines())
        self.tcp = [(line.split()[0], split(line.split()[3]), split(line.split()[4])) for line in self.lines]
        self.udp = [split(line.split()[3]) for line in net.run("ss", "-Huan").splitlines()]

    @property
    def is_settled(self):
        return all(state in SETTLED for state, _, _ in self.tcp)

    def connections(self):
        return [entry for entry in self.tcp if entry[0] not in ("LISTEN", "UNCONN", "SYN-RECV")]

    def ports(self, usable, bound):
        """(source, destination, port) → sockets whose port connect() chose."""
        found = collections.Counter()
        for _, (source, port), (destination, remote) in self.connections():
            if port in usable and port not in bound:
                found[source, destination, remote] += 1
        return found

    def time_wait(self):
        """FIN-WAIT-2 is TIME_WAIT too here: nobody holds those sockets."""
        return sum(state in ("TIME-WAIT", "FIN-WAIT-2") for state, _, _ in self.tcp)


def split(text):
    """ss's address:port; a v4-mapped address as the IPv4 that it is, no device."""
    address, _, port = text.rpartition(":")
    address = address.strip("[]").partition("%")[0]
    return address.removeprefix("::ffff:"), 0 if port == "*" else int(port)
