"""Nodes without any trouble."""

from robust.lab import Skip, case
from track.net import namespaces_in_use

from .judge import Judge
from .stage import hold, narrow_pod

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
