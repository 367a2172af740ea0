"""A node with several troubles at once: each is told, the worst first."""

from robust.lab import case

from .judge import Expected
from .stage import FAR, PORT, conclude, hold, narrow_pod, refused
from .tables import fill_udp
from .waits import BUCKETS, CLOSES, OVERFLOW, await_closed
from .workers import tcp_counter


@case
def several(lab):
    """Ports in one pod, TIME_WAIT in another, and the node's table at 90 %."""
    narrow_pod(lab, "p1", "p2", "p3")
    lab.track()
    lab.range("p2", 1024, 60999)
    lab.range("p3", 1024, 60999)
    waits = lab.nets["p2"]
    waits.sysctl("net/ipv4/tcp_max_tw_buckets", BUCKETS)
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    closer, filler = lab.worker("closer", "p2"), lab.worker("filler", "p3")
    hold(hog, 100)
    fill_udp(filler, 1500)
    # What is closed meanwhile leaves entries too.
    lab.set_limit(round((lab.nets["node"].entry_count() + CLOSES) / 0.9))
    before = tcp_counter(waits, OVERFLOW)

    def fail():
        refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=60)
        closer.all("ok", "connect", FAR, PORT, count=CLOSES, keep=False)
        closed.append(await_closed(waits, before))

    closed = []
    verdict = lab.check(meanwhile=fail)
    _, missing = closed[-1]
    ports = Expected(
        "port_exhaustion", place="p1", proto="tcp", dst=(FAR, PORT), used=100, limit=100, culprit=hog, count=100,
        victims={victim: 60},
    )  # fmt: skip
    overflow = Expected("time_wait_overflow", place="p2", limit=BUCKETS, culprit=closer, victims={closer: missing})
    table = Expected("conntrack_full", "warning", "node", limit=lab.limit.value, culprit=filler, by_pod=True)
    return conclude(lab, verdict, ports, overflow, table, attempt=lambda: victim.does("connect", FAR, PORT, count=20))
