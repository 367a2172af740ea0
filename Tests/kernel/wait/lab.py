"""Clients that close connections in a namespace of their own under one porttrace, and what the lines said of them."""

import collections
import pathlib
import subprocess

from harness import clients
from harness.clients import ClientError
from harness.node import Node
from harness.tracer import Tracer, parse_lines

from . import kernel
from .witness import Witness

SOURCE = clients.SOURCES / "closes/closes.c"
NET = "plain"
PORTS = range(7000, 7500)  # the clients'


def build(folder):
    if not (folder / "closes").exists():
        subprocess.run([clients.compiler(), *clients.FLAGS, "-o", folder / "closes", SOURCE], check=True)


class Closer:
    """One client, ready to work. Its port tells its sockets from others'."""

    def __init__(self, lab, way, address, port, count, cgroup):
        self.way, self.port, self.count, self.cgroup = way, port, count, cgroup
        enter, release = lab.node.entry(NET, cgroup, 0)
        try:
            self.process = subprocess.Popen(
                [lab.folder / "closes", way, address, str(port), str(count)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=enter, text=True,
            )
        finally:
            release()
        lab.closers.append(self)
        if self.process.stdout.readline() != "ready\n":
            raise ClientError(f"{way} could not set itself up")

    def start(self):
        self.process.stdin.close()

    def wait(self):
        said = self.process.stdout.read()
        if self.process.wait() or said != f"done {self.count}\n":
            raise ClientError(f"{self.way}: exit {self.process.returncode}, {said!r}")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Lab:
    """A fresh node with one porttrace, which watches the test's cgroups alone."""

    def __init__(self, options, mode, folder):
        self.options, self.mode, self.folder = options, mode, pathlib.Path(folder)
        self.node = Node().__enter__()
        self.net = self.node.namespaces[NET]
        self.closers, self.trace, self.witness, self.problems, self.notes = [], None, None, [], []
        kernel.set_sysctl(self.net, "tcp_tw_reuse", 0)
        kernel.set_sysctl(self.net, "tcp_max_tw_buckets", 1_000_000)

    def trace_with(self, *arguments):
        filters = [] if self.options.unconfined else ["--cgroup", self.node.cgroup]
        self.trace = Tracer(self.options.porttrace, self.mode, [*filters, *arguments])
        self.trace.await_attached()
        self.witness = Witness(self.node.prefix, PORTS)
        if not self.witness.is_there:
            self.notes.append("no tracefs here")
        self.tiers = self.trace.tiers()

    def closer(self, way, address="127.0.0.1", port=7001, count=0, cgroup="a"):
        return Closer(self, way, address, port, count or self.options.count, cgroup)

    def run(self, *closers):
        """All at once; returns how far the kernel's counters moved meanwhile."""
        before = kernel.counters(self.net)
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.wait()
        after = kernel.counters(self.net)
        return {name: after[name] - before[name] for name in after}

    def refuse(self, cgroup, port, seconds):
        """Tries to connect over the loopback, up to ten times a second."""
        script = f"while ((SECONDS < {seconds})); do (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; sleep 0.1; done"
        enter, release = self.node.entry(NET, cgroup, 0)
        try:
            process = subprocess.Popen(["bash", "-c", script], preexec_fn=enter)
        finally:
            release()
        process.wait()

    def stop(self):
        """The events of this test's namespace, and the summary."""
        self.unseen = self.witness.stop()
        if self.unseen:
            self.notes.append(f"{sum(self.unseen.values())} changes while process 1 ran")
        self.output = self.trace.stop()
        events = parse_lines(self.output)
        self.summary = events[-1]["detail"]
        self.events = [event for event in events if event.get("netns_id") == self.net.inode]
        self.missed = self.summary["lost"]["missed_runs"]  # so many changes at most were not seen
        if self.missed:
            self.notes.append(f"not exact: {self.missed} missed runs")
        if self.summary["undecided"]:
            self.notes.append(f"undecided: {self.summary['undecided']}")
        self.coalesced = self.summary["lost"]["ring"]  # of changes, as the ring had no room for them
        if self.coalesced:
            self.notes.append(f"{self.coalesced} changes were not sampled")
        sums = collections.Counter()
        for event in events:
            sums[event["type"]] += event.get("count", 0)
        for kind, total in self.summary["totals"].items():
            self.expect(f"totals.{kind}", total, sums[kind])

    def expect(self, what, found, wanted):
        if found != wanted:
            self.problems.append(f"{what}: {found}, not {wanted}")

    def expect_counts(self, what, found, wanted, unseen):
        """Equal, less `unseen`, what happened where this kernel may run no program; or, where porttrace says that it is not
        exact, at most its bound less.
        """
        fewer = {key: count for key in wanted if (count := wanted[key] - found.get(key, 0)) > 0}
        more = {key: count for key, count in found.items() if count > wanted.get(key, 0)}
        untold = sum(max(0, count - unseen[key]) for key, count in fewer.items())
        if more or untold > self.missed:
            self.problems.append(f"{what}: more {more}, fewer {fewer}, of them unseen {dict(unseen)}")

    def unseen_changes(self, port=None):
        """(old, new) → how often, of all or one client's sockets, no program may have run. TIME_WAIT as lines have it."""
        counts = collections.Counter()
        for (old, new, *ports), count in self.unseen.items():
            if port is None or port in ports:
                counts[old, new] += count
                if new == "CLOSE" and old in ("FIN_WAIT2", "CLOSING"):
                    counts[old, "TIME_WAIT"] += count
        return counts

    def changes(self, **fields):
        """(old, new) → how often."""
        counts = collections.Counter()
        for event in self.events:
            if event["type"] == "tcp_state":
                if all(event.get(field, {}).get("port") == port for field, port in fields.items()):
                    counts[event["detail"].get("old"), event["detail"].get("new")] += event["count"]
        return counts

    def overflows(self):
        """(cgroup's path, pid, cause, probe) → how many."""
        counts = collections.Counter()
        for event in self.events:
            if event["type"] == "time_wait_overflow":
                path, pid = event.get("cgroup", {}).get("path"), event.get("proc", {}).get("pid")
                counts[path, pid, event["cause"], event["probe"]] += event["count"]
        return counts

    def close(self):
        for closer in self.closers:
            closer.close()
        if self.witness:
            self.witness.close()
        if self.trace:
            self.trace.close()
        self.node.__exit__()
