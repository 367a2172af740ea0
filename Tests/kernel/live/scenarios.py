"""Nodes at rest, under load, out of ports; and what each filter leaves."""

import itertools
import time

from ports.lab import Truth
from robust.lab import await_that, case, check
from staged.nat import PORT as NAT_PORT
from staged.nat import TO, mappings, masquerade
from staged.stage import FAR, PORT, hold, refused
from staged.workers import await_sockets

from .lab import LiveJudge, Top

LOW, HIGH = 20000, 20199
NAT_LOW, NAT_HIGH = 40000, 40009
BOUND = [20010, 20011, 20012]


def furnish(lab, *pods, high=HIGH):
    """Pods with a small range behind a node that tracks connections, and a server outside."""
    lab.build(*pods)
    lab.track()
    for pod in pods:
        lab.range(pod, LOW, high)
    lab.far(PORT)


def entry_count(lab):
    """By conntrack's own listing, not by the figure that it keeps."""
    return len(lab.nets["node"].entries())


def usable(high=HIGH):
    return set(range(LOW, high + 1))


@case
def quiet(lab):
    """Every kind of resource, and nothing moves: all figures equal ss's and conntrack's."""
    furnish(lab, "p1", "p2")
    masquerade(lab, NAT_LOW, NAT_HIGH)
    hog, other = lab.worker("hog", "p1"), lab.worker("other", "p1")
    closer, sender = lab.worker("closer", "p2"), lab.worker("sender", "p2")
    other.all("ok", "bind", "0.0.0.0", BOUND, proto="udp")
    other.all("ok", "bind", "0.0.0.0", BOUND[:2])
    hold(hog, 120)
    other.all("ok", "connect", FAR, PORT, count=30)
    top, judge = lab.top(), LiveJudge(lab)
    closer.all("ok", "connect", FAR, PORT, count=40, keep=False)
    sender.all("ok", "send", TO, NAT_PORT, count=7, keep=True)
    pods = [lab.nets[name] for name in ("p1", "p2")]
    await_that(lambda: all(Truth(net).is_settled for net in pods), "rest")
    await_sockets(lab.nets["p2"], 40, "state", "time-wait")
    top.look()
    snapshot = top.settled()
    judge.line(snapshot)
    for net, bound in zip(pods, (set(BOUND[:2]), set())):
        truth = Truth(net)
        judge.same(snapshot.ports(net), dict(truth.ports(usable(), bound)), f"ports of {net.kind}")
        for row in snapshot.rows(net, "ports"):
            judge.same(row["resource"]["limit"], len(usable() - bound), f"limit of {row['resource']}")
        judge.same(snapshot.row(net, "time_wait")["resource"].get("used"), truth.time_wait(), f"TIME_WAIT of {net.kind}")
        udp = {port for _, port in truth.udp} & usable()
        judge.same(snapshot.row(net, "bind_ports", "udp")["resource"].get("used"), len(udp), f"UDP's ports of {net.kind}")
    table, node = snapshot.row(lab.nets["node"], "conntrack"), lab.nets["node"]
    judge.same(table["resource"].get("used"), int(node.run("conntrack", "-C")), "entries, and conntrack -C")
    judge.same(table["resource"].get("used"), entry_count(lab), "entries, and conntrack -L")
    judge.same(table["resource"].get("limit"), int(lab.limit.path.read_text()), "nf_conntrack_max")
    nat = snapshot.row(node, "snat", port=NAT_PORT)
    judge.same(nat["resource"].get("used"), mappings(lab), "mappings")
    judge.same(nat["resource"].get("limit"), NAT_HIGH - NAT_LOW + 1, "ports of the mapping")
    judge.held(snapshot.row(pods[0], "ports", port=PORT), hog, 120, "who has the ports")
    judge.held(snapshot.row(pods[0], "bind_ports", "udp"), other, len(BOUND), "who has bound ports")
    judge.held(snapshot.row(pods[1], "time_wait"), closer, 40, "who has closed")
    for row in itertools.chain.from_iterable(snapshot.rows(net) for net in lab.nets.values()):
        judge.same((row["failures_per_s"], row.get("eta_s")), (0, None), f"failures and time of {row['resource']}")
    shares = [
        row["resource"]["used"] / row["resource"]["limit"] for row in snapshot.line["rows"]
        if row["resource"].get("netns_id") in lab.inodes and row["resource"].get("limit")
    ]  # fmt: skip
    judge.same(shares, sorted(shares, reverse=True), "the nearest first")
    return judge
