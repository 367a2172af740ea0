"""Busy and well: sockets. Nothing here is a trouble, whatever it looks like."""

import time

from robust.lab import await_that, case, check, equal

from .judge import Judge
from .stage import FAR, HIGH, LOW, PORT, hold, narrow_pod, towards
from .workers import await_sockets, sockets

WHOLE = HIGH - LOW + 1
SUBNET = "198.51.100."


def well(lab, **options):
    """The verdict must be healthy."""
    return Judge(lab).healthy(lab.check(**options))


@case
def sixty_percent(lab):
    """60 of 100 ports towards one destination."""
    narrow_pod(lab, "p1")
    hold(lab.worker("app", "p1"), 60)
    equal(towards(lab.nets["p1"]), 60, "sockets by ss")
    return well(lab)


@case
def inbound(lab):
    """A server with far more accepted connections than it has ports of its own."""
    narrow_pod(lab, "p1")
    server, crowd = lab.worker("server", "p1"), lab.worker("crowd", "outside")
    server.all("ok", "listen", "0.0.0.0", 8080)
    crowd.all("ok", "connect", lab.pods["p1"].v4, 8080, count=1500)
    await_sockets(lab.nets["p1"], 1500, "state", "established", "sport", "=", ":8080")
    return well(lab)


@case
def inbound_in_range(lab):
    """The same with a server's port within the range."""
    narrow_pod(lab, "p1")
    server, crowd = lab.worker("server", "p1"), lab.worker("crowd", "outside")
    server.all("ok", "listen", "0.0.0.0", LOW + 7)
    crowd.all("ok", "connect", lab.pods["p1"].v4, LOW + 7, count=1500)
    await_sockets(lab.nets["p1"], 1500, "state", "established", "sport", "=", f":{LOW + 7}")
    return well(lab)


@case
def many_destinations(lab):
    """Each of 30 below its limit, together many times the range: hardly a port that none of them uses."""
    narrow_pod(lab, "p1")
    addresses = [f"{SUBNET}{number}" for number in range(1, 31)]
    lab.worker("app", "p1").all("ok", "connect", addresses, PORT, count=30 * 70)
    lines = sockets(lab.nets["p1"], "state", "established")
    ports = {line.split()[2].rpartition(":")[2] for line in lines}
    check(len(lines) == 2100 and len(ports) > 90, f"{len(lines)} sockets on {len(ports)} ports: not what was meant")
    return well(lab)


@case
def time_wait_spread(lab):
    """Thousands of TIME_WAIT towards many destinations."""
    narrow_pod(lab, "p1")
    addresses = [f"{SUBNET}{number}" for number in range(1, 61)]
    lab.worker("app", "p1").all("ok", "connect", addresses, PORT, count=60 * 50, keep=False)
    waiting = len(sockets(lab.nets["p1"], "state", "time-wait"))
    check(waiting >= 2500, f"{waiting} sockets in TIME_WAIT: not what was to be staged")
    return well(lab)


@case
def udp_senders(lab):
    """One socket for each of 500 ports of a server."""
    lab.build("p1")
    lab.worker("app", "p1").all("ok", "send", FAR, list(range(7000, 7500)), count=500, keep=True)
    equal(len(sockets(lab.nets["p1"], "-Huan")), 500, "sockets by ss")
    return well(lab)


@case
def listeners_in_range(lab):
    """Listeners and bound sockets take a tenth of the range, connections a third."""
    narrow_pod(lab, "p1")
    app = lab.worker("app", "p1")
    app.all("ok", "listen", "0.0.0.0", [LOW + number for number in range(5)])
    app.all("ok", "bind", "0.0.0.0", [LOW + number for number in range(20, 25)])
    hold(app, 30)
    return well(lab)


@case
def reserved(lab):
    """Half of the range is reserved, and 60 % of the rest is in use."""
    narrow_pod(lab, "p1", reserved=f"{LOW}-{LOW + 49}")
    hold(lab.worker("app", "p1"), 30)
    return well(lab)


@case
def many_listeners(lab):
    """Two hundred listeners, beside the range."""
    narrow_pod(lab, "p1")
    lab.worker("app", "p1").all("ok", "listen", "0.0.0.0", list(range(8000, 8200)))
    return well(lab)


@case
def reuse_port(lab):
    """A group of 50 listeners that share one port within the range."""
    narrow_pod(lab, "p1")
    lab.worker("app", "p1").all("ok", "listen", "0.0.0.0", [LOW + 3] * 50, group=True)
    equal(len(lab.nets["p1"].run("ss", "-Hltn").splitlines()), 50, "listeners by ss")
    return well(lab)


@case
def without_process(lab):
    """A namespace that no process is in any more has 60 of 100 ports in use."""
    narrow_pod(lab, "p1")
    lab.pods["p1"].stop()
    app = lab.worker("app", "p1")
    hold(app, 60)
    app.all("ok", "leave", str(lab.nets["outside"].path))
    return well(lab)


@case
def burst(lab):
    """70 connections at once during the sample, reset before it ends."""
    narrow_pod(lab, "p1")
    app = lab.worker("app", "p1")

    def rise_and_fall():
        app.all("ok", "connect", FAR, PORT, count=70)
        app.all("ok", "drop", abort=True)
        await_that(lambda: not towards(lab.nets["p1"]), "the end of the burst")

    return well(lab, meanwhile=rise_and_fall)


@case
def reused_time_wait(lab):
    """tcp_tw_reuse=1: every port is in TIME_WAIT, and every connect finds one that it may have again."""
    narrow_pod(lab, "p1")
    net = lab.nets["p1"]
    net.sysctl("net/ipv4/tcp_tw_reuse", 1)
    app = lab.worker("app", "p1")
    app.all("ok", "connect", FAR, PORT, count=90, keep=False)
    time.sleep(2)
    app.begin("connect", FAR, PORT, keep=False, pause=0.03, until_told=True)
    verdict = lab.check()
    equal(list(app.end()), ["ok"], "what the connects got")
    waiting = towards(net)
    check(waiting >= 80, f"{waiting} sockets, nearly all in TIME_WAIT: not what was to be staged")
    return Judge(lab).healthy(verdict)


@case
def aborted6(lab):
    """IPv6 connections whose peer closes: the writes that follow get EPIPE."""
    lab.build("p1")
    lab.range("p1", LOW, HIGH)
    lab.far(PORT, closes=True, v6=True)
    app = lab.worker("app", "p1")

    def break_off():
        app.all("ok", "connect", "2001:db8:51::10", PORT, count=50)
        await_sockets(lab.nets["p1"], 50, "state", "close-wait")
        app.does("write", count=1)
        await_that(lambda: set(app.does("write", count=1)) <= {"EPIPE", "ECONNRESET"}, "broken pipes")
        app.does("drop")

    return well(lab, meanwhile=break_off)
