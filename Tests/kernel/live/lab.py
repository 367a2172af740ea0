"""`porttrace top` beside a staged node, asked for a line whenever the test wants one."""

import datetime
import json
import signal
import time

from ports.judge import Judge
from robust.lab import await_that
from robust.trace import Trace

from .shape import breaches

# Seconds between two lines, so that each has a look of its own at the ports: those are taken at most once a second, and
# for a fiftieth of the time.
PAUSE = 2
GUEST_PAUSE = 6


class Snapshot:
    """A line."""

    def __init__(self, text):
        self.line = json.loads(text)
        self.breaches = list(breaches(self.line))
        whole, _, rest = self.line["timestamp"].rstrip("Z").partition(".")
        moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
        self.seconds = moment.timestamp() + int(rest) / 1e9

    def rows(self, net, kind=None):
        """Those of a namespace, of one kind."""
        return [
            row for row in self.line["rows"]
            if row["resource"].get("netns_id") == net.inode and kind in (None, row["resource"]["kind"])
        ]  # fmt: skip

    def row(self, net, kind, proto=None, port=None):
        """The one of a namespace, a kind, and where they are given a protocol and a destination's port."""
        for row in self.rows(net, kind):
            one = row["resource"]
            if proto in (None, one.get("proto")) and port in (None, one.get("dst", {}).get("port")):
                return row
        return {"resource": {}, "holders": []}

    def ports(self, net):
        """(source, destination, port) → used."""
        found = [row["resource"] for row in self.rows(net, "ports")]
        return {(one["src"]["addr"], one["dst"]["addr"], one["dst"]["port"]): one["used"] for one in found}


class Top:
    """One porttrace that writes a line when it is asked for one, by the signal that flushes, or at an interval."""

    def __init__(self, lab, *arguments, interval="1h"):
        command = [lab.options.porttrace, "top", "-o", "ndjson", "--interval", interval, "--probe-mode", lab.mode]
        command += ["--host-root", lab.names.root, *arguments]
        self.trace = lab.stack.enter_context(Trace(command))
        self.trace.await_attached()
        lab.trace = lab.trace or self.trace
        # Opened again: with the same open file this reading would move the place at which porttrace writes.
        self.lines = lab.stack.enter_context(open(f"/proc/self/fd/{self.trace.file.fileno()}", "rb"))
        self.pause = PAUSE if lab.native else GUEST_PAUSE

    def look(self):
        """The next line."""
        self.trace.send(signal.SIGUSR1)
        return self.next()

    def next(self):
        """The next line, asked for or not."""
        text = b""

        def whole():
            nonlocal text
            text += self.lines.readline()
            return text.endswith(b"\n")

        await_that(whole, "a line")
        return Snapshot(text)

    def fresh(self):
        """The next line, with figures of now."""
        time.sleep(self.pause)
        return self.look()

    def settled(self):
        """The first line in which the tables have been read."""
        self.look()
        return self.fresh()


class LiveJudge(Judge):
    """What is shown and kept of a scenario; each line must have the contract's shape."""

    def __init__(self, lab):
        super().__init__()
        self.lab = lab

    def result(self):
        return super().result() | {"tiers": self.lab.trace.tiers if self.lab.trace else {}, "notes": self.lab.notes}

    def line(self, snapshot):
        self.problems += snapshot.breaches

    def between(self, seen, low, high, what, share=0.0):
        self.seen, self.real = self.seen + 1, self.real + 1
        if seen is None or not low * (1 - share) <= seen <= high * (1 + share):
            self.problems.append(f"{what}: {seen}, not {low} to {high} within {share:.0%}")

    def same(self, seen, real, what):
        self.seen, self.real = self.seen + 1, self.real + 1
        self.equal(seen, real, what)

    def held(self, row, worker, count, what):
        """The first of the holders is this worker, with so many."""
        first = (row["holders"] or [{}])[0]
        told = (first.get("cgroup", {}).get("path"), first.get("k8s", {}).get("pod"), first.get("count"))
        self.same(told, (worker.path, worker.pod and worker.pod.name, count), what)
