"""Whose packets: senders that close at once, ports and addresses that several have."""

import time

from robust.lab import case

from .judge import Judge
from .lab import OUTER4
from .senders import Sender
from .snat import AGE, hold_all

NEARLY = 0.95  # of the failures of short-lived senders have their process
BYSTANDER_PORTS = 1200
FEWEST = 3000  # a share of 99 in 100 says something


@case
def udp_owners(lab):
    """Three containers of one pod: a socket, a datagram, closed; beside somebody who has the same ports elsewhere."""
    senders = [
        Sender(f"short-{name}", "p1", container=name, process=NEARLY, options=sources(30000 + 400 * number))
        for number, name in enumerate("abc")
    ]
    lab.build("p1")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    bystander(lab)
    lab.attach()
    lab.send(*senders, total=max(FEWEST, lab.options.count * 3 // 5))
    lab.detach()
    return told(lab)


@case
def udp6_owners(lab):
    """The same over IPv6, and connected sockets."""
    senders = [
        Sender("short6", "p1", family=6, container="a", process=NEARLY),
        Sender("connected", "p1", container="b", process=NEARLY, options=("--connect",)),
        Sender("connected6", "p1", family=6, container="c", process=NEARLY, options=("--connect",)),
    ]
    lab.build("p1")
    lab.refuse(*senders, total=max(FEWEST, lab.options.count * 3 // 5))
    return told(lab)


def sources(first):
    return ("--source", str(first), "--sources", "300")


def bystander(lab):
    """Wildcard sockets with the senders' ports in a namespace of its own, and a process that never rests there."""
    net = lab.net("bystander")
    cgroup = lab.make_cgroup("bystander.slice")
    lab.spawn([lab.folder / "flows", "listen", "0.0.0.0", f"30000-{30000 + BYSTANDER_PORTS}"], net, cgroup)
    busy = [lab.folder / "flows", "--one", "--seconds", "600", "udp", "127.0.0.1", "9"]
    lab.spawn(busy, net, cgroup)


def told(lab):
    judge = Judge(lab, unowned=0.001)
    for sender, owners in zip(lab.senders, judge.owners_of_all()):
        lab.note(f"{sender.name}: {owners}" if lab.trace else "")
    return judge


@case
def same_port(lab):
    """Two pods with the same source port at once."""
    senders = [Sender(f"same-{pod}", pod, options=("--source", "7777"), process=NEARLY) for pod in ("p1", "p2")]
    lab.build("p1", "p2")
    lab.refuse(*senders)
    return told(lab)


@case
def reuse_port(lab):
    """Sockets of one port: in two containers nobody can say whose it was, unless it is connected; the pod's UID stays."""
    shared = ("--one", "--reuse-port", "--source")
    senders = [
        Sender("two-a", "p1", options=(*shared, "7001"), container="a", owner="pod"),
        Sender("two-b", "p1", options=(*shared, "7001"), container="b", owner="pod"),
        Sender("one-1", "p1", options=(*shared, "7002"), container="c"),
        Sender("one-2", "p1", options=(*shared, "7002"), container="c"),
        Sender("connected-a", "p2", options=("--connect", *shared, "7003"), container="a"),
        Sender("connected-b", "p2", options=("--connect", *shared, "7003"), container="b"),
    ]
    lab.build("p1", "p2")
    lab.refuse(*senders)
    judge = told(lab)
    for sender, owners in zip(senders, judge.owners_of_all()):
        if owners.get("uid", 0) < owners.get("pod", 0):
            judge.problem(f"{sender.name}: of {owners['pod']} with the pod alone {owners.get('uid', 0)} with its UID")
    return judge


@case
def taken_address(lab):
    """A pod gets the address that another one has, and sends at once: its link tells whose packets they are."""
    lab.build("p1", "p2")
    lab.track()
    old, new = lab.pods["p1"], lab.pods["p2"]
    new.v4 = old.v4
    sender = Sender("taker", "p2")
    lab.count(sender)
    lab.fill_up()
    lab.attach()
    time.sleep(1.5)  # porttrace knows the first one's address
    crowd = lab.crowd(sender)
    new.net.ip(
        f"addr flush dev eth0 scope global\naddr add {new.v4}/32 dev eth0\n"
        f"route add {new.gateway4} dev eth0\nroute add default via {new.gateway4}\n"
    )
    crowd.start()
    crowd.outcomes()
    lab.detach()
    judge = told(lab)
    owned = judge.owners_of_all()[0].get("own", 0)
    if owned < NEARLY * judge.refused:
        judge.problem(f"{owned} of {judge.refused} with the one that sent them")
    return judge


@case
def same_address(lab):
    """Pods that have one address: at two nodes of this machine, and behind two links of one node, in zones."""
    senders = [
        Sender("first", "p1"),
        Sender("other-node", "q1", table="node2", leaves=("outside2", "pre")),
        Sender("other-link", "z1"),
        Sender("first-tcp", "p1", "tcp", options=("--hold",)),
        Sender("other-tcp", "q1", "tcp", options=("--hold",), table="node2", leaves=("outside2", "pre"), owner="pod"),
    ]
    lab.build("p1")
    lab.add_pod("z1", 1)
    lab.pods["z1"].start()
    lab.build("q1", node="node2", outside="outside2")
    lab.nets["node"].nft(
        "table inet zones {\nchain pre {\ntype filter hook prerouting priority -290;\n"
        "iifname to-z1 ct zone set 7\n}\n}\n"
    )
    lab.refuse(*senders, tables=("node", "node2"), linger=1.5)
    return told(lab)


@case
def same_address_snat(lab):
    """The same, when a NAT range is spent: the device that the packet came by tells the pod."""
    ports = range(45000, 45004)
    spent = {"port": 910, "options": ("--hold",), "types": ("snat_exhausted",), "nat": ((OUTER4,), ports)}
    senders = [
        Sender("first", "p1", owner="pod", **spent),
        Sender("other-link", "z1", owner="pod", **spent),
    ]
    lab.build("p1")
    lab.add_pod("z1", 1)
    lab.pods["z1"].start()
    lab.track()
    lab.nets["node"].nft(
        "table ip ranges {\nchain post {\ntype nat hook postrouting priority 100;\n"
        f"oifname out udp dport 910 masquerade to :{ports[0]}-{ports[-1]}\n}}\n}}\n"
    )
    lab.count(*senders)
    hold_all(lab, [(sender, len(ports)) for sender in senders], AGE)
    lab.attach()
    lab.send(*senders).close()
    lab.detach()
    return told(lab)


@case
def rps(lab):
    """Packets that another CPU handles: the sender is not what runs there."""
    slowly = ("--cpu", "0", "--pause-us", "100")  # the other CPU's queue is short
    senders = [
        Sender("short", "p1", options=slowly, owner="pod"),
        Sender("held", "p1", options=("--hold", *slowly), container="b"),
        Sender("tcp", "p1", "tcp", options=("--hold", *slowly), container="c"),
        Sender("icmp", "p1", "icmp", options=slowly, container="c"),
    ]
    lab.build("p1")
    lab.nets["node"].run("sh", "-c", "echo 2 >/sys/class/net/to-p1/queues/rx-0/rps_cpus")
    lab.refuse(*senders, linger=1.5)
    return told(lab)


@case
def held_by_mount(lab):
    """A namespace without any process of its own: the senders end before their failures are told."""
    lab.build("p1", "p2")
    senders = [Sender("last", "p1", options=("--one",), owner="pod"), Sender("other", "p2", options=("--one",))]
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    for pod in lab.pods.values():
        pod.stop()
    lab.attach("--interval", "3s")
    lab.send(*senders)
    lab.detach()
    return told(lab)
