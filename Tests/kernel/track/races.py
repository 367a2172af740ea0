"""Packets that lose a race: no range is spent, yet one of two dies."""

import os
import time

from robust.lab import Skip, await_that, case

from .judge import Judge
from .queue import Queue
from .senders import Sender

RACE = ("conntrack_insert_failed",)
TICK_US = 300
ROUNDS = 10
# Rules that fit nothing, after the NAT has chosen a port and before the entry is inserted: they make races likely.
DELAY = "".join(f"ip daddr 192.0.2.{number} counter\nip6 daddr 2001:db9::{number} counter\n" for number in range(250))


def pairs(senders):
    """Each alone, or with whom it collides: two CPUs are all that is needed."""
    return [[s for s in senders if (s.to, s.port) == key] for key in dict.fromkeys((s.to, s.port) for s in senders)]


def place(node, rules):
    try:
        node.nft(rules)
    except RuntimeError as error:
        if "queue" not in rules:
            raise
        raise Skip(f"no packet queue here: {error}") from None


def raced(lab, senders, rules, delay=DELAY, at_once=False, sysctls=()):
    """Sends pair by pair; `delay`: what comes between the choice of a port and the insertion."""
    if os.cpu_count() < 2:
        raise Skip("two CPUs are needed")
    lab.build("p1", "p2")
    lab.track()
    rules = "\n".join(rules)
    node = lab.nets["node"]
    for name, value in sysctls:
        node.sysctl(f"net/netfilter/nf_conntrack_{name}", value)
    place(
        node,
        "table inet races {\n"
        f"chain post {{\ntype nat hook postrouting priority 100;\n{rules}\n}}\n"
        f"chain delay {{\ntype filter hook postrouting priority 200;\n{delay}\n}}\n}}\n"
    )
    if at_once:
        queue = Queue(node)
        lab.stack.callback(queue.close)
    lab.count(*senders)
    lab.attach()
    for pair in [senders] if at_once else pairs(senders):
        crowd = lab.send(*pair, total=lab.options.count / len(senders) * len(pair))
        if at_once:
            await_that(lambda: not queue.waiting(), "the queue to be empty")
        crowd.close()
    lab.detach()
    judge = Judge(lab)
    moved = lab.moved("node")
    lab.note(f"{moved['insert_failed']} of {judge.attempts} lost, {moved['clash_resolve']} resolved")
    if not moved["insert_failed"] and not judge.problems:
        raise Skip(f"none of {judge.attempts} packets lost a race here")
    if judge.by_type["snat_exhausted"]:
        judge.problem(f"{judge.by_type['snat_exhausted']} races are called exhaustion")
    return judge


@case
def race_flow(lab):
    """Two threads send on one unconnected socket at the same moment, as a resolver asks for A and AAAA."""
    senders = [
        Sender("plain", "p1", options=("--together",), port=53, to="198.51.100.53", types=RACE),
        Sender("random", "p2", options=("--together",), port=54, to="198.51.100.54", types=RACE),
        Sender("random6", "p1", family=6, options=("--together",), port=54, to="2001:db8:51::54", types=RACE),
    ]
    senders += [
        Sender("icmp", "p1", "icmp", options=("--together",), types=RACE),
        Sender("sctp", "p2", "sctp", options=("--together",), types=RACE),
    ]
    rules = [
        "oifname out udp dport 53 masquerade",
        "oifname out udp dport 54 masquerade fully-random",
        "oifname out meta l4proto { icmp, sctp } masquerade",
    ]
    return raced(lab, senders, rules)


