"""The conntrack table: nearly full, filling, full of another pod's connections, of a removed pod's, evicting."""

import time

from robust.lab import Skip, case, check, equal
from track.evict import DENSE, set_buckets

from .judge import Expected
from .stage import AFTERWARDS, FAR, PORT, conclude, hold, refused

UDP_PORT = 9000
NODE_TO = "198.51.100.99"


def tracked(lab, *pods, **options):
    lab.build(*pods, **options)
    lab.track()
    lab.far(PORT)


def entries(lab):
    return lab.nets["node"].entry_count()


def fill_udp(worker, count):
    """Flows that nobody answers: entries that are not assured."""
    worker.all("ok", "send", FAR, UDP_PORT, count=count, keep=True)


def lossless(lab, worker, *arguments, **words):
    """What came of sending; a packet that was dropped, or an entry that made room, is no success."""
    net = lab.nets["node"]
    before = net.counters()
    counts = worker.does("send", *arguments, **words)
    after = net.counters()
    lost = {name: after[name] - before[name] for name in ("drop", "early_drop") if after[name] > before[name]}
    return lost or counts


def table(lab, **fields):
    return Expected("conntrack_full", place="node", limit=lab.limit.value, **fields)


@case
def table_85(lab):
    """Nobody is refused yet; a process of the node has a few entries."""
    return nearly_full(lab)


@case
def table_by_process(lab):
    """The same where no record says which namespace is the pod's: the processes in it do."""
    lab.names.tells_network = False
    return nearly_full(lab)


def nearly_full(lab):
    tracked(lab, "p1")
    hog, other = lab.worker("hog", "p1"), lab.worker("other", "node")
    fill_udp(hog, 800)
    fill_udp(other, 50)
    used = entries(lab)
    lab.set_limit(1000)
    verdict = lab.check()
    equal(entries(lab), used, "entries before and after")
    words = ("UDP", "nf_conntrack_max", "udp_timeout=")
    wanted = table(lab, severity="warning", used=used, culprit=hog, count=800, by_pod=True, words=words)
    return conclude(
        lab, verdict, wanted, attempt=lambda: other.does("send", NODE_TO, UDP_PORT, count=1000 - used + 50, keep=True)
    )


@case
def table_filling(lab):
    """Less than half full, and full within the minute at this rate."""
    tracked(lab, "p1")
    hog = lab.worker("hog", "p1")
    fill_udp(hog, 700)
    lab.set_limit(3000)
    # Its sockets are closed at once: the flows are new ones, and ports are no trouble.
    hog.begin("send", FAR, list(range(10_000, 15_000)), pause=0.01, until_told=True)
    time.sleep(0.5)
    before = entries(lab)
    verdict = lab.check()
    after = entries(lab)
    hog.end()
    check(before + 50 < after < 2400, f"the table went from {before} to {after}: not what was to be staged")
    wanted = table(lab, severity="warning", used=range(before, after + 1), culprit=hog, by_pod=True)
    full = lab.limit.value

    def attempt():
        return lossless(lab, hog, FAR, list(range(20_000, 25_000)), count=full - entries(lab) + 50)

    return conclude(lab, verdict, wanted, attempt=attempt)


@case
def table_full(lab):
    """Established connections of one pod; a process of the node and another pod are refused."""
    tracked(lab, "p1", "p2")
    hog = lab.worker("hog", "p1")
    local, forwarded = lab.worker("local", "node"), lab.worker("victim", "p2")
    hold(hog, 400)
    lab.set_limit(entries(lab))
    used, before = entries(lab), lab.nets["node"].counters()["drop"]
    count = min(lab.options.count, 300)

    def suffer():
        refused(local, "EPERM", "send", NODE_TO, UDP_PORT, count=count)
        forwarded.all("ok", "send", NODE_TO, UDP_PORT, count=count)

    verdict = lab.check(meanwhile=suffer)
    equal(lab.nets["node"].counters()["drop"] - before, 2 * count, "packets that the kernel dropped")
    wanted = table(
        lab, used=range(used - 1, used + 2), culprit=hog, count=range(395, 401), by_pod=True,
        victims={local: count, forwarded: count}, words=("nf_conntrack_max",),
    )  # fmt: skip
    return conclude(lab, verdict, wanted, attempt=lambda: local.does("send", NODE_TO, UDP_PORT, count=AFTERWARDS))


