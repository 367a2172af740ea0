"""Source ports: a neighbour holds them all, open or in TIME_WAIT; a tuple that is taken; bind() without a free port."""

import re
import time

from harness.cgroups import made_cgroup, need_v1
from robust.lab import Skip, await_that, case, equal

from .judge import Expected, Judge
from .stage import AFTERWARDS, FAR, HIGH, LOW, PORT, check_usable, conclude, hold, narrow_pod, refused, towards
from .workers import sockets

WHOLE = HIGH - LOW + 1
RESERVED, LISTENING = "20010-20013", [20050, 20051]
REUSABLE = 2  # seconds after which a TIME_WAIT port may be used again, with tcp_tw_reuse


def exhausted(lab, hog, victims, **fields):
    """`victims`: worker → how often it was refused."""
    pod = lab.pods["p1"]
    return Expected(
        "port_exhaustion", place="p1", proto="tcp", src=pod.v4, dst=(FAR, PORT), culprit=hog, victims=victims, **fields
    )


def try_again(victim):
    return lambda: victim.does("connect", FAR, PORT, count=AFTERWARDS)


@case
def ports_open(lab):
    """All that is neither reserved nor taken by a listener is open in another container of the same pod."""
    narrow_pod(lab, "p1", reserved=RESERVED)
    bystander, hog, victim = (lab.worker(name, "p1") for name in ("bystander", "hog", "victim"))
    bystander.all("ok", "listen", "0.0.0.0", LISTENING)
    usable = WHOLE - 4 - len(LISTENING)
    check_usable(lab.nets["p1"], usable)
    hold(hog, usable)
    equal(towards(lab.nets["p1"]), usable, "sockets by ss")
    count = lab.options.count
    verdict = lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=count))
    words = ("ip_local_port_range", rf"{re.escape(hog.comm)}\[{hog.pid}\]: reuse connections to {FAR}:{PORT}")
    wanted = exhausted(lab, hog, {victim: count}, used=usable, limit=usable, count=usable, words=words, proc=True)
    return conclude(lab, verdict, wanted, attempt=try_again(victim))


@case
def ports_shared(lab):
    """Two processes of one container: one has opened 60 connections and shares them by fork, its child has opened 40."""
    narrow_pod(lab, "p1")
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hold(hog, 60)
    child = int(next(iter(hog.does("fork", FAR, PORT, count=40))))
    equal(towards(lab.nets["p1"]), WHOLE, "sockets by ss")
    verdict = lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50))
    wanted = exhausted(lab, hog, {victim: 50}, used=WHOLE, limit=WHOLE, count=60, proc=True)
    judge = Judge(lab)
    for finding in filter(None, judge.finds(verdict, wanted)):
        held = [(holder.get("proc", {}).get("pid"), holder["count"]) for holder in finding["culprits"]]
        if held != [(hog.pid, 60), (child, 40)]:
            judge.problem(f"{held} for {(hog.pid, 60)} and its child's {(child, 40)}")
    return judge


@case
def ports_v1(lab):
    """Containers in cgroup v1 alone, in v2's root for all that a socket tells: the process' container has them."""
    main, mounts = need_v1()
    narrow_pod(lab, "p1")
    path = f"/kubepods/burstable/pod{lab.pods['p1'].uid}/{'c' * 64}"
    folders = [lab.cgroup_root, *(made_cgroup(lab, path, mount) for mount in mounts.values())]
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hog.path = path
    for folder in folders:
        (folder / "cgroup.procs").write_text(str(hog.pid))
    hold(hog, WHOLE)
    verdict = lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50))
    wanted = exhausted(lab, hog, {victim: 50}, used=WHOLE, limit=WHOLE, count=WHOLE, proc=True)
    judge = Judge(lab)
    for finding in filter(None, judge.finds(verdict, wanted)):
        cgroup = finding["culprits"][0].get("cgroup", {})
        if cgroup.get("hierarchy") != main:
            judge.problem(f"the culprit's cgroup is {cgroup}, of no hierarchy of v1")
    return judge


