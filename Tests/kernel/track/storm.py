"""As many refused packets a second as this machine can make."""

from robust.lab import case

from .judge import Judge
from .senders import Sender

SECONDS = 10
MOST_MEMORY = 16 << 10  # KiB
MOST_WITHOUT_OWNER = 0.001


@case
def storm(lab):
    """Four senders with one socket each, and one with a new socket for each packet."""
    fast = ("--one", "--seconds", str(SECONDS))
    senders = [
        Sender("node-1", "node", options=fast),
        Sender("node-2", "node", family=6, options=fast),
        Sender("p1-1", "p1", options=fast),
        Sender("p2-1", "p2", family=6, options=fast),
        Sender("p2-2", "p2", options=("--seconds", str(SECONDS)), container="other", owner="pod"),
    ]
    lab.build("p1", "p2")
    lab.refuse(*senders)
    judge = Judge(lab, unowned=MOST_WITHOUT_OWNER)
    lab.note(f"{judge.refused / SECONDS:.0f} a second")
    if lab.trace:
        lab.note(f"at most {lab.trace.peak_kib} KiB after the attach, {judge.ownerless} without an owner")
        if lab.trace.peak_kib > MOST_MEMORY:
            judge.problem(f"{lab.trace.peak_kib} KiB of memory, at most {MOST_MEMORY} allowed")
    return judge
