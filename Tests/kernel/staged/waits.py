"""TIME_WAIT sockets that could not be made."""

from robust.lab import await_that, case

from .judge import Expected
from .stage import FAR, PORT, conclude
from .workers import sockets, tcp_counter

BUCKETS, CLOSES = 50, 150
OVERFLOW = "TcpExtTCPTimeWaitOverflow"


def await_closed(net, before):
    """(in TIME_WAIT, overflowed) once each of the closes is one or the other: the last one waits for its peer.

    To be called at once: TIME_WAIT ends after a minute, in which a slow machine's `check` may not have ended.
    """

    def closed():
        found = len(sockets(net, "state", "time-wait")), tcp_counter(net, OVERFLOW) - before
        return found if sum(found) == CLOSES else None

    return await_that(closed, f"the end of {CLOSES} connections")


@case
def overflow(lab):
    """tcp_max_tw_buckets is small; whoever closes first loses the protection."""
    lab.build("p1")
    lab.far(PORT)
    net = lab.nets["p1"]
    net.sysctl("net/ipv4/tcp_max_tw_buckets", BUCKETS)
    closer = lab.worker("closer", "p1")
    before = tcp_counter(net, OVERFLOW)
    closed = []

    def close():
        closer.all("ok", "connect", FAR, PORT, count=CLOSES, keep=False)
        closed.append(await_closed(net, before))

    verdict = lab.check(meanwhile=close)
    kept, missing = closed[-1]
    wanted = Expected(
        "time_wait_overflow", place="p1", used=range(kept - 1, kept + 2), limit=BUCKETS, culprit=closer,
        victims={closer: missing}, words=("tcp_max_tw_buckets",),
    )  # fmt: skip

    def attempt():
        before = tcp_counter(net, OVERFLOW)
        counts = closer.does("connect", FAR, PORT, count=CLOSES, keep=False)
        overflowed = tcp_counter(net, OVERFLOW) - before
        return counts | ({"overflow": overflowed} if overflowed else {})

    return conclude(lab, verdict, wanted, attempt=attempt)