@case
def ports_filtered(lab):
    """Asked for the victim's cgroup alone, it still names the neighbour; asked for another's, there is no victim."""
    narrow_pod(lab, "p1")
    victim, other = lab.worker("victim", "p1"), lab.worker("other", "p1")
    hog = lab.worker("hog", "p1", comm="$(reboot)")
    hold(hog, WHOLE)

    def fail():
        refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50)

    verdict = lab.check("--cgroup", victim.path, meanwhile=fail)
    judge = conclude(lab, verdict, exhausted(lab, hog, {victim: 50}, used=WHOLE, limit=WHOLE, count=WHOLE, proc=True))
    verdict = lab.check("--cgroup", other.path, meanwhile=fail)
    for finding in judge.mine(verdict):
        if finding.get("victims") or finding["severity"] == "failing":
            judge.problem(f"the filter lets in another's failures: {finding}")
    return judge


def spend(hog):
    """Connects and closes until every port is in TIME_WAIT; under emulation a few of those end early."""
    while missing := WHOLE - towards(hog.net):
        hog.all("ok", "connect", FAR, PORT, count=missing, keep=False)


@case
def ports_time_wait(lab):
    """The owner closed them first, since the attach: TIME_WAIT holds them all."""
    narrow_pod(lab, "p1")
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    count = min(lab.options.count, 100)

    def use_up():
        spend(hog)
        refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=count)

    verdict = lab.check(meanwhile=use_up)
    equal(towards(lab.nets["p1"]), WHOLE, "sockets by ss")
    wanted = exhausted(
        lab, hog, {victim: count}, used=WHOLE, limit=WHOLE, count=WHOLE,
        words=("TIME_WAIT", "tcp_tw_reuse=1", "let the other side close first"),
    )  # fmt: skip

    def attempt():
        time.sleep(REUSABLE)
        return try_again(victim)()

    return conclude(lab, verdict, wanted, attempt=attempt)


@case
def ports_old_time_wait(lab):
    """TIME_WAIT from before the attach: nobody knows the process, so none is named; the pod may be."""
    narrow_pod(lab, "p1")
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    spend(hog)
    verdict = lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50))
    wanted = exhausted(lab, None, {victim: 50}, used=WHOLE, limit=WHOLE, words=("TIME_WAIT",))
    judge = Judge(lab)
    for finding in filter(None, judge.finds(verdict, wanted)):
        for holder in finding["culprits"]:
            pod = holder.get("k8s", {}).get("pod_uid") == str(lab.pods["p1"].uid)
            if not (holder.get("unknown") or pod) or "proc" in holder or "cgroup" in holder:
                judge.problem(f"an owner of TIME_WAIT that nobody saw being made: {holder}")
    return judge


@case
def ports6(lab):
    """IPv6, by the same limits."""
    to = "2001:db8:51::10"
    lab.build("p1")
    lab.range("p1", LOW, HIGH)
    lab.far(PORT, v6=True)
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hold(hog, WHOLE, to)
    verdict = lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", to, PORT, count=50))
    wanted = exhausted(lab, hog, {victim: 50}, used=WHOLE, limit=WHOLE, count=WHOLE, proc=True)
    wanted.src, wanted.dst = lab.pods["p1"].v6, (to, PORT)
    return conclude(lab, verdict, wanted, attempt=lambda: victim.does("connect", to, PORT, count=AFTERWARDS))


@case
def ports_warning(lab):
    """90 of 100 are in use and nobody has been refused yet."""
    narrow_pod(lab, "p1")
    hog = lab.worker("hog", "p1")
    hold(hog, 90)
    wanted = exhausted(lab, hog, {}, severity="warning", used=90, limit=WHOLE, count=90, proc=True)
    return conclude(lab, lab.check(), wanted, attempt=lambda: hog.does("connect", FAR, PORT, count=AFTERWARDS))


@case
def ports_half_closed(lab):
    """The server never closes: TIME_WAIT's substate FIN_WAIT2 holds them all, and tcp_tw_reuse would free none."""
    narrow_pod(lab, "p1", deaf=True)
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hog.all("ok", "connect", FAR, PORT, count=WHOLE, keep=False)
    await_that(lambda: len(sockets(hog.net, "state", "fin-wait-2")) == WHOLE, "FIN_WAIT2")
    verdict = lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50))
    wanted = exhausted(lab, None, {victim: 50}, used=WHOLE, limit=WHOLE)
    judge = conclude(lab, verdict, wanted, attempt=try_again(victim))
    for finding in judge.mine(verdict):
        for fix in finding["fixes"]:
            if "tcp_tw_reuse" in str(fix):
                judge.problem(f"tcp_tw_reuse leaves FIN_WAIT2 alone: {fix}")
    return judge


