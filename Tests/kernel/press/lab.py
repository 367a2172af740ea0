"""Namespaces with processes that fill them, one porttrace, and what it says of each."""

import collections
import datetime
import json
import pathlib
import subprocess
import sys

from harness.tracer import parse_lines
from ports.lab import PortsLab
from robust.lab import check
from robust.trace import Trace
from track.lab import end

CLIMBER = pathlib.Path(__file__).resolve().parent / "climber.py"


class Climber:
    """A process in a cgroup and a network namespace."""

    def __init__(self, lab, net, cgroup):
        enter, release = lab.enter(net, cgroup)
        self.path = "/" + cgroup.relative_to(lab.cgroup_root).as_posix()
        self.process = subprocess.Popen(
            [sys.executable, str(CLIMBER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=enter
        )
        release()
        lab.stack.callback(self.process.stdout.close)
        lab.stack.callback(end, self.process)
        check(self.process.stdout.readline() == "ready\n", "a climber could not begin")

    def begin(self, *task):
        """Tells it what to do; it does one after the other."""
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()

    def done(self):
        """Waits for the answer to the first task that has none yet."""
        line = self.process.stdout.readline()
        check(line, "a climber has ended")
        return json.loads(line)

    def do(self, *task):
        self.begin(*task)
        return self.done()


class Crossing:
    """A line of `pressure`."""

    def __init__(self, event):
        detail = event["detail"]
        self.resource, self.holders = detail["resource"], detail["holders"]
        self.eta = detail.get("eta_s")
        self.short = f"{detail['threshold']}{detail['direction']}"
        moment = datetime.datetime.fromisoformat(event["timestamp"][:26] + "+00:00")
        self.time = moment.timestamp()


class PressLab(PortsLab):
    def space(self, kind, low=40000, high=40999, reserved=""):
        """As there; sockets in SYN_SENT stay for a quarter of an hour, however slow the machine."""
        net = super().space(kind, low, high, reserved)
        net.sysctl("net/ipv4/tcp_syn_retries", 10)
        return net

    def climber(self, net):
        return Climber(self, net, self.make_cgroup(net.kind))

    def watch(self, *arguments, output="ndjson"):
        """One porttrace that stands."""
        command = [self.options.porttrace, "trace", "-o", output, "--probe-mode", self.mode, *arguments]
        trace = self.stack.enter_context(Trace(command))
        trace.await_attached()
        self.trace = self.trace or trace
        return trace

    def crossings(self, trace):
        """Those of this test's namespaces: (namespace's name, kind of resource, destination's port) → lines."""
        kinds = {net.inode: net.kind for net in self.nets.values()}
        found = collections.defaultdict(list)
        for event in parse_lines(trace.stop(), with_pressure=True):
            resource = event.get("detail", {}).get("resource")
            if event["type"] == "pressure" and resource["netns_id"] in kinds:
                key = kinds[resource["netns_id"]], resource["kind"], resource.get("dst", {}).get("port", 0)
                found[key].append(Crossing(event))
        return found


class Judge:
    """What is shown and kept of a scenario: `real` crossings that had to come, `seen` those that came."""

    def __init__(self, lab):
        self.lab, self.problems, self.notes, self.real, self.seen = lab, [], lab.notes, 0, 0
        self.skipped = []

    def result(self):
        return {
            "tiers": self.lab.trace.tiers if self.lab.trace else {}, "clients": [], "attempts": 0, "real": self.real,
            "seen": self.seen, "bound": 0, "lines": self.seen, "exact": not self.problems, "skipped": self.skipped,
            "notes": self.notes, "problems": self.problems,
        }  # fmt: skip

    def equal(self, seen, real, what):
        if seen != real:
            self.problems.append(f"{what}: {seen}, not {real}")

    def skip(self, what, why):
        self.skipped.append(f"{what}: {why}")

    def told(self, lines, wanted, what):
        """One line a crossing, in this order."""
        self.real += len(wanted)
        self.seen += len(lines)
        self.equal([line.short for line in lines], wanted, what)

    def eta(self, lines, answer, what, floor):
        """The time left on the way up, within a fifth or `floor` seconds, of when it was full in the end."""
        full = answer["ended"]
        if answer["lag"] > floor:
            self.skip(f"{what}: the time left", f"its climb was not steady, {answer['lag']:.2f} s behind at most")
            return
        for line in (line for line in lines if line.short.endswith("up")):
            left, filled = full - line.time, f"{line.resource['used']} of {line.resource['limit']}"
            told = f"{what} {line.short} at {filled}: {line.eta} s told, {left:.2f} s left"
            if line.eta is None or abs(line.eta - left) > max(0.2 * left, floor):
                self.problems.append(told)
            else:
                self.lab.note(told)
