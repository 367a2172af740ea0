"""A full table whose entries may go: each new flow evicts one, whose sender is told."""

import collections
import re

from robust.lab import Skip, case

from .judge import Judge
from .net import NETFILTER
from .senders import Sender

BUCKETS = NETFILTER / "nf_conntrack_buckets"
ENTRY = re.compile(r"src=(\S+) dst=(\S+)(?: sport=(\d+) dport=(\d+))?")
DENSE = 32_000  # entries that a table of the usual size needs so that eight buckets hold one that can go


def set_buckets(lab, number):
    """The whole machine's, so in a guest only."""
    former = BUCKETS.read_text()
    BUCKETS.write_text(str(number))
    lab.stack.callback(BUCKETS.write_text, former)


def entries_of(lab):
    """How many entries each sender has in the node's table."""
    found = collections.Counter()
    for family in ("ipv4", "ipv6"):
        for line in lab.nets["node"].entries("-f", family):
            if match := ENTRY.search(line):
                found[match[2], int(match[4] or 0)] += 1
    return [found[sender.to, sender.port] for sender in lab.senders]


@case
def evict(lab):
    """UDP flows of two pods that nobody answers, then SYNs of a third."""
    senders = [
        Sender("held-1", "p1", options=("--hold", "--connect")),
        Sender("held-2", "p2", options=("--hold",), owner="pod"),  # its port alone proves nothing
        Sender("held-6", "p2", family=6, options=("--hold", "--connect"), container="other"),
        Sender("gone", "p1", container="other", owner="pod"),
    ]
    flood = Sender("flood", "p3", "tcp", owner="pod")  # its sockets are closed at once
    lab.build("p1", "p2", "p3")
    lab.track()
    lab.count(*senders, flood)
    entries = max(DENSE, lab.options.count) if lab.native else lab.options.count
    if not lab.native:
        set_buckets(lab, max(512, entries // 2))
    lab.send(*senders, total=entries)
    before = entries_of(lab)
    lab.set_limit(sum(before))
    lab.attach()
    lab.send(flood, total=lab.options.count // 2)
    lab.detach()
    gone = [
        had + (sender.arrived if sender is flood else 0) - has
        for sender, had, has in zip(lab.senders, before, entries_of(lab))
    ]
    judge = Judge(lab)
    judge.check_evicted(gone)
    lab.note(f"{sum(gone)} evicted of {sum(before)}, {judge.refused} refused")
    if not sum(gone):
        raise Skip("nothing was evicted")
    return judge
