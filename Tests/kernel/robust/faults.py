"""What goes wrong around porttrace: kills and signals at any time, processes and namespaces that come and go."""

import collections
import ctypes
import errno
import os
import pathlib
import signal
import struct
import time

from harness.node import CLONE_NEWNET, libc, remove_cgroup

from . import bpf
from .lab import Skip, await_that, case, check, equal, set_comm
from .trace import cgroup_counts, failures

CHURN_RATE = 100  # a second, where the machine can
AT_ONCE = 10


def lacking(lab, mode):
    """Skips where a tier cannot be had; a trace that has it."""
    trace = lab.trace("-o", "ndjson", "--probe-mode", mode)
    tiers = trace.await_attached()
    if tiers["connect"] != mode:
        trace.stop()
        raise Skip(f"no {mode} here: connect={tiers['connect']}")
    return trace


def killed(lab, mode):
    """SIGKILL in the midst of a storm: every program, map and link must go by itself."""
    trace = lacking(lab, mode)
    storm = lab.storm(int(50_000 * lab.scale) + 1000, 1000)
    storm.start()
    await_that(lambda: len(trace.output()) > 0, "the first line")
    held = bpf.held_by(trace.pid)
    for kind in ("prog", "map"):
        check(held[kind], f"no {kind} found while it ran: this would test nothing")
    trace.send(signal.SIGKILL)
    equal(trace.process.wait(), -signal.SIGKILL, "exit status")
    storm.finish()
    await_that(lambda: not bpf.alive(held), f"the end of what was held, left: {bpf.alive(held)}")
    return ", ".join(f"{len(ids)} {kind}s" for kind, ids in held.items()) + ": all gone"


@case
def killed_as_found(lab):
    return killed(lab, lab.attached().tiers["connect"])


@case
def killed_tracepoint(lab):
    return killed(lab, "tracepoint")


@case
def killed_fentry(lab):
    return killed(lab, "fentry")


def kprobe_lines():
    for path in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        try:
            text = pathlib.Path(path, "kprobe_events").read_text()
        except OSError:
            continue
        return [line for line in text.splitlines() if "porttrace_" in line]
    raise Skip("no kprobe_events in a mounted tracefs")


@case
def killed_kprobe(lab):
    """Its kprobe events are no programs and stay, at rest; the next start removes them."""
    kprobe_lines()
    words = killed(lab, "kprobe")
    left = kprobe_lines()
    lab.attached("--probe-mode", "tracepoint").stop()
    equal(kprobe_lines(), [], "kprobe events after the next start")
    trace = lab.attached("-o", "ndjson", "--probe-mode", "kprobe")
    running = len(kprobe_lines())
    second = lab.attached("-o", "ndjson", "--probe-mode", "kprobe")
    equal(len(kprobe_lines()), 2 * running, "kprobe events of two that run")
    storm = lab.fail(1000)
    for one in (trace, second):
        one.stop()
        equal(sum(event["count"] for event in failures(one.events())), storm.total, "failures")
    equal(kprobe_lines(), [], "kprobe events after a clean stop")
    return f"{words}; {len(left)} kprobe events left at rest, 0 after the next start"


@case
def stopped_leaves_nothing(lab):
    trace = lab.attached("-o", "ndjson")
    held = bpf.held_by(trace.pid)
    lab.fail(1000, 100)
    trace.stop()
    await_that(lambda: not bpf.alive(held), f"the end of what was held, left: {bpf.alive(held)}")
    return ", ".join(f"{len(ids)} {kind}s" for kind, ids in held.items()) + ": all gone"


