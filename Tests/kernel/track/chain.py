"""A hash table so small that its chains grow too long. Before v5.16 the kernel lets them grow."""

from robust.lab import Skip, case

from .evict import set_buckets
from .judge import Judge
from .senders import Sender

SMALLEST = 512  # buckets: the kernel takes a page at least
ENTRIES = 16_000  # each stands in two chains; a chain may be 50 to 130 long, drawn anew for each entry


@case
def chain(lab):
    if lab.native:
        raise Skip("the hash table is the whole machine's: in guests only")
    types = ("conntrack_insert_failed",)
    filler = Sender("filler", "node", count=ENTRIES, types=types)
    senders = [
        Sender("udp", "p1", types=types),
        Sender("tcp", "p1", "tcp", options=("--hold",), types=types),
        Sender("udp6", "p1", family=6, types=types),
        Sender("node", "node", types=types),
        Sender("icmp", "node", "icmp", types=types),
    ]
    lab.build("p1")
    lab.track()
    set_buckets(lab, SMALLEST)
    lab.count(filler, *senders)
    lab.send(filler)
    lab.attach()
    lab.send(*senders, linger=2.5).close()
    lab.detach()
    if not lab.moved("node")["insert_failed"]:
        raise Skip("no chain became too long here")
    judge = Judge(lab)
    lab.note(f"{lab.moved('node')['chaintoolong']} of {judge.attempts} found a chain too long")
    return judge
