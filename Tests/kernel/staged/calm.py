"""Nodes without any trouble."""

from robust.lab import Skip, case
from track.net import namespaces_in_use

from .judge import Expected, Judge
from .stage import FAR, HIGH, LOW, PORT, hold, narrow_pod, refused

NOT_IN_USE = "^conntrack not in use here"


@case
def unused(lab):
    """No namespace of this machine uses conntrack."""
    used = {inode: count for inode, count in namespaces_in_use().items() if count}
    if used:
        raise Skip(f"conntrack tables of others are in use here (netns → entries): {used}")
    narrow_pod(lab, "p1")
    hold(lab.worker("app", "p1"), 20)
    return Judge(lab).healthy(lab.check(), NOT_IN_USE)


@case
def other_data_path(lab):
    """Cilium's tables are pinned: how full they are is not seen, which is said; ports are judged as ever."""
    narrow_pod(lab, "p1")
    lab.names.disk.write("sys/fs/bpf/tc/globals/cilium_ct4_global", "")
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hold(hog, 20)
    verdict = lab.check()
    judge = Judge(lab).healthy(verdict)
    hog.all("ok", "connect", FAR, PORT, count=HIGH - LOW + 1 - 20)
    verdicts = [verdict, lab.check(meanwhile=lambda: refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=50))]
    judge.finds(verdicts[-1], Expected("port_exhaustion", place="p1", culprit=hog, proc=True, victims={victim: 50}))
    for verdict in filter(None, verdicts):
        first = verdict.text.partition("\n")[0]
        if verdict.status == 0 and not any(namespaces_in_use().values()) and first != "conntrack not in use here":
            judge.problem(f"first line {first!r}")
        if "cilium" not in verdict.text:
            judge.problem(f"nothing is said of cilium: {verdict.text!r}")
        if not any("cilium" in line for line in verdict.document["not_visible"]):
            judge.problem(f"cilium's tables are not in not_visible: {verdict.document['not_visible']}")
    return judge


@case
def idle(lab):
    """Conntrack is used, and nobody is near a limit."""
    narrow_pod(lab, "p1")
    lab.track()
    hold(lab.worker("app", "p1"), 20)
    lab.worker("server", "p1").all("ok", "listen", "0.0.0.0", 8080)
    verdict = lab.check()
    judge = Judge(lab).healthy(verdict)
    if verdict and "not in use" in verdict.text:
        judge.problem(f"conntrack is in use: {verdict.text[:200]!r}")
    return judge
