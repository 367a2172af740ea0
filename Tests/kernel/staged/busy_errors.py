"""Busy and well: errors of ordinary life, and counters that stand still."""

import time

from robust.lab import case, check, equal

from .busy_ports import WHOLE, well
from .stage import FAR, HIGH, LOW, PORT, hold, narrow_pod, refused
from .tables import NODE_TO, UDP_PORT, entries, fill_udp, tracked
from .waits import BUCKETS, CLOSES, OVERFLOW
from .workers import tcp_counter

DROPS = """table inet refusals {{
chain forward {{
type filter hook forward priority -10;
{rules}
}}
}}
"""


@case
def refused_connects(lab):
    """A server that does not listen: ECONNREFUSED."""
    narrow_pod(lab, "p1")
    app = lab.worker("app", "p1")
    return well(lab, meanwhile=lambda: refused(app, "ECONNREFUSED", "connect", FAR, 81, count=200))


@case
def timed_out_connects(lab):
    """A server that never answers."""
    lab.build("p1")
    lab.range("p1", LOW, HIGH)
    app = lab.worker("app", "p1")
    return well(lab, meanwhile=lambda: refused(app, "ETIMEDOUT", "connect", FAR, PORT, count=5, wait=0.1, keep=False))


@case
def foreign_address(lab):
    """EADDRNOTAVAIL of bind(): the address is nobody's here."""
    narrow_pod(lab, "p1")
    app = lab.worker("app", "p1")
    return well(lab, meanwhile=lambda: refused(app, "EADDRNOTAVAIL", "bind", "192.0.2.77", 8080, count=200))


@case
def address_in_use(lab):
    """EADDRINUSE of bind(): a port of one's own choice that another has."""
    narrow_pod(lab, "p1")
    app = lab.worker("app", "p1")
    app.all("ok", "bind", "0.0.0.0", LOW + 5)
    return well(lab, meanwhile=lambda: refused(app, "EADDRINUSE", "bind", "0.0.0.0", LOW + 5, count=200))


@case
def dropped_by_rules(lab):
    """A rule drops packets, new ones and such as conntrack calls invalid: conntrack itself refuses nothing."""
    tracked(lab, "p1")
    lab.nets["node"].nft(DROPS.format(rules=f"udp dport {UDP_PORT} drop\nct state invalid drop"))
    app = lab.worker("app", "p1")
    return well(lab, meanwhile=lambda: app.all("ok", "send", NODE_TO, UDP_PORT, count=200))


@case
def refused_before(lab):
    """Both counters have moved before the attach, and stand still now."""
    tracked(lab, "p1")
    node, pod = lab.nets["node"], lab.nets["p1"]
    local, closer = lab.worker("local", "node"), lab.worker("closer", "p1")
    fill_udp(local, 10)
    hold(closer, 50)
    lab.set_limit(entries(lab))
    dropped = local.does("send", NODE_TO, UDP_PORT, count=100)
    check(dropped.get("EPERM") and node.counters()["drop"], f"nothing was refused: {dropped}")
    lab.limit.restore()
    pod.sysctl("net/ipv4/tcp_max_tw_buckets", BUCKETS)
    closer.all("ok", "connect", FAR, PORT, count=CLOSES, keep=False)
    check(tcp_counter(pod, OVERFLOW), "no TIME_WAIT overflow")
    pod.sysctl("net/ipv4/tcp_max_tw_buckets", 10 * CLOSES)
    return well(lab)


@case
def exhausted_before(lab):
    """All ports were in use and somebody was refused; most are free now."""
    narrow_pod(lab, "p1")
    app = lab.worker("app", "p1")
    hold(app, WHOLE)
    refused(app, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50)
    app.all("ok", "drop", abort=True)
    hold(app, 30)
    time.sleep(0.2)
    equal(app.all("ok", "connect", FAR, PORT, count=10), 10, "connects")
    return well(lab)
