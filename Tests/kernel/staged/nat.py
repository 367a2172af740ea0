"""A NAT range is spent: no pod's own counters show it."""

import time

from robust.lab import case, equal
from track.lab import OUTER4

from .judge import Expected
from .stage import conclude

LOW, HIGH = 40000, 40009
TO, PORT = "198.51.100.20", 5000
AGE = 3  # seconds after which a holder is surely older than whoever clashes with it
RULES = """table ip ranges {{
chain post {{
type nat hook postrouting priority 100;
oifname out udp dport {port} masquerade to :{low}-{high}
}}
}}
"""


def masquerade(lab, low, high, port=PORT):
    lab.nets["node"].nft(RULES.format(low=low, high=high, port=port))


def mappings(lab, to=TO):
    return len(lab.nets["node"].entries("-p", "udp", "--orig-dst", to))


@case
def snat_spent(lab):
    """One pod has all ten mappings towards a destination; another gets none."""
    lab.build("p1", "p2")
    lab.track()
    masquerade(lab, LOW, HIGH)
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p2")
    lab.worker("agent", "node")
    size = HIGH - LOW + 1
    hog.all("ok", "send", TO, PORT, count=size, keep=True)
    equal(mappings(lab), size, "mappings by conntrack -L")
    time.sleep(AGE)
    node = lab.nets["node"]
    count = min(lab.options.count, 100)

    def attempt():
        """A packet without a mapping is lost, and its sender is told nothing."""
        before = node.counters()["insert_failed"]
        counts = victim.does("send", TO, PORT, count=count)
        lost = node.counters()["insert_failed"] - before
        return {"lost": lost} if lost else counts

    verdict = lab.check(meanwhile=lambda: equal(attempt(), {"lost": count}, "what became of the packets"))
    wanted = Expected(
        "snat_exhaustion", place="node", proto="udp", src=OUTER4, dst=(TO, PORT), used=size, limit=size, culprit=hog,
        count=size, by_pod=True, victims={victim: count}, words=("range|address", "mapping|port"),
    )  # fmt: skip
    judge = conclude(lab, verdict, wanted, attempt=attempt)
    for finding in judge.mine(verdict):
        for fix in finding["fixes"]:
            if "ip_local_port_range=" in fix.get("command", ""):
                judge.problem(f"ip_local_port_range does not widen a masquerade: {fix}")
    return judge
