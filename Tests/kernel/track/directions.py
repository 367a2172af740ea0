"""Every entry: forwarded, local out, local in, a pod's own table, the loopback, zones, protocols without ports."""

from robust.lab import case

from .judge import Judge
from .lab import OUTER4, OUTER6
from .senders import Sender
from .snat import AGE, hold_all

STRANGER4, STRANGER6 = "203.0.113.77", "2001:db8:113::77"  # addresses of nobody on this machine


def stranger(family):
    return ("--from", STRANGER4 if family == 4 else STRANGER6)


@case
def inbound(lab):
    """From elsewhere to the node itself and to a pod."""
    lab.build("p1")
    lab.nets["outside"].ip(f"route add local {STRANGER4} dev lo\n")  # before v5.14 raw sockets cannot bind to others
    pod = lab.pods["p1"]
    senders = []
    for proto in ("udp", "tcp", "icmp"):
        for family in (4, 6):
            common = {"options": stranger(family), "direction": "inbound", "enters": ("node", "pre")}
            port = {"udp": 700, "tcp": 800, "icmp": 0}[proto]
            to_node, to_pod = (OUTER4, pod.v4) if family == 4 else (OUTER6, pod.v6)
            node = {"to": to_node, "port": port, "leaves": ("node", "in")}
            senders.append(Sender(f"node-{proto}{family}", "outside", proto, family, **common, **node))
            senders.append(
                Sender(
                    f"pod-{proto}{family}", "outside", proto, family, **common,
                    to=to_pod, port=port and port + 1, leaves=("p1", "pre"),
                )  # fmt: skip
            )
    lab.refuse(*senders)
    return Judge(lab)


@case
def own_table(lab):
    """A pod that tracks in its own namespace: its own table is full, and the node's beside it."""
    lab.build("p1", "p2")
    senders = [
        Sender("udp", "p1", table="p1"),
        Sender("tcp6", "p1", "tcp", 6, options=("--hold",), table="p1"),
        Sender("icmp", "p1", "icmp", table="p1"),
        Sender("by-node", "p2"),
    ]
    lab.refuse(*senders, tables=("node", "p1"), linger=1.5)
    return Judge(lab)


@case
def loopback(lab):
    """From the node to itself."""
    lab.build("p1")
    common = {"table": "node", "leaves": ("node", "in")}
    own = {4: OUTER4, 6: OUTER6}
    senders = [
        Sender(f"{proto}{family}", "node", proto, family, to=own[family], port=port, **common)
        for proto, port in (("udp", 700), ("tcp", 701), ("icmp", 0))
        for family in (4, 6)
    ]
    lab.refuse(*senders)
    return Judge(lab)


@case
def zones(lab):
    """Conntrack zones, set by nft and by iptables: the table is full, then a NAT range is spent in a zone."""
    lab.build("p1", "p2")
    node = lab.nets["node"]
    ports = range(43000, 43004)
    node.nft(
        "table inet zones {\nchain pre {\ntype filter hook prerouting priority -290;\n"
        "iifname to-p1 ct zone set 7\n}\n}\n"
        "table ip ranges {\nchain post {\ntype nat hook postrouting priority 100;\n"
        f"oifname out udp dport 900 masquerade to :{ports[0]}-{ports[-1]}\n}}\n}}\n"
    )
    node.run("iptables", *"-t raw -A PREROUTING -i to-p2 -j CT --zone 9".split())
    spent = {"port": 900, "types": ("snat_exhausted",), "nat": ((OUTER4,), ports)}
    senders = [
        Sender("zone-7", "p1", to="198.51.100.77", zone=7, **spent),
        Sender("zone-9", "p2", to="198.51.100.99", zone=9, **spent),
    ]
    lab.track()
    lab.count(*senders)
    hold_all(lab, [(sender, len(ports)) for sender in senders], AGE)
    lab.attach()
    lab.send(*senders)
    lab.detach()
    return Judge(lab)


@case
def zones_full(lab):
    """The zone of a packet that finds the table full is not known."""
    lab.build("p1")
    lab.nets["node"].nft(
        "table inet zones {\nchain pre {\ntype filter hook prerouting priority -290;\n"
        "iifname to-p1 ct zone set 7\n}\n}\n"
    )
    senders = [Sender("zone-7", "p1"), Sender("zone-7-tcp6", "p1", "tcp", 6, options=("--hold",))]
    lab.refuse(*senders, linger=1.5)
    return Judge(lab)


def others():
    return [
        Sender(f"{place}-{proto}", place, proto, family)
        for place in ("p1", "node")
        for proto, family in (("sctp", 4), ("sctp", 6), ("gre", 4), ("253", 4), ("253", 6))
    ]


@case
def protocols(lab):
    """SCTP, GRE and a protocol without a name."""
    senders = others()
    for sender in senders:
        sender.name += str(sender.family)
    lab.build("p1")
    lab.refuse(*senders)
    return Judge(lab)