@case
def table_stale(lab):
    """A pod has gone, its entries have not: long timeouts hold the table."""
    tracked(lab, bridged=("p1", "p3"))
    leaver, local = lab.worker("leaver", "p3"), lab.worker("local", "node")
    lab.worker("stays", "p1")
    address = lab.pods["p3"].v4
    fill_udp(leaver, 360)
    leaver.close()
    lab.pods["p3"].stop()
    lab.nets["node"].ip("link del to-p3")
    used = entries(lab)
    lab.set_limit(400)  # gc_worker() ends entries down to 95 % where the kernel has refused one in the last minute
    verdict = lab.check()
    equal(entries(lab), used, "entries before and after")
    count = lab.limit.value - used + AFTERWARDS
    address = address.replace(".", r"\.")
    wanted = table(lab, severity="warning", used=used, words=(address, "conntrack -D", "stale|gone|removed|no longer"))
    judge = conclude(
        lab, verdict, wanted, attempt=lambda: local.does("send", NODE_TO, UDP_PORT, count=count, keep=True)
    )
    for finding in judge.mine(verdict):
        if "tcp_timeout" in str(finding["fixes"]):
            judge.problem(f"a timeout of TCP for entries of UDP: {finding['fixes']}")
    return judge


@case
def table_evicting(lab):
    """A full table of unanswered flows: a new one evicts another, where the kernel finds one near enough."""
    tracked(lab, "p1", "p3")
    hog, newcomer = lab.worker("hog", "p1"), lab.worker("newcomer", "p3")
    count = DENSE if lab.native else 1500
    if not lab.native:
        set_buckets(lab, 512)
    hog.all("ok", "send", FAR, list(range(10_000, 10_000 + count)), count=count)
    lab.set_limit(entries(lab))
    before = lab.nets["node"].counters()["early_drop"]
    verdict = lab.check(meanwhile=lambda: newcomer.all("ok", "send", NODE_TO, UDP_PORT, count=100))
    evicted = lab.nets["node"].counters()["early_drop"] - before
    if not evicted:
        raise Skip("nothing was evicted")
    lab.note(f"{evicted} evicted")
    wanted = table(lab, culprit=hog, by_pod=True, words=("evict", rf"\b{evicted}\b"))
    return conclude(lab, verdict, wanted, attempt=lambda: lossless(lab, newcomer, NODE_TO, UDP_PORT, count=100))


@case
def table_unentered(lab):
    """A namespace that sockets alone hold: its table cannot be listed, but how full it is is known."""
    lab.build("p1", "p2")
    lab.track("p2")
    leaver = lab.worker("leaver", "p2")
    net = lab.nets["p2"]
    fill_udp(leaver, 180)
    used = net.entry_count()
    lab.set_limit(200)  # from 95 % on gc_worker() ends entries
    leaver.all("ok", "leave", str(lab.nets["p1"].path))
    lab.pods["p2"].stop()
    net.remove()
    verdict = lab.check()
    words = ("could not be listed", "nf_conntrack_max")
    judge = conclude(lab, verdict, Expected(
        "conntrack_full", "warning", place="p2", used=used, limit=lab.limit.value, words=words,
    ))  # fmt: skip
    if verdict and not any(str(net.inode) in line for line in verdict.document["not_visible"]):
        judge.problem(f"not_visible does not name the namespace: {verdict.document['not_visible']}")
    for finding in judge.mine(verdict):
        if any("unknown" not in holder for holder in finding["culprits"]):
            judge.problem(f"a culprit in a table that nobody has listed: {finding['culprits']}")
    return judge
