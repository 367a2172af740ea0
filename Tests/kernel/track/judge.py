"""Compares what porttrace said with the kernel's counters and with what the clients and nft counted."""

import collections
import ipaddress
import math

from harness.reconcile import nanoseconds

from .promises import CAUSES, REFUSED, TYPES, counter_of, over_all, promised, promised_error, too_many_lines
from .promises import wrong_nat, wrong_pod

OWNED = 0.99  # of the failures of a client whose owner can be known
COUNTED_BY_KERNEL = ("drop", "insert_failed", "early_drop")


class Judge:
    """One run's verdict.

    `unowned`: the share of the refused packets that may have no tuple. `moving`: packets were refused while porttrace
    attached and while it stopped, so what it should have seen is known within bounds only. `strangers`: namespaces that
    are none of the lab's may have failures too, see life.py. `owned`: the share of each client's failures that must
    have their owner.
    """

    def __init__(self, lab, unowned=0.0, moving=False, strangers=False, owned=OWNED):
        self.lab, self.unowned, self.moving, self.strangers, self.owned = lab, unowned, moving, strangers, owned
        self.problems = collections.Counter()
        self.seen = collections.defaultdict(collections.Counter)  # index of a sender → type → count
        self.owners = collections.defaultdict(collections.Counter)  # the same → own, pod, none, proc, uid → count
        self.loose = collections.Counter()  # (netns, type) → count of lines without a tuple
        self.by_table = collections.Counter()  # (netns, type, cause) → count
        self.by_type = collections.Counter()
        self.lines = 0
        self.lines_of_key = collections.Counter()
        self.exact, self.bound, self.foreign = True, 0, 0
        self.elsewhere = 0  # refused or evicted in namespaces that are none of the lab's
        self.keys = {}
        for index, sender in enumerate(lab.senders):
            self.keys.setdefault(self.key_of(sender), index)
        self.deferred = lab.deferred  # packets that ksoftirqd may have handled and no sender was excused for
        self.summary = lab.events[-1].get("detail", {}) if lab.events else {}
        self.told = self.read_kernel()
        if not moving:
            self.check_clients()
        if lab.trace:
            for event in lab.events[:-1]:
                self.read(event)
            self.check_summary()
            self.check_kernel()
            self.check_tables()
            self.check_senders()
            for text in too_many_lines(self.lines_of_key, lab.ended_ns - lab.began_ns):
                self.problem(text)

    def problem(self, text, times=1):
        self.problems[text] += times

    # The kernel alone

    def groups(self):
        """Senders to one destination are told apart by their source only before NAT: they are judged together."""
        found = collections.defaultdict(list)
        for index, sender in enumerate(self.lab.senders):
            found[sender.proto, sender.to, sender.port].append(index)
        return found.values()

    def group_of(self, sender):
        return next(group for group in self.groups() if self.lab.senders.index(sender) in group)

    def refused_of(self, group):
        senders = [self.lab.senders[index] for index in group]
        return sum(sender.entered for sender in senders) - senders[0].arrived

    @property
    def refused(self):
        return sum(map(self.refused_of, self.groups()))

    @property
    def attempts(self):
        return sum(sender.entered for sender in self.lab.senders)

    @property
    def evicted(self):
        return sum(self.lab.moved(kind)["early_drop"] for kind in self.lab.nets)

    def died(self, kind):
        moved = self.lab.moved(kind)
        return moved["drop"] + moved["chaintoolong"]

    def check_clients(self):
        """Is the test itself sound: do the kernel's counters equal what was sent less what arrived?"""
        lab = self.lab
        by_table = collections.Counter()
        for group in self.groups():
            by_table[lab.senders[group[0]].table] += self.refused_of(group)
        for kind in lab.nets:
            if self.died(kind) != by_table[kind]:
                self.problem(f"{kind}: the kernel refused {self.died(kind)}, sent less arrived is {by_table[kind]}")
        for sender in lab.senders:
            if sender.proto == "tcp" or not sender.sent:
                continue
            if sender.sent != sender.entered:
                self.problem(f"{sender.name}: {sender.sent} sent, {sender.entered} came to conntrack")
            told = sender.errors.get("EPERM", 0)
            if sender.errors.keys() - {"EPERM"}:
                self.problem(f"{sender.name} got {sender.errors}")
            local = sender.place == sender.table
            if told != (sender.refused if local else 0) and self.alone(sender):
                self.problem(f"{sender.name} got EPERM {told} times, {sender.refused} were refused")

    def alone(self, sender):
        return sum(s.to == sender.to and s.port == sender.port for s in self.lab.senders) == 1

    # porttrace

    def key_of(self, sender):
        address = lambda text: str(ipaddress.ip_address(text))  # noqa: E731
        return sender.event_proto, address(self.lab.source_of(sender)), address(sender.to), sender.port or None

    def read(self, event):
        self.lines += 1
        kind = event.get("type")
        if kind == "lost":
            if event.get("detail", {}).get("where") == "missed_runs":
                self.bound += event["count"]
            return
        if kind not in TYPES:
            self.problem(f"a line of type {kind}: {event}")
            return
        count = event.get("count")
        if not isinstance(count, int) or count < 1:
            self.problem(f"count is {count!r}")
            return
        self.by_type[kind] += count
        if self.is_foreign(event):
            return
        self.by_table[event.get("netns_id"), kind, event.get("cause")] += count
        for text in self.wrong_fields(event):
            self.problem(f"{kind}: {text}")
        to = event.get("dst")
        if not to:
            self.loose[event.get("netns_id"), kind] += count
            return
        key = event.get("proto"), event.get("src", {}).get("addr"), to.get("addr"), to.get("port")
        owner = event.get("cgroup", {}).get("path"), event.get("proc", {}).get("pid"), event.get("cause")
        self.lines_of_key[kind, key, owner] += 1
        index = self.keys.get(key)
        if index is None and self.strangers:
            return
        if index is None:
            self.problem(f"{kind} of none of the clients: {key}", count)
            return
        sender = self.lab.senders[index]
        self.seen[index][kind] += count
        self.judge_owner(index, sender, event, count)
        for text in self.wrong_for_sender(sender, event):
            self.problem(f"{sender.name}: {text}", count)

    def is_foreign(self, event):
        """Another test of this machine may use the same addresses; what is watched without a filter is ours alone."""
        mine = {net.inode for net in self.lab.nets.values()}
        confined = not (self.lab.options.unconfined or self.strangers)
        foreign = confined and event.get("netns_id") not in mine
        if foreign:
            self.foreign += event["count"]
        return foreign

    def wrong_fields(self, event):
        lab, kind = self.lab, event["type"]
        if event.get("schema") != 1 or not isinstance(event.get("node"), str):
            yield f"schema {event.get('schema')}, node {event.get('node')}"
        if event.get("cause") not in CAUSES[kind]:
            yield f"cause is {event.get('cause')}"
        first = nanoseconds(event.get("timestamp"))
        last = nanoseconds(event.get("last_timestamp")) if "last_timestamp" in event else first
        if first is None or last is None or not lab.began_ns <= first <= last <= lab.ended_ns:
            yield "timestamps are outside the run or not in order"
        if not self.strangers and event.get("netns_id") not in {net.inode for net in lab.nets.values()}:
            yield f"netns_id is {event.get('netns_id')}"
        hook = "evictions" if kind == "conntrack_evicted" else "conntrack"
        tier = self.summary.get("probes", {}).get(hook)
        if event.get("probe") not in (tier, "counter"):
            yield f"probe is {event.get('probe')}, the hook stands as {tier}"
        if event.get("probe") == "counter" and {"dst", "src", "cgroup", "proc", "attribution"} & event.keys():
            yield f"a counter's line names somebody: {event}"

    def wrong_for_sender(self, sender, event):
        detail, kind = event.get("detail", {}), event["type"]
        wanted = {"family": (event.get("family"), f"ipv{sender.family}")}
        wanted["netns_id"] = (event.get("netns_id"), self.lab.nets[sender.table].inode)
        wanted["direction"] = (detail.get("direction"), sender.direction)
        if kind in ("conntrack_table_full", "conntrack_evicted"):
            wanted["limit"] = (detail.get("limit"), self.lab.limit.value)
        else:
            wanted["zone"] = (detail.get("zone", 0), sender.zone)
        wanted["error"] = ((event.get("error"), event.get("error_raw")), promised_error(sender, event))
        if sender.proto == "icmp":
            echo, told = {"type": 8 if sender.family == 4 else 128, "code": 0}, dict(detail.get("icmp", {}))
            known = isinstance(told.pop("id", None), int)
            wanted["icmp"] = (known and told, echo)
        if sender.backend and kind != "conntrack_table_full":
            backend = dict(zip(("addr", "port"), sender.backend))
            wanted["backend"] = (detail.get("backend"), backend)
        for name, (got, right) in wanted.items():
            if got != right:
                yield f"{name} is {got!r}, not {right!r}"
        if kind == "snat_exhausted":
            yield from wrong_nat(sender, detail)
        yield from wrong_pod(self.lab, sender, event)
        if not (set(sender.types) | {"conntrack_evicted"}) & {kind}:
            yield f"is called {kind}"

    def judge_owner(self, index, sender, event, count):
        path, attribution = event.get("cgroup", {}).get("path"), event.get("attribution")
        if path is not None:
            known = "own" if path == self.lab.path_of(sender) and not sender.source else "wrong"
            if attribution not in ("task", "socket", "tuple"):
                self.problem(f"{sender.name}: a cgroup by attribution {attribution}", count)
        elif attribution in ("netns", "address"):
            if event["type"] == "conntrack_evicted" and not sender.connected:
                known = "unconnected"
            else:
                known = "pod" if sender.place in self.lab.pods or sender.direction == "inbound" else "wrong"
            self.owners[index]["uid"] += count if "k8s" in event else 0
        else:
            known = "none"
        if known == "wrong":
            self.problem(f"{sender.name}: wrong owner {path} by {attribution} of {event['type']}", count)
        self.owners[index][known] += count
        if "proc" in event:
            self.owners[index]["proc"] += count
            if event["proc"].get("pid") != sender.pid or known != "own":
                self.problem(f"{sender.name}: wrong process {event['proc']}, it is {sender.pid}", count)

    def check_summary(self):
        lab = self.lab
        if not lab.events or lab.events[-1].get("type") != "summary":
            self.problem("the last line is no summary")
            return
        totals, lost = self.summary.get("totals", {}), self.summary.get("lost", {})
        for kind in TYPES:
            if totals.get(kind, 0) != self.by_type[kind]:
                self.problem(f"summary: totals.{kind} is {totals.get(kind)}, the lines' sum {self.by_type[kind]}")
        if self.summary.get("probes") != lab.trace.tiers:
            self.problem(f"summary: probes {self.summary.get('probes')}, the attached line {lab.trace.tiers}")
        self.exact = self.summary.get("exact") is True
        if lost.get("missed_runs") != self.bound or self.exact == bool(self.bound):
            self.problem(f"summary: exact {self.summary.get('exact')}, {lost}, the lines' sum {self.bound}")

    def read_kernel(self):
        """summary.detail.kernel: netns → counter → how far it moved."""
        told = collections.defaultdict(collections.Counter)
        for entry in self.summary.get("kernel", []):
            told[entry.get("netns_id")].update({name: entry.get(name, 0) for name in COUNTED_BY_KERNEL})
        return told

    def check_kernel(self):
        lab = self.lab
        for kind, net in lab.nets.items():
            low, high = lab.moved(kind), (lab.may_have_moved(kind) if self.moving else lab.moved(kind))
            for name in COUNTED_BY_KERNEL:
                if not low[name] <= self.told[net.inode][name] <= high[name]:
                    bounds = f"{low[name]}" if low[name] == high[name] else f"{low[name]} to {high[name]}"
                    self.problem(f"summary: kernel.{name} of {kind} is {self.told[net.inode][name]}, not {bounds}")
        if lab.options.unconfined and not self.strangers:
            for inode in self.told.keys() - {net.inode for net in lab.nets.values()}:
                if any(self.told[inode].values()):
                    self.problem(f"summary: kernel has {dict(self.told[inode])} of netns {inode}, none of the test's")

    def check_tables(self):
        """The contract's identities, in each namespace; where counter lines are filtered out, over all of them."""
        lab, wanted, seen = self.lab, collections.Counter(), collections.Counter()
        for inode, kinds in self.namespaces().items():
            moved = self.told[inode]
            wanted[inode, "drop less clashes"] = moved["drop"] - moved["insert_failed"]
            wanted[inode, "insert_failed"] = moved["insert_failed"]
            if kinds:  # of others see life.py
                wanted[inode, "early_drop"] = moved["early_drop"]
            for kind in kinds if not self.moving else ():
                chains = lab.moved(kind)["chaintoolong"]
                wanted[inode, "drop less clashes"] += chains  # which count as insert_failed, but not as drop
                wanted[inode, "chaintoolong"] = chains
        for (inode, kind, cause), count in self.by_table.items():
            if kind != "conntrack_evicted" or self.namespaces().get(inode):
                seen[inode, counter_of(kind, cause)] += count
            if cause == "chain_too_long":
                seen[inode, "chaintoolong"] += count
        undecided = self.summary.get("undecided", {})
        if any(undecided.get(kind) for kind in TYPES) and not lab.options.unconfined:
            for kind in TYPES:
                seen[None, counter_of(kind, "")] += undecided.get(kind, 0)
            wanted, seen = over_all(wanted), over_all(seen)
        for key in sorted({*wanted, *seen}, key=str):
            if wanted[key] != seen[key]:
                self.problem(f"netns {key[0]}: {key[1]} moved by {wanted[key]}, the lines have {seen[key]}")

    def namespaces(self):
        """Inode → the lab's names for it, with those that only porttrace knows."""
        found = {inode: [] for inode in self.told}
        for kind, net in self.lab.nets.items():
            found.setdefault(net.inode, []).append(kind)
        return found

    @property
    def ownerless(self):
        """Refused packets that no line with a tuple stands for."""
        lines = sum(count for (_, kind), count in self.loose.items() if kind in REFUSED)
        undecided = self.summary.get("undecided", {})
        return lines + sum(undecided.get(kind, 0) for kind in REFUSED)

    def check_senders(self):
        lab = self.lab
        # Where any are allowed, as many as one draining of the maps can cost (kprobes and classic tracepoints).
        # The kernel tells how many runs it has skipped: a burst of SYNs sent again may fall into one draining.
        allowed = max(self.unowned * self.refused, 16 if self.unowned else 0, self.bound) + lab.unseen
        if self.moving:  # from the moment of the counters' base to the attached line nobody is promised an owner
            allowed += sum(self.told[net.inode]["drop"] - lab.moved(kind)["drop"] for kind, net in lab.nets.items())
        if self.ownerless > allowed:
            self.problem(f"{self.ownerless} refused packets without a tuple, {allowed:.0f} allowed, {self.bound} runs skipped")
        for group in () if self.moving else self.groups():
            refused = self.refused_of(group)
            seen = sum(self.seen[index][kind] for index in group for kind in REFUSED)
            names = ", ".join(self.lab.senders[index].name for index in group)
            if seen > refused or refused - seen > self.ownerless:
                self.problem(f"{names}: {refused} refused, {seen} seen")
        for index, sender in enumerate(self.lab.senders):
            self.check_owners(sender, self.owners[index], sum(self.seen[index].values()))

    def check_owners(self, sender, owners, seen):
        wanted = sender.owner or promised(self.lab, sender)
        # What is left of an evicted flow is its tuple: the port of a socket that is not connected proves nothing.
        good = owners["own"] + owners["unconnected"] + (owners["pod"] if wanted == "pod" else 0)
        least = self.owned * seen
        if wanted == "own":  # what ksoftirqd handled, no more than it had time for, may have lost its socket: its pod
            excused = min(owners["pod"], self.deferred, max(0, math.ceil(least - good)))
            self.deferred -= excused
            good += excused
        if wanted != "any" and good < least:
            self.problem(f"{sender.name}: of {seen} only {good} with the right {wanted}: {dict(owners)}")
        if owners["proc"] < sender.process * seen:
            self.problem(f"{sender.name}: of {seen} only {owners['proc']} with the process")

    def owners_of_all(self):
        return [dict(self.owners[index]) for index in range(len(self.lab.senders))]

    def check_evicted(self, real, late=False):
        """`real`: how many entries of each sender are gone, by the table itself. `late`: the hooks came meanwhile.

        A run that the kernel skips, as it interrupts another program, costs the owner: the counter tells of that entry.
        Once early_drop() was asked for, gc_worker() (net/netfilter/nf_conntrack_core.c) also ends entries that are not
        assured, while the table is over 95 % full; no counter has those.
        """
        collected = sum(real) - self.evicted
        if collected < 0:
            self.problem(f"{sum(real)} entries are gone, early_drop moved by {self.evicted}")
        elif collected:
            self.lab.note(f"{collected} more are gone than early_drop has counted: gc_worker's")
        if not self.lab.trace:
            return
        blind = self.lab.trace.tiers.get("evictions", "none").split()[0] not in ("fentry", "kprobe")
        for index, sender in enumerate(self.lab.senders):
            seen = self.seen[index]["conntrack_evicted"]
            least = 0 if blind or late else 0.9 * real[index] - 3 - collected
            if not least <= seen <= (0 if blind and not late else real[index]):
                self.problem(f"{sender.name}: {real[index]} entries evicted, {seen} seen")

    # What is shown

    def result(self):
        lab = self.lab
        rows = []
        for group in self.groups():
            names = "+".join(lab.senders[index].name for index in group)
            entered = sum(lab.senders[index].entered for index in group)
            seen = sum(self.seen[index][kind] for index in group for kind in REFUSED)
            owners = sum((self.owners[index] for index in group), collections.Counter())
            seen = seen if lab.trace else self.refused_of(group)
            row = {"client": names, "attempts": entered, "real": self.refused_of(group), "seen": seen}
            rows.append(row | {"owners": dict(owners)})
        real = sum(self.died(kind) for kind in lab.nets) + self.evicted + self.elsewhere
        if self.moving and lab.trace:
            real = sum(entry["drop"] + entry["early_drop"] for entry in self.told.values())
        seen = sum(self.by_type.values()) - self.foreign
        if lab.trace:
            seen += sum(self.summary.get("undecided", {}).get(kind, 0) for kind in TYPES)
        problems = [f"{text} ({count} times)" if count > 1 else text for text, count in self.problems.items()]
        return {
            "tiers": lab.trace.tiers if lab.trace else {},
            "clients": rows,
            "skipped": [],
            "attempts": sum(row["attempts"] for row in rows),
            "real": real,
            "seen": seen if lab.trace else real,
            "exact": self.exact,
            "bound": self.bound,
            "lines": self.lines,
            "notes": lab.notes,
            "moved": {kind: {n: v for n, v in lab.moved(kind).items() if v} for kind in lab.nets},
            "problems": problems,
        }