class Churn:
    """Short-lived processes, each in a cgroup and network namespace of its own, which fail once and are gone."""

    def __init__(self, lab):
        self.lab = lab
        self.expected = {}  # pid → (comm, cgroup path, cgroup id, namespace)

    def run(self, numbers):
        """Some at once: making and removing a namespace takes its time, most of it waiting."""
        begun = [self.begin(number) for number in numbers]
        for number, pid, folder, reading in begun:
            report = os.read(reading, 100).decode()
            os.close(reading)
            os.waitpid(pid, 0)
            inode = folder.stat().st_ino
            remove_cgroup(folder)
            code, _, namespace = report.partition(" ")
            check(code == str(errno.EADDRNOTAVAIL), f"child {number} got {report!r}")
            path = self.lab.path_of(f"a/churn-{number}")
            self.expected[pid] = (f"churn-{number}", path, inode, int(namespace))

    def begin(self, number):
        folder = self.lab.node.cgroup_folder(f"/a/churn-{number}")
        folder.mkdir()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            self.fail_in_child(folder, number, writing)
        os.close(writing)
        return number, pid, folder, reading

    @staticmethod
    def fail_in_child(folder, number, report):
        """A namespace with two ports, both taken."""
        import fcntl
        import socket

        status = 1
        try:
            (folder / "cgroup.procs").write_text("0")
            if libc.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            control = socket.socket()
            fcntl.ioctl(control, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING
            pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40001")
            holders = [socket.socket(), socket.socket()]
            for port, holder in enumerate(holders, 40000):
                holder.bind(("0.0.0.0", port))
            namespace = os.stat("/proc/self/ns/net").st_ino
            set_comm(f"churn-{number}".encode())
            failing = socket.socket()
            os.write(report, f"{failing.connect_ex(('127.0.0.1', 80))} {namespace}".encode())
            status = 0
        finally:
            os._exit(status)


@case
def churn(lab):
    """Namespaces and cgroups come and go during a storm: every line has its path, pid, comm and namespace."""
    count = max(20, int(500 * lab.scale))
    storm = lab.storm(int(200_000 * lab.scale), 5000, cgroup="b")
    trace = lab.attached("-o", "ndjson")
    churn = Churn(lab)
    storm.start()
    began = time.monotonic()
    for first in range(0, count, AT_ONCE):
        churn.run(range(first, min(first + AT_ONCE, count)))
        time.sleep(max(0, began + first / CHURN_RATE - time.monotonic()))
    rate = count / (time.monotonic() - began)
    storm.finish()
    trace.stop()
    seen = {}
    for event in failures(trace.events()):
        path = event.get("cgroup", {}).get("path", "")
        check(path and "proc" in event, f"a line without a path or process: {event}")
        if event["proc"]["pid"] == storm.pid:
            equal(path, lab.path_of("b"), "the storm's cgroup")
            continue
        seen[event["proc"]["pid"]] = (event["proc"]["comm"], path, event["cgroup"]["id"], event["netns_id"])
        equal((event["count"], event["dst"]), (1, {"addr": "127.0.0.1", "port": 80}), "count and destination")
    equal(seen, churn.expected, "what is told of the short-lived")
    equal(cgroup_counts(trace.events())["connect_exhausted", lab.path_of("b")], storm.total, "the storm's failures")
    return f"{count} processes at {rate:.0f} a second, {storm.total} failures of the storm beside them"


@case
def churn_ring_full(lab):
    """The same with a ring that has no room: the lines come after their processes and cgroups are gone."""
    count = max(20, int(500 * lab.scale))
    storm = lab.storm(int(200_000 * lab.scale), 5000, cgroup="b")
    trace = lab.attached("-o", "ndjson", "--interval", "1h", env=os.environ | {"PORTTRACE_RING_BYTES": "4096"})
    storm.start()
    churn = Churn(lab)
    for first in range(0, count, AT_ONCE):
        churn.run(range(first, min(first + AT_ONCE, count)))
    storm.finish()
    trace.stop()
    seen = {}
    for event in failures(trace.events()):
        check("proc" in event, f"a line without a process: {event}")
        pid = event["proc"]["pid"]
        if pid != storm.pid:
            seen[pid] = (event["proc"]["comm"], event["cgroup"].get("path"), event["cgroup"]["id"], event["netns_id"])
    equal(seen, churn.expected, "what is told of the short-lived")
    return f"{count} processes"


@case
def interrupted_at_start(lab):
    """A signal at any moment of the start: a clean stop with a summary, or, before the command began, a death of it."""
    ends = {"clean": 0, "by the signal": 0}
    for step in range(12 if lab.native else 8):
        trace = lab.trace("-o", "ndjson")
        time.sleep(step * lab.moment)
        trace.send(signal.SIGINT if step % 2 else signal.SIGTERM)
        status = trace.wait()
        if status == 0:
            equal([event["type"] for event in trace.events() if event["type"] != "lost"], ["summary"], "lines")
            ends["clean"] += 1
        else:
            check(status in (-signal.SIGINT, -signal.SIGTERM), f"exit status {status}: {trace.messages()}")
            equal(trace.output(), b"", "lines")
            ends["by the signal"] += 1
        equal(trace.message_lines(), [], "words on standard error")
    check(ends["clean"], "none of the signals came after the start")
    return str(ends)


def runs(pid):
    """Whether a process is there and no zombie that its new parent has still to reap."""
    try:
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def children(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@case
def killed_at_start(lab):
    """SIGKILL at any moment of the start: no process of its own goes on, and what was loaded is gone."""
    found = collections.Counter()
    for step in range(8 if lab.native else 6):
        trace = lab.trace("-o", "ndjson")
        time.sleep(step * lab.moment)
        helpers = children(trace.pid)
        held = bpf.held_by(trace.pid)
        for helper in helpers:
            for kind, ids in bpf.held_by(helper).items():
                held[kind] |= ids
        trace.send(signal.SIGKILL)
        equal(trace.process.wait(), -signal.SIGKILL, "exit status")
        await_that(lambda: not any(runs(helper) for helper in helpers), "its helpers' end")
        await_that(lambda: not bpf.alive(held), f"the end of what was held, left: {bpf.alive(held)}")
        found["with a helper" if helpers else "with programs" if held["prog"] else "earlier"] += 1
    return str(dict(found))


@case
def ends_by_itself(lab):
    lab.once()
    trace = lab.attached("-o", "ndjson", "--duration", "500ms")
    equal(trace.wait(), 0, "exit status")
    equal([event["type"] for event in trace.events()], ["summary"], "lines")