@case
def race_queued(lab):
    """Packets that are held together before their entries are inserted: each second one is lost for certain."""
    senders = [
        *(queued(sender) for sender in (*colliding("udp", 4, 60), *colliding("udp", 6, 61), *colliding("tcp", 4, 62))),
        # On their way back from the queue the later ones find the entry (nf_conntrack_update()): nothing is lost.
        Sender("same-udp", "p2", options=("--together",), types=RACE),
        Sender("same-icmp", "p1", "icmp", options=("--together",), types=RACE),
    ]
    rules = ["oifname out masquerade"]
    judge = raced(lab, senders, rules, "ct state new queue num 0", at_once=True)
    for sender in senders[:6:2]:
        lost = judge.refused_of(judge.group_of(sender))
        if lost < sender.entered / 2:
            judge.problem(f"{sender.name}: {lost} lost, {sender.entered} were meant to")
    return judge


def queued(sender):
    """Without a common clock, and with sockets that stay until the packet goes on."""
    sender.options, sender.owner = ("--source", "20000", "--sources", "30000", "--hold"), "own"
    return sender


@case
def race_unspent(lab):
    """Two flows choose one of the last two ports of a range whose others are held, side by side: it is not spent yet."""
    ports = range(40000, 40010)
    to = {"to": "198.51.100.64", "port": 64}
    senders = [Sender(f"last-{pod}", pod, owner="pod", types=RACE, **to) for pod in ("p1", "p2")]
    lab.build("p1", "p2")
    lab.track()
    node = lab.nets["node"]
    place(
        node,
        "table inet races {\nchain post {\ntype nat hook postrouting priority 100;\n"
        f"oifname out udp dport 64 masquerade to :{ports[0]}-{ports[-1]}\n}}\n"
        "chain delay {\ntype filter hook postrouting priority 200;\nct state new queue num 0\n}\n}\n",
    )
    queue = Queue(node)
    lab.stack.callback(queue.close)
    lab.count(*senders)
    options = ("--source", str(ports[0]), "--sources", str(len(ports)))
    lab.send(Sender("holder", "p1", options=options, count=len(ports) - 2, container="holder", **to))
    await_that(lambda: not queue.waiting(), "the queue to be empty")
    lab.attach()
    for _ in range(ROUNDS):
        lab.send(*senders, total=2)
        await_that(lambda: not queue.waiting(), "the queue to be empty")
        time.sleep(0.5)  # porttrace looks at the table
        for port in ports[-2:]:
            node.run("sh", "-c", f"conntrack -D -p udp --reply-port-dst {port} 2>&1 || true")
    lab.detach()
    judge = Judge(lab)
    lab.note(f"{judge.refused} of {judge.attempts} lost")
    if not judge.refused and not judge.problems:
        raise Skip(f"none of {judge.attempts} packets lost a race here")
    return judge


def colliding(proto, family, port):
    """Two pods, the same source port, the same destination, the same moment."""
    to = f"198.51.100.{port % 256}" if family == 4 else f"2001:db8:51::{port:x}"
    options = ("--tick-us", str(TICK_US), "--source", "20000", "--sources", "30000", "--cpu")
    if proto == "udp":
        options = ("--hold", *options)
    owner = "own" if proto == "udp" else "pod"  # a SYN's socket is closed at once
    return [
        Sender(f"{proto}{family}-{pod}", pod, proto, family, (*options, cpu), 0, 1, "app", to, port, owner, types=RACE)
        for pod, cpu in (("p1", "0"), ("p2", "1"))
    ]


@case
def race_port(lab):
    """Two flows choose one port in the same moment."""
    senders = [*colliding("udp", 4, 60)]
    return raced(lab, senders, ["oifname out masquerade"])


@case
def race_port6(lab):
    return raced(lab, colliding("udp", 6, 61), ["oifname out masquerade"])


@case
def race_port_tcp(lab):
    return raced(lab, colliding("tcp", 4, 62), ["oifname out masquerade"])


@case
def race_port_timeout(lab):
    """The same where an entry's timeout tells nothing of its age: the kernel takes the lowest of several for a SYN."""
    sysctls = (("tcp_timeout_syn_sent", 3600), ("tcp_timeout_max_retrans", 300))
    return raced(lab, colliding("tcp", 4, 63), ["oifname out masquerade"], sysctls=sysctls)
