"""Packets that rules drop beside those that conntrack refuses: none of them may be named in another's place."""

import pathlib
import sys
import time

from robust.lab import await_that, case

from .judge import Judge
from .lab import OUTER4
from .queue import Queue
from .races import place
from .senders import Sender
from .snat import AGE, TEN, hold_all

NOISE = pathlib.Path(__file__).with_name("noise.py")
NOBODY = "198.51.100.250"  # of none of the clients whose packets are counted
RULES = """table inet rules {
chain input {
type filter hook input priority 10; ct state invalid drop;
}
chain forward {
type filter hook forward priority 10; ct state invalid drop; udp dport 9 drop;
}
}
"""
RANGE = "table ip ranges {{\nchain post {{\ntype nat hook postrouting priority 100; udp dport 5000 {};\n}}\n}}\n"


def spread(lab, pod):
    """What comes from a pod is handled on every CPU, in interrupts: also in the midst of what others send there."""
    lab.nets["node"].run("sh", "-c", f"echo 3 >/sys/class/net/to-{pod}/queues/rx-0/rps_cpus")


@case
def innocent_full(lab):
    """A full table, and packets that conntrack calls invalid and a rule drops."""
    lab.build("p1", "p2", "noisy")
    lab.track()
    node = lab.nets["node"]
    node.nft(RULES)
    spread(lab, "noisy")
    senders = [
        Sender("node-1", "node", options=("--one",)),
        Sender("node-2", "node", family=6),
        Sender("p1-1", "p1", owner="pod"),
        Sender("p2-1", "p2", family=6, owner="pod", options=("--one",)),
    ]
    node.count("noise", "pre", f"ip daddr {NOBODY}")
    lab.count(*senders)
    lab.fill_up()
    lab.attach()
    pod = lab.pods["noisy"]
    noise = lab.spawn([sys.executable, NOISE, "invalid", NOBODY], pod.net, pod.cgroup("app"))
    lab.send(*senders, total=3 * lab.options.count)
    noise.kill()
    lab.detach()
    judge = Judge(lab, unowned=0.001)
    innocents = node.packets()["noise"]
    lab.note(f"{innocents} invalid packets beside them; {judge.ownerless} of {judge.refused} without an owner")
    if innocents < lab.options.count:
        judge.problem(f"only {innocents} invalid packets")
    return judge


@case
def innocent_queued(lab):
    """The same where the refused packets come back from user space: since v5.17 nothing says that conntrack has refused
    them, so they are counted without a name."""
    lab.build("p1", "noisy")
    lab.track()
    node = lab.nets["node"]
    node.nft(RULES)
    early = "type filter hook prerouting priority -310; iifname to-p1 udp dport 1000 queue num 0"
    place(node, f"table inet early {{\nchain pre {{\n{early}\n}}\n}}\n")
    queue = Queue(node)
    lab.stack.callback(queue.close)
    spread(lab, "noisy")
    sender = Sender("queued", "p1", owner="pod", port=1000)
    lab.count(sender)
    lab.fill_up()
    lab.attach()
    pod = lab.pods["noisy"]
    noise = lab.spawn([sys.executable, NOISE, "invalid", NOBODY], pod.net, pod.cgroup("app"))
    lab.send(sender)
    await_that(lambda: not queue.waiting(), "the queue to be empty")
    time.sleep(0.5)
    noise.kill()
    lab.detach()
    judge = Judge(lab, unowned=1)
    lab.note(f"{judge.ownerless} of {judge.refused} without an owner")
    return judge


@case
def innocent_snat(lab):
    """A spent range, and new packets that a rule of forward drops: they have an entry that is not in the table."""
    lab.build("p1", "p2", "noisy")
    lab.track()
    node = lab.nets["node"]
    node.nft(RULES)
    node.nft(RANGE.format(f"masquerade to :{TEN[0]}-{TEN[-1]}"))
    spread(lab, "noisy")
    to = {"to": "198.51.100.100", "port": 5000, "types": ("snat_exhausted",), "nat": ((OUTER4,), TEN)}
    senders = [
        Sender("node-1", "node", options=("--source", "20000", "--sources", "20000"), **to),
        Sender("p1-1", "p1", options=("--hold",), **to),
        Sender("p2-1", "p2", options=("--hold",), **to),
    ]
    lab.count(*senders)
    hold_all(lab, [(senders[1], len(TEN))], AGE)
    innocents = Sender("noise", "noisy", options=("--one",), count=3 * lab.options.count, to=NOBODY, port=9)
    lab.attach()
    crowd = lab.crowd(*senders)
    beside = lab.crowd(innocents)
    beside.start()
    crowd.start()
    crowd.outcomes()
    beside.outcomes()
    lab.detach()
    judge = Judge(lab, unowned=0.001)
    lab.note(f"{innocents.sent} innocents; {judge.ownerless} of {judge.refused} without an owner")
    return judge


@case
def paged(lab):
    """Packets whose ports lie in pages, where a program cannot read them: they are told without ports."""
    sender = Sender("paged", "p1", owner="pod")
    lab.build("p1")
    lab.track()
    lab.count(sender)
    port, sender.port = sender.port, 0
    lab.fill_up()
    lab.attach()
    pod = lab.pods["p1"]
    mac = lab.nets["node"].run("cat", "/sys/class/net/to-p1/address").strip()
    arguments = ["pages", "eth0", mac, pod.v4, sender.to, port, lab.options.count]
    lab.spawn([sys.executable, NOISE, *arguments], pod.net, pod.cgroup("app"))
    lab.detach()
    judge = Judge(lab)
    if judge.refused < lab.options.count:
        judge.problem(f"{judge.refused} of {lab.options.count} came to be refused")
    return judge
