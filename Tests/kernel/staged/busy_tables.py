"""Busy and well: conntrack tables and NAT."""

import time

from robust.lab import case, check, equal

from .busy_ports import well
from .judge import Judge
from .nat import mappings, masquerade
from .stage import FAR
from .tables import UDP_PORT, entries, fill_udp, tracked

SHORT = 2  # seconds an entry lives in the steady churn


def living(lab):
    """Those that have ended are counted until somebody meets them, as `conntrack -L` does."""
    return len(lab.nets["node"].entries())


@case
def table_60(lab):
    """600 of 1000 entries, and no more."""
    tracked(lab, "p1")
    fill_udp(lab.worker("app", "p1"), 600)
    lab.set_limit(round(entries(lab) / 0.6))
    return well(lab)


@case
def table_churn(lab):
    """As many entries end as begin: half full for hours."""
    tracked(lab, "p1")
    app, stays = lab.worker("app", "p1"), lab.worker("stays", "p1")
    fill_udp(stays, 800)
    lab.nets["node"].sysctl("net/netfilter/nf_conntrack_udp_timeout", SHORT)
    lab.set_limit(1800)
    app.begin("send", FAR, UDP_PORT + 1, pause=0.02, until_told=True)
    time.sleep(3 * SHORT)
    before = living(lab)
    verdict = lab.check()
    after = living(lab)
    equal(list(app.end()), ["ok"], "what the sends got")
    lab.note(f"{before} to {after} entries of {lab.limit.value}")
    check(abs(after - before) < 60 and before > 820, f"{before} to {after} entries: not what was to be staged")
    return Judge(lab).healthy(verdict)


@case
def snat_wide(lab):
    """500 mappings of one NAT address towards one destination, of 64,512."""
    tracked(lab, "p1")
    masquerade(lab, 1024, 65535)
    to = "198.51.100.20"
    lab.worker("app", "p1").all("ok", "send", to, 5000, count=500, keep=True)
    equal(mappings(lab, to), 500, "mappings by conntrack -L")
    return well(lab)