@case
def ports_burst(lab):
    """Opened after the attach, and reset before the end: neither look meets what held them all when it failed."""
    narrow_pod(lab, "p1")
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")

    def burst():
        time.sleep(1.2)  # a look is taken once a second at most
        hold(hog, WHOLE)
        refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50)
        time.sleep(0.5)  # a failure is looked into at once, which takes a moment
        hog.all("ok", "drop", abort=True)
        equal(towards(hog.net), 0, "sockets by ss, at the end")

    verdict = lab.check(meanwhile=burst)
    words = ("were in use at the fullest look",)
    return conclude(
        lab, verdict, exhausted(lab, hog, {victim: 50}, used=WHOLE, limit=WHOLE, count=WHOLE, words=words)
    )


@case
def ports_own_range(lab):
    """Two processes with ten ports of their own: what others hold of the namespace's range is no reason."""
    narrow_pod(lab, "p1")
    hog, bystander, victim = (lab.worker(name, "p1") for name in ("hog", "bystander", "victim"))
    own = [LOW, LOW + 9]
    if set(hog.does("connect", FAR, PORT, count=10, own=own)) != {"ok"}:
        raise Skip("no IP_LOCAL_PORT_RANGE here")
    bystander.all("ok", "connect", FAR, PORT, count=30)
    verdict = lab.check(
        meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50, own=own)
    )
    words = (f"a range of their own, {own[0]}-{own[1]}", rf"{re.escape(victim.comm)}\[{victim.pid}\]: let its sockets")
    wanted = exhausted(lab, None, {victim: 50}, nobody=True, words=words, command=False)
    judge = conclude(lab, verdict, wanted)
    for finding in judge.mine(verdict):
        if "used" in finding["resource"]:
            judge.problem(f"how far that range is used was not counted: {finding['resource']}")
    return judge


@case
def tuple_conflict(lab):
    """A port of one's own choice, already connected to that destination; a bystander has others towards it."""
    narrow_pod(lab, "p1")
    hog, bystander, victim = (lab.worker(name, "p1") for name in ("hog", "bystander", "victim"))
    source = [lab.pods["p1"].v4, 30001]
    hog.all("ok", "connect", FAR, PORT, source=source)
    bystander.all("ok", "connect", FAR, PORT, count=30)
    verdict = lab.check(
        meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50, source=source)
    )
    wanted = Expected(
        "tuple_conflict", place="p1", proto="tcp", src=source[0], dst=(FAR, PORT), victims={victim: 50}, nobody=True,
        words=("leave port 30001 to the kernel", "not exhaustion"),
    )  # fmt: skip
    judge = conclude(lab, verdict, wanted, attempt=lambda: victim.does("connect", FAR, PORT, source=source))
    if verdict and bystander.comm in verdict.text:
        judge.problem(f"the bystander is named: {verdict.text[:400]}")
    return judge


def bind_spent(lab, proto, error, task, *arguments):
    narrow_pod(lab, "p1")
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hog.all("ok", "bind", "0.0.0.0", list(range(LOW, HIGH + 1)), proto=proto)
    words = {"proto": proto} if task == "bind" else {}
    verdict = lab.check(meanwhile=lambda: refused(victim, error, task, *arguments, count=50, **words))
    if verdict and verdict.tiers.get("bind", "none").startswith("none"):
        judge = Judge(lab)
        judge.common(verdict)
        if not any("bind" in line for line in verdict.document.get("not_visible", [])):
            judge.problem(f"not_visible does not say that bind() is not seen: {verdict.document.get('not_visible')}")
        lab.note(f"bind={verdict.tiers.get('bind')}")
        return judge
    wanted = Expected(
        "bind_exhaustion", place="p1", proto=proto, used=WHOLE, limit=WHOLE, culprit=hog, count=WHOLE,
        victims={victim: 50}, proc=True,
    )  # fmt: skip
    return conclude(lab, verdict, wanted, attempt=lambda: victim.does(task, *arguments, count=AFTERWARDS, **words))


@case
def bind_tcp(lab):
    return bind_spent(lab, "tcp", "EADDRINUSE", "bind", "0.0.0.0", 0)


@case
def bind_udp(lab):
    """An autobind: the first datagram of a socket."""
    return bind_spent(lab, "udp", "EAGAIN", "send", FAR, 9)
