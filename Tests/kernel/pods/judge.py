"""Compares names and numbers: every failure of a client under its owner's whole name, and nothing else."""

import collections

from harness.reconcile import nanoseconds

KINDS = ("connect_exhausted", "conntrack_table_full")
BY_SOCKET = ("task", "socket", "tuple")
BY_ADDRESS = ("netns", "address")
WAITED = 0.05  # of packets that were queued: they are sent by interrupts, in the midst of others


class Judge:
    """One run's verdict. `graces`: port → (from, to) in nanoseconds in which a client's failures may have no name.
    `unowned`: the share of the refused packets that may have no tuple, as in track.judge."""

    def __init__(self, lab, events=None, graces=None, unowned=0.001):
        self.lab, self.graces, self.unowned = lab, graces or {}, unowned
        self.names_matter = lab.options.check == "names"
        self.events = lab.events if events is None else events
        self.problems = collections.Counter()
        self.clients = {(client.address, client.port): client for client in lab.clients}
        self.seen = collections.Counter()  # port of the client → failures
        self.by_name = collections.Counter()  # (port of the client, right, wrong or none) → failures
        self.totals = collections.Counter()
        self.lines = self.elsewhere = self.ownerless = 0
        self.check_clients()
        if lab.trace:
            for event in self.events[:-1]:
                self.read(event)
            self.check_summary()
            self.check_counts()

    def problem(self, text, times=1):
        self.problems[text] += times

    def check_clients(self):
        """Is the test itself sound?"""
        for client in self.lab.clients:
            if not client.attempts or client.real != client.attempts:
                self.problem(f"{client.name}: {client.attempts} attempts, {client.real} failures")
        refused = sum(client.real for client in self.lab.clients if client.forwarded)
        dropped = self.lab.moved("node")["drop"]
        if dropped < refused:
            self.problem(f"the kernel refused {dropped}, sent less arrived is {refused}")

    def read(self, event):
        self.lines += 1
        kind = event.get("type")
        if kind not in KINDS:
            self.problem(f"a line of type {kind}: {event}")
            return
        self.totals[kind] += event["count"]
        to = event.get("dst", {})
        client = self.clients.get((to.get("addr"), to.get("port")))
        if client is None:
            self.read_other(event)
            return
        self.seen[client.port] += event["count"]
        if client.type != kind:
            self.problem(f"{client.name}: called {kind}", event["count"])
        path = event.get("cgroup", {}).get("path")
        if event.get("attribution") in BY_SOCKET and not (path or "").endswith(client.owner.cgroup):
            self.problem(f"{client.name}: cgroup is {path}, not …{client.owner.cgroup}", event["count"])
        wrong = list(self.wrong_names(client, event))
        allowed = wrong and not self.named(event) and self.in_grace(client, event)
        verdict = "right" if not wrong else "none" if not self.named(event) else "wrong"
        self.by_name[client.port, verdict] += event["count"]
        for text in wrong if self.names_matter and not allowed else ():
            self.problem(f"{client.name}: {text}", event["count"])

    def read_other(self, event):
        """None of the clients': the node's own small talk (ICMP, ARP's like) may be refused too, without a name."""
        self.elsewhere += event["count"]
        if "dst" not in event:
            self.ownerless += event["count"]
        if self.named(event):
            self.problem(f"none of the clients, but named: {event}")

    @staticmethod
    def named(event):
        return bool({"k8s", "runtime", "unit"} & event.keys())

    def in_grace(self, client, event):
        began, ended = self.graces.get(client.port, (0, 0))
        return began <= nanoseconds(event["timestamp"]) <= ended

    def wrong_names(self, client, event):
        owner, attribution = client.owner, event.get("attribution")
        path = event.get("cgroup", {}).get("path")
        if attribution in BY_SOCKET:
            wanted = {"k8s": owner.k8s, "runtime": owner.runtime, "unit": owner.unit}
        elif attribution in BY_ADDRESS:
            pod = owner.k8s and {name: value for name, value in owner.k8s.items() if name != "container"}
            wanted = {"k8s": pod, "runtime": None, "unit": None}
            if client.whole or path is not None:
                yield f"by {attribution} alone, cgroup {path}"
        else:
            wanted = {"k8s": owner.k8s, "runtime": owner.runtime, "unit": owner.unit}
            yield f"no owner: attribution {attribution}"
        for name, right in wanted.items():
            yield from differing(name, event.get(name), right)

    def check_summary(self):
        summary = self.events[-1] if self.events else {}
        if summary.get("type") != "summary":
            self.problem("the last line is no summary")
            return
        detail = summary["detail"]
        self.exact = detail.get("exact") is True
        if not self.exact:
            self.problem(f"summary: exact {detail.get('exact')}, lost {detail.get('lost')}")
        for kind in KINDS:
            if detail["totals"].get(kind, 0) != self.totals[kind]:
                self.problem(f"totals.{kind} is {detail['totals'].get(kind)}, the lines' sum {self.totals[kind]}")
        self.ownerless += detail.get("undecided", {}).get("conntrack_table_full", 0)
        refused = sum(client.real for client in self.lab.clients if client.forwarded)
        if self.ownerless > self.unowned * refused:
            self.problem(f"{self.ownerless} of {refused} refused packets without a tuple")

    def check_counts(self):
        for client in self.lab.clients:
            seen = self.seen[client.port]
            if seen > client.real or client.real - seen > (self.ownerless if client.forwarded else 0):
                self.problem(f"{client.name}: {client.real} failures, {seen} seen")

    def names(self):
        """right, wrong, none → failures."""
        sums = collections.Counter()
        for (_, verdict), count in self.by_name.items():
            sums[verdict] += count
        return dict(sums)

    def result(self):
        lab = self.lab
        rows = []
        for client in lab.clients:
            seen = self.seen[client.port] if lab.trace else client.real
            rows.append({"client": client.name, "attempts": client.attempts, "real": client.real, "seen": seen})
        problems = [f"{text} ({count} times)" if count > 1 else text for text, count in self.problems.items()]
        return {
            "tiers": lab.trace.tiers if lab.trace else {},
            "clients": rows,
            "skipped": [],
            "attempts": sum(row["attempts"] for row in rows),
            "real": sum(row["real"] for row in rows),
            "seen": sum(row["seen"] for row in rows),
            "exact": not lab.trace or self.exact,
            "bound": 0,
            "lines": self.lines,
            "names": self.names(),
            "notes": [*lab.notes, f"names: {self.names()}; {self.elsewhere} failures of others, {self.ownerless} unclaimed"],
            "problems": problems,
        }


def differing(name, got, right):
    """Every field that is not as it should be; None: absent."""
    if not isinstance(got, dict) or not isinstance(right, dict):
        if got != right:
            yield f"{name} is {got!r}, not {right!r}"
        return
    for field in sorted(got.keys() | right.keys()):
        if got.get(field) != right.get(field):
            yield f"{name}.{field} is {got.get(field)!r}, not {right.get(field)!r}"
