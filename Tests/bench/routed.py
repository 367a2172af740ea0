"""What porttrace costs packets on their way through a node with conntrack, and an idle node with many pods."""

import contextlib
import json
import time

from lab import RECEIVER_PORT, RULE_PORT, UNUSED_PORT, Crowd, Freed, Lab, busy_ns
from subjects import Porttrace, SubjectError

# A whole run of TCP connections may cost some hundred instructions more: the least of them counts.
REPEATS = 5
SETTLE_SECONDS = 5
IDLE_SECONDS = 20
FLUSH_SECONDS = 2.5  # its flush comes each second
MODES = ("tracepoint", "auto")

# name → (protocol, whether the node has conntrack)
FLOWS = {
    "TCP connection, no conntrack": ("tcp", False),
    "TCP connection": ("tcp", True),
    "UDP flow's first datagram": ("udp", True),
}

# name → (sender, port, whether each datagram has a destination of its own, whether the table is full)
DROPS = {
    "full table, pod": ("pod", RECEIVER_PORT, False, True),
    "full table, pod, each another destination": ("pod", RECEIVER_PORT, True, True),
    "full table, node": ("node", RECEIVER_PORT, False, True),
    "full table, node, each another destination": ("node", RECEIVER_PORT, True, True),
    "a rule's, pod": ("pod", RULE_PORT, True, False),
    "no socket, pod": ("pod", UNUSED_PORT, True, False),
}


class Routed:
    """Parts of Measurement."""

    def attached(self, part, body, names):
        """The same without porttrace, and with it in each mode."""
        for mode in (None, *MODES):
            self.attempt(part, "porttrace" if mode else "nothing", lambda: body(mode), variant=mode or "", **names)

    def traced(self, mode, measure):
        """What `measure` gives while porttrace is attached, with what its summary says."""
        if mode is None:
            return measure(None)
        path = self.folder / "lines"
        with open(path, "wb") as lines:
            with Porttrace(self.options.porttrace, "--probe-mode", mode, stdout=lines, comm=None) as subject:
                # A new kprobe is a trap until the kernel has made a jump of it, in its own time.
                time.sleep(SETTLE_SECONDS)
                figures = measure(subject)
                subject.stop()
        summary = summary_of(path)
        probes = {hook: summary.get("probes", {}).get(hook, "none") for hook in ("conntrack", "evictions")}
        hooks = {hook: how.split()[0] for hook, how in probes.items()}
        # What is not attached costs nothing: no figure of it.
        if hooks["conntrack"] == "none":
            raise SubjectError(f"conntrack={probes['conntrack']}")
        lost = {"ring_lost": summary["lost"].get("ring"), "missed_runs": summary["lost"].get("missed_runs")}
        return {**figures, **hooks, **lost, "totals": summary["totals"]}

    # ---- what works ----

    def flows(self):
        load_modules()
        for way, (protocol, conntrack) in FLOWS.items():
            self.attached("flows", lambda mode: self.flow(mode, protocol, conntrack), {"way": way})

    def flow(self, mode, protocol, conntrack):
        count = self.options.connects // 20

        def once(_=None):
            with Lab(conntrack) as lab:
                time.sleep(SETTLE_SECONDS)
                figure = self.flow_ns(lab, protocol, count)
                time.sleep(FLUSH_SECONDS)  # for porttrace to see the table in use
                return figure

        figures = self.traced(mode, lambda _: {"ns": min(once() for _ in range(REPEATS))})
        wrong = {kind: number for kind, number in figures.get("totals", {}).items() if number}
        if wrong:
            raise SubjectError(f"failures where there are none: {wrong}")
        return figures

    def flow_ns(self, lab, protocol, count):
        if protocol == "tcp":
            return int(self.client("connects", count, lab.path("pod"), lab.path("outside")))
        figure, arrived, _ = self.datagrams(lab, count, count, RECEIVER_PORT, "pod", "outside")
        # The first waits for the neighbour's address.
        if arrived < count - 1:
            raise SubjectError(f"{arrived} of {count} datagrams arrived")
        return figure

    def datagrams(self, lab, count, destinations, port, sender, receiver=None):
        paths = [lab.path(place) for place in (sender, receiver) if place]
        return map(int, self.client("datagrams", count, destinations, port, *paths).split())

    def visits(self):
        for way, (protocol, conntrack) in FLOWS.items():
            self.attempt("visits", "kfree_skb", lambda: self.flow_visits(protocol, conntrack), variant="", way=way)

    def flow_visits(self, protocol, conntrack):
        count = self.options.connects // 20
        with Lab(conntrack) as lab:
            time.sleep(SETTLE_SECONDS)
            self.flow_ns(lab, protocol, 10)
            with Freed() as freed:
                self.flow_ns(lab, protocol, count)
                return {"count": count, "visits": freed.visits()}

    # ---- what is dropped ----

    def drops(self):
        load_modules()
        for way, (sender, port, every, full) in DROPS.items():
            self.attached("drops", lambda mode: self.drop(mode, sender, port, every, full), {"way": way})

    def drop(self, mode, sender, port, every, full):
        count = self.options.drops
        refused = count if full else 0
        with Lab() as lab:
            time.sleep(SETTLE_SECONDS)
            with lab.full(self.options.client) if full else contextlib.nullcontext():
                figures = self.traced(mode, lambda subject: self.drop_ns(lab, subject, count, every, port, sender))
            if figures["dropped"] != refused:
                raise SubjectError(f"{figures['dropped']} refused, not {refused}")
        totals = figures.get("totals", {"conntrack_table_full": refused})
        if not sum(totals.values()) == totals.get("conntrack_table_full") == refused:
            raise SubjectError(f"{refused} refused, but porttrace says {totals}")
        return figures

    def drop_ns(self, lab, subject, count, every, port, sender):
        before, own = lab.dropped(), subject.cpu_ns() if subject else 0
        figure, _, refused = self.datagrams(lab, count, count if every else 1, port, sender)
        if subject:
            time.sleep(FLUSH_SECONDS)
            own = subject.cpu_ns() - own
        dropped = lab.dropped() - before
        if sender == "node" and refused != dropped:
            raise SubjectError(f"{dropped} refused, but {refused} times EPERM")
        return {"ns": figure, "dropped": dropped, **({"own_ns": own / count} if subject else {})}

    # ---- what it does when nothing happens ----

    def pods(self):
        load_modules()
        for count in (0, self.options.pods):
            with Crowd(count):
                time.sleep(SETTLE_SECONDS)
                self.attached("pods", self.pods_idle, {"pods": count})

    def pods_idle(self, mode):
        def figures(subject):
            time.sleep(SETTLE_SECONDS)
            began, busy, own = time.monotonic(), busy_ns(), subject.cpu_ns() if subject else 0
            time.sleep(IDLE_SECONDS)
            taken, busy = time.monotonic() - began, busy_ns() - busy
            if not subject:
                return {"busy_ns_per_s": busy / taken}
            own, resident = subject.cpu_ns() - own, subject.resident_kib()
            return {"busy_ns_per_s": busy / taken, "own_ns_per_s": own / taken, "resident_kib": resident}

        return self.traced(mode, figures)


def load_modules():
    """Conntrack's, so that porttrace finds them: it has hooks in them."""
    with Lab():
        pass


def summary_of(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event["type"] == "summary":
                return event["detail"]
    raise SubjectError("porttrace wrote no summary")
