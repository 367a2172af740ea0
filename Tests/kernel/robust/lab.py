"""What a case has at hand: the binary, the clients, namespaces whose ports are all taken, cgroups, a folder."""

import contextlib
import ctypes
import dataclasses
import ipaddress
import json
import os
import pathlib
import shutil
import subprocess
import time

from harness import clients
from harness.clients import Crowd
from harness.node import CLONE_NEWNET, Node, libc

from .trace import Trace

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 300  # seconds after which something hangs; far beyond what any machine needs
PR_SET_NAME = 15  # linux/prctl.h


class Skip(Exception):
    """This machine cannot run the case; says why."""


class Failed(Exception):
    """porttrace did not do what it promises; says what it did."""


def check(holds, problem):
    if not holds:
        raise Failed(problem)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, not {wanted!r}")


def one_line(errors):
    lines = errors.splitlines()
    equal(len(lines), 1, f"lines on standard error: {errors!r}")
    check(lines[0].startswith("porttrace: "), f"not porttrace's own words: {errors!r}")
    return lines[0]


def await_that(holds, what):
    """Waits for something that must come; its time is no part of the promise."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if result := holds():
            return result
        time.sleep(0.02)
    raise Failed(f"{what} did not come within {LIMIT} s")


@dataclasses.dataclass(frozen=True)
class Case:
    group: str
    name: str
    run: object


CASES = []


def case(function):
    """Registers a function as a case of its module's group; what it returns is shown beside its name."""
    group = function.__module__.rpartition(".")[2]
    CASES.append(Case(group, function.__name__.replace("_", "-"), function))
    return function


def set_comm(name):
    libc.prctl(PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)


def has_program(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def need_program(name):
    path = has_program(name)
    if not path:
        raise Skip(f"no {name} here")
    return path


class Net:
    """A network namespace of its own for one case."""

    def __init__(self, name, port_range):
        self.name = name
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.path = pathlib.Path("/run/netns") / name
        self.inode = self.path.stat().st_ino
        low, high = port_range
        self.shell(
            "ip link set lo up\n"
            f"echo '{low} {high}' >/proc/sys/net/ipv4/ip_local_port_range\n"
            "echo 0 >/proc/sys/net/ipv4/tcp_tw_reuse"
        )

    def shell(self, script):
        subprocess.run(["ip", "netns", "exec", self.name, "sh", "-ec", script], check=True)

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


class Lab:
    def __init__(self, porttrace, folder, node, temporary, scale=1, everything=False):
        self.porttrace = str(porttrace)
        self.folder, self.node, self.temporary = folder, node, temporary
        self.scale, self.everything = scale, everything
        self.started = contextlib.ExitStack()
        self.native = not pathlib.Path("/run/share").is_mount()
        self.moment = 0.02 if self.native else 0.2  # a part of a start, in seconds

    def once(self):
        """For cases in which the kernel has no part."""
        if not self.native and not self.everything:
            raise Skip("the same on every kernel, see --everything")

    @property
    def mine(self):
        """Keeps porttrace to what this test does."""
        return ("--cgroup", self.node.cgroup)

    def path_of(self, cgroup):
        return f"{self.node.cgroup}/{cgroup}"

    def trace(self, *arguments, program=None, confined=True, **options):
        """A porttrace that is ended with the case, whatever becomes of it."""
        command = [program or self.porttrace, *arguments, *(self.mine if confined else ())]
        return self.started.enter_context(Trace(command, **options))

    def attached(self, *arguments, **options):
        trace = self.trace(*arguments, **options)
        trace.await_attached()
        return trace

    def run(self, *arguments, program=None, limit=LIMIT, **options):
        """Runs porttrace to its end by itself: (status, standard output, standard error)."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        done = subprocess.run([program or self.porttrace, *arguments], timeout=limit, **options)
        text = [(part or b"").decode(errors="backslashreplace") for part in (done.stdout, done.stderr)]
        return done.returncode, *text

    def net(self, name, port_range):
        net = Net(f"{self.node.prefix}-{name}", port_range)
        self.started.callback(net.remove)
        return net

    def entry(self, net, cgroup):
        """A function that takes a child into a namespace (one of the node's by name, or a Net) and a cgroup."""
        path = net.path if isinstance(net, Net) else self.node.namespaces[net].path
        namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        procs = os.open(self.node.cgroup_folder(f"/{cgroup}") / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        self.started.callback(os.close, namespace)
        self.started.callback(os.close, procs)

        def enter():
            os.write(procs, b"0")
            if libc.setns(namespace, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        return enter

    def spawn(self, command, net="tight", cgroup="a", **options):
        process = subprocess.Popen(command, preexec_fn=self.entry(net, cgroup), **options)
        self.started.callback(end, process)
        return process

    def storm(self, count, destinations, cgroup="a", net="tight", comm="storm", family=4):
        """A client that waits for start(): `count` failures over `destinations` in turn."""
        command = [self.folder / "storm", str(count), str(destinations), str(family), comm]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return Storm(self.spawn(list(map(str, command)), net, cgroup, **pipes), family)

    def fail(self, count, destinations=1, **options):
        """The same, at once."""
        storm = self.storm(count, destinations, **options)
        storm.start()
        return storm.finish()

    def crowd(self, *members, count):
        """The harness's clients, waiting."""
        crowd = Crowd(self.node, self.folder)
        self.started.callback(crowd.close)
        for client in members:
            crowd.add(client, count)
        crowd.await_ready()
        return crowd

    def end_case(self):
        self.started.close()


class Storm:
    """Many failures of one process, counted by itself."""

    def __init__(self, process, family):
        self.process, self.family = process, family
        check(process.stdout.readline() == b"ready\n", "the storm client could not set itself up")

    def start(self):
        self.process.stdin.close()

    def finish(self):
        """Waits for its end; every attempt must have failed for want of a port."""
        report = json.loads(self.process.stdout.read())
        check(self.process.wait() == 0, f"the storm client exited with {self.process.returncode}")
        check(report["others"] == 0, f"{report['others']} attempts of the storm client ended otherwise")
        self.pid, self.counts = report["pid"], report["counts"]
        self.total = sum(self.counts)
        return self

    def destination(self, index):
        if self.family == 6:
            return str(ipaddress.IPv6Address((0x20010DB8 << 96) + index + 1)), 443
        return f"198.51.100.{1 + index % 250}", 1000 + index // 250


def end(process):
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def build(folder):
    """Compiles the clients that are not there yet."""
    if not (folder / "failing").exists():
        clients.build(folder)
    if not (folder / "storm").exists():
        source = clients.SOURCES / "storm/storm.c"
        subprocess.run([clients.compiler(), *clients.FLAGS, "-o", folder / "storm", source], check=True)


@contextlib.contextmanager
def held_node(folder):
    """The harness's namespaces and cgroups; every port of the small ranges is taken."""
    with Node() as node:
        crowd = Crowd(node, folder)
        try:
            for kind in ("tight", "narrow"):
                low, high = node.namespaces[kind].port_range
                crowd.add_holder(kind, f"{low}-{high}")
            crowd.await_ready()
            yield node
        finally:
            crowd.close()
