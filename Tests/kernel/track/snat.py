"""A NAT range is spent: who held it does not matter, every further flow dies."""

import time

from robust.lab import case, check

from .judge import Judge
from .lab import OUTER4, OUTER6
from .senders import Sender

AGE = 3  # seconds after which a holder is surely older than whoever clashes with it
HALF_HELD = 0.05  # of the failures of a range that fills meanwhile may be called races
POOL = ("203.0.113.10", "203.0.113.11", "203.0.113.12")
TAGGED = "table %s nat {\nchain post {\ntype nat hook postrouting priority 100;\n%s\n}\n}\n"


class Range:
    """A NAT rule for one destination port, and the addresses and ports that it gives."""

    def __init__(self, name, rule, ports, proto="udp", family=4, addresses=(), pods=("p1",)):
        self.name, self.rule, self.ports, self.proto, self.family = name, rule, ports, proto, family
        self.addresses = addresses or ((OUTER4,) if family == 4 else (OUTER6,))
        self.pods = pods


def iptables(ports):
    return lambda family, proto, port: (
        "iptables" if family == 4 else "ip6tables",
        f"-t nat -A POSTROUTING -o out -p {proto} --dport {port} -j MASQUERADE --to-ports {ports[0]}-{ports[-1]}",
    )


def nft(statement):
    return lambda family, proto, port: ("nft", f"oifname out {proto} dport {port} {statement}")


def masquerade(ports, flags=""):
    return nft(f"masquerade to :{ports[0]}-{ports[-1]} {flags}")


TEN, FOUR = range(40000, 40010), range(41001, 41005)
RANGES = (
    Range("ipt-udp", iptables(TEN), TEN),
    Range("ipt-tcp", iptables(TEN), TEN, "tcp", pods=("p2",)),
    Range("ipt-udp6", iptables(TEN), TEN, family=6),
    Range("ipt-tcp6", iptables(TEN), TEN, "tcp", 6, pods=("p2",)),
    Range("nft-udp", masquerade(FOUR), FOUR, pods=("p2",)),
    Range("nft-tcp", masquerade(FOUR), FOUR, "tcp"),
    Range("random-udp", masquerade(FOUR, "random"), FOUR),
    Range("random-tcp", masquerade(FOUR, "random"), FOUR, "tcp"),
    Range("random-udp6", masquerade(FOUR, "random"), FOUR, family=6, pods=("p2",)),
    Range("full-random", masquerade(FOUR, "fully-random"), FOUR),
    Range("pool-udp", nft("snat ip to 203.0.113.10-203.0.113.12:42000-42003"), range(42000, 42004), addresses=POOL),
    Range(
        "pool-tcp", nft("snat ip to 203.0.113.10-203.0.113.12:42000-42003"), range(42000, 42004), "tcp", addresses=POOL
    ),
    Range("shared-udp", masquerade(TEN), TEN, pods=("p1", "p2")),
    Range("shared-tcp", iptables(TEN), TEN, "tcp", pods=("p1", "p2")),
)

def senders_of(one, index, options):
    """Its clients: one in each of its pods, all to the same destination."""
    to = f"198.51.100.{100 + index}" if one.family == 4 else f"2001:db8:51::{100 + index:x}"
    return [
        Sender(
            f"{one.name}-{pod}" if len(one.pods) > 1 else one.name,
            pod,
            one.proto,
            one.family,
            to=to,
            port=5000 + index,
            options=options,
            types=("snat_exhausted",),
            nat=(one.addresses, one.ports),
        )
        for pod in one.pods
    ]


def place_rules(lab, ranges):
    """All ranges' rules, by the program that each wants."""
    node = lab.nets["node"]
    statements = {4: [], 6: []}
    for index, one in enumerate(ranges):
        program, words = one.rule(one.family, one.proto, 5000 + index)
        if program == "nft":
            statements[one.family].append(words)
        else:
            node.run(program, *words.split())
    for family, table in ((4, "ip"), (6, "ip6")):
        if statements[family]:
            node.nft((TAGGED % (table, "\n".join(statements[family]))).replace("nat {", "ranges {"))


def prepare(lab, ranges):
    lab.build("p1", "p2")
    lab.track()
    place_rules(lab, ranges)
    lab.nets["outside"].ip("\n".join(f"route add {address}/32 via {OUTER4}" for address in POOL) + "\n")
    groups = [senders_of(one, index, ("--hold",)) for index, one in enumerate(ranges)]
    senders = [sender for group in groups for sender in group]
    lab.count(*senders)
    return groups, senders


def hold_all(lab, spent, age):
    """Somebody else takes all the ports of each (sender's range, size), for as long as the scenario; they get `age`."""
    holders = [
        Sender(
            f"hold-{sender.name}", sender.place, sender.proto, sender.family,
            ("--source", str(50000 + 100 * number), "--sources", "100"),
            count=size, container="holder", to=sender.to, port=sender.port,
        )  # fmt: skip
        for number, (sender, size) in enumerate(spent)
    ]
    lab.send(*holders)
    for sender, size in spent:
        node, family = lab.nets["node"], f"ipv{sender.family}"
        held = len(node.entries("-p", sender.proto, "-f", family, "--orig-dst", sender.to))
        check(held == size, f"{sender.name}: {held} of {size} ports held")
    time.sleep(age)


@case
def snat(lab):
    """Ranges that were spent before: iptables' and nft's masquerade, pools, shared ones, TCP and UDP, IPv4 and IPv6."""
    groups, senders = prepare(lab, RANGES)
    hold_all(lab, [(group[0], len(one.ports)) for one, group in zip(RANGES, groups)], AGE)
    lab.attach()
    lab.send(*senders, linger=2.5).close()
    lab.detach()
    return Judge(lab)


@case
def snat_fresh(lab):
    """Ranges that those who suffer fill themselves."""
    groups, senders = prepare(lab, RANGES)
    for sender in senders:
        sender.types += ("conntrack_insert_failed",)
    lab.attach()
    lab.send(*senders, total=max(lab.options.count, 3 * len(TEN) * len(senders)), linger=2.5).close()
    lab.detach()
    judge = Judge(lab)
    races = judge.by_type["conntrack_insert_failed"]
    if lab.trace:
        lab.note(f"{races} of {judge.refused} called races")
    if races > HALF_HELD * judge.refused:
        judge.problem(f"{races} of {judge.refused} failures of spent ranges are called races")
    return judge
