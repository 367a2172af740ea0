"""There is one address for all pods: each gets the one that another has had."""

import collections
import time

from robust.lab import case

from .judge import WAITED, Judge

ADDRESS = "10.88.1.1"
OWNERS = 6
SECONDS, PER_SECOND = 3, 100  # of each one's packets
GRACE_NS = 1_000_000_000


@case
def moved(lab):
    """Forwarded packets are refused as soon as the new pod has the address, and never bear the former pod's name. Of
    every other pod the sockets are gone by then: its address is all that is known."""
    lab.start((ADDRESS, ADDRESS))
    work = []
    for number in range(OWNERS):
        if number % 2:
            work.append(lab.flows(f"owner {number}, closed", SECONDS * PER_SECOND, held=False, pause_us=0))
        else:
            work.append(lab.flows(f"owner {number}", seconds=SECONDS, pause_us=1_000_000 // PER_SECOND))
    lab.watch()
    graces = {}
    for number, client in enumerate(work):
        began = time.time_ns()
        pod = lab.pod(f"team-{number}", f"owner-{number}")
        graces[client.port] = (began, time.time_ns() + GRACE_NS)
        if not client.whole:
            lab.trickle(pod, PER_SECOND)
        lab.run(pod, "app", client, linger=0 if client.whole else SECONDS + 1)
        lab.end(pod)
    lab.unwatch()
    judge = Judge(lab, graces=graces, unowned=WAITED)
    by = collections.Counter()
    for event in lab.events[:-1]:
        by[event.get("attribution", "nothing")] += event["count"]
    lab.note(f"known by: {dict(by)}" if lab.trace else "")
    return judge
