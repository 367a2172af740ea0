"""The table is full: every new flow is refused, whoever opens it and by whatever protocol."""

from robust.lab import case

from .judge import Judge
from .senders import Sender

LINGER = 2.5  # seconds in which TCP sends some SYNs again


def everyone(*places):
    """A client for each place, protocol and family."""
    return [
        Sender(
            f"{place}-{proto}{family}",
            place,
            proto,
            family,
            options=() if proto == "icmp" else ("--hold",),
        )
        for place in places
        for proto in ("tcp", "udp", "icmp")
        for family in (4, 6)
    ]


@case
def full(lab):
    """Two pods and a process of the node."""
    return refused(lab, everyone("p1", "p2", "node"), room=6)


@case
def full_bridge(lab):
    """The same with pods behind a bridge."""
    return refused(lab, everyone("b1", "b2"), bridged=("b1", "b2"))


def refused(lab, senders, room=0, bridged=()):
    lab.build(*(() if bridged else ("p1", "p2")), bridged=bridged)
    lab.track()
    lab.count(*senders)
    lab.fill_up(room)
    lab.attach()
    lab.send(*senders, linger=LINGER).close()
    lab.detach()
    return Judge(lab)


@case
def full6(lab):
    """Six senders at once on two CPUs, three of them on the node itself; some have a new socket for each packet."""
    lab.build("p1", "p2")
    lab.track()
    senders = [
        Sender("node-1", "node", options=("--one",)),
        Sender("node-2", "node", family=6, options=("--one",)),
        Sender("node-3", "node", container="other"),
        Sender("p1-1", "p1", owner="pod"),
        Sender("p2-1", "p2", family=6, owner="pod"),
        Sender("p2-2", "p2", container="other", options=("--one",)),
    ]
    lab.count(*senders)
    lab.fill_up()
    lab.attach()
    lab.send(*senders, total=3 * lab.options.count)
    lab.detach()
    judge = Judge(lab, unowned=0.001)
    lab.note(f"{judge.ownerless} of {judge.refused} without an owner" if lab.trace else "")
    return judge
