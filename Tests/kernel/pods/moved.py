"""There is one address for all pods: each gets the one that another has had."""

import time

from robust.lab import case

from .judge import Judge

ADDRESS = "10.88.1.1"
OWNERS = 5
SECONDS = 2.5  # of sending, of each
GRACE_NS = 1_000_000_000


@case
def moved(lab):
    """Forwarded packets are refused as soon as the new pod has the address, and never bear the former pod's name."""
    lab.start((ADDRESS, ADDRESS))
    work = []
    for number in range(OWNERS):
        held = number % 2 == 0
        name = f"owner {number}" if held else f"owner {number}, closed"
        work.append(lab.flows(name, seconds=SECONDS, held=held))
    lab.watch()
    graces = {}
    for number, client in enumerate(work):
        began = time.time_ns()
        pod = lab.pod(f"team-{number}", f"owner-{number}")
        graces[client.port] = (began, time.time_ns() + GRACE_NS)
        lab.run(pod, "app", client)
        lab.end(pod)
    lab.unwatch()
    return Judge(lab, graces=graces)
