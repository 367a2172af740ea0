"""Where the kernel refuses what names are read by: it is said once, nothing is spent on it, and no name is wrong."""

import os
import time

from harness.seccomp import seccomp
from robust.lab import await_that, case

from .disk import TASKS, Box, Disk
from .judge import Judge
from .lab import Owner
from .many import Clients, is_told

CART, LATE, GONE = Box("shop", "cart", "app"), Box("shop", "late", "app"), Box("shop", "gone", "app")
SECONDS = 2


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def check_rest(lab, judge, words):
    """Said once, and a thread that has nothing to do does nothing."""
    said = [line for line in lab.trace.message_lines() if words in line]
    if len(said) != 1:
        judge.problem(f"said {len(said)} times: {words}: {said}")
    lab.notes += said


def spent(lab):
    before = cpu_seconds(lab.trace.pid)
    time.sleep(SECONDS)
    return cpu_seconds(lab.trace.pid) - before


@case
def unreadable(lab):
    """openat2() is refused, as by seccomp profiles that are older than it: the path of the cgroup is all that is known."""
    disk = Disk(lab.temporary / "host")
    disk.containerd(CART)
    clients = Clients(lab)
    lab.attach("--host-root", disk.folder, "--verbose", preexec_fn=seccomp([("openat2", None)]))
    clients.fail(CART.pod, Owner({"pod_uid": CART.uid}, {"container_id": CART.id}, cgroup=CART.cgroup), CART.cgroup)
    seconds = spent(lab)
    lab.detach()
    judge = Judge(lab)
    check_rest(lab, judge, "names of containers cannot be read")
    if seconds > SECONDS / 2:
        judge.problem(f"{seconds} s of CPU time in {SECONDS} s without anything to do")
    lab.note(f"{seconds:.2f} s of CPU time in {SECONDS} s")
    return judge


@case
def unwatched(lab):
    """No inotify: what is new is found within a while, and what has gone by then keeps its name."""
    disk = Disk(lab.temporary / "host")
    disk.containerd(CART)
    clients = Clients(lab)
    lab.attach("--host-root", disk.folder, "--verbose", preexec_fn=seccomp([("inotify_init1", None)]))
    clients.fail_in(CART)
    for one in (LATE, GONE):
        disk.containerd(one)
        await_that(lambda: is_told(lab, "containerd", one), f"--verbose's word of {one.pod}")
    (disk.folder / TASKS / GONE.id / "config.json").unlink()
    (disk.folder / TASKS / GONE.id).rmdir()
    for one in (LATE, GONE):
        clients.fail_in(one)
    lab.detach()
    judge = Judge(lab)
    check_rest(lab, judge, "folders of containers cannot be watched")
    return judge
