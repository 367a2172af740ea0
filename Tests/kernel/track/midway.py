"""porttrace comes and goes while packets are refused at full rate: nothing from before it, everything after."""

import os
import signal
import time

from harness.tracer import parse_lines
from robust.lab import case, check

from .full import everyone
from .judge import Judge
from .senders import Sender

ENDLESS = 10**9
WATCHED = 2  # seconds


def droppers():
    return [
        Sender("node", "node", options=("--one",)),
        Sender("pod", "p1", family=6),
    ]


def start(lab, senders):
    lab.build("p1", "p2")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    crowd = lab.crowd(*senders, total=ENDLESS * len(senders))
    crowd.start()
    time.sleep(0.5)
    return crowd


@case
def midway(lab):
    """Attached while the table is full and dropping, stopped while it still does."""
    start(lab, droppers())
    lab.attach()
    time.sleep(WATCHED)
    lab.detach(settled=False)
    check(lab.moved("node")["drop"] > 100, "hardly anything was refused")
    judge = Judge(lab, unowned=0.001, moving=True)
    low, high = lab.moved("node")["drop"], lab.may_have_moved("node")["drop"]
    lab.note(f"{low} to {high} refused, {judge.told[lab.nets['node'].inode]['drop']} by the summary")
    return judge


def only_with_porttrace(lab):
    lab.need_porttrace()


@case
def killed(lab):
    """SIGKILL in the midst; the next one is as exact as any."""
    only_with_porttrace(lab)
    start(lab, droppers())
    first = lab.start_trace()
    first.await_attached()
    time.sleep(1)
    first.send(signal.SIGKILL)
    check(first.process.wait() == -signal.SIGKILL, "it did not die by SIGKILL")
    lab.attach()
    time.sleep(WATCHED)
    lab.detach(settled=False)
    return Judge(lab, unowned=0.001, moving=True)


@case
def twice(lab):
    """Two at once: each is exact."""
    only_with_porttrace(lab)
    senders = everyone("p1", "node")
    lab.build("p1")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    second = lab.start_trace()
    second.await_attached()
    lab.attach()
    lab.send(*senders, linger=2.5).close()
    lab.detach()
    judges = [Judge(lab)]
    lab.events, lab.began_ns = parse_lines(second.stop()), 0
    lab.ended_ns = time.time_ns()
    return [*judges, Judge(lab)]


@case
def ring(lab):
    """Room for 23 samples, and nobody who takes them for a while: the lines come later, the counts are the same."""
    only_with_porttrace(lab)
    pods = ("p1", "p2", "p3", "p4")
    senders = everyone(*pods, "node")
    lab.build(*pods)
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    lab.attach(env=os.environ | {"PORTTRACE_RING_BYTES": "4096"})
    lab.trace.process.send_signal(signal.SIGSTOP)
    crowd = lab.send(*senders)
    lab.trace.process.send_signal(signal.SIGCONT)
    time.sleep(2.5)
    crowd.close()
    lab.detach()
    judge = Judge(lab, owned=0)
    lost = judge.summary.get("lost", {}).get("ring", 0)
    lab.note(f"{lost} samples lost")
    if not lost:
        judge.problem("nothing lost: this tested nothing")
    return judge
