"""Pods that are gone as soon as they have failed."""

import concurrent.futures
import time

from robust.lab import case

from .judge import Judge

AT_ONCE = 4
STEADY = 100  # packets of the pod that stays, for each that comes and goes


def live(lab, namespace, name, *clients):
    """A pod's whole life; returns its seconds."""
    began = time.monotonic()
    pod = lab.pod(namespace, name)
    lab.run(pod, "app", *clients)
    lab.end(pod)
    return time.monotonic() - began


@case
def brief(lab):
    """A container fails in its first millisecond and exits, and the sandbox goes right afterwards."""
    lab.start()
    clients = [lab.ports("out of ports", 20), lab.flows("refused", 20), lab.flows("refused, closed", 20, held=False)]
    lab.watch()
    for number, client in enumerate(clients):
        seconds = live(lab, "shop", f"brief-{number}", client)
        lab.note(f"{client.name}: there for {seconds:.2f} s from the first call to the last")
    lab.unwatch()
    return Judge(lab)


@case
def churn(lab):
    """Many pods come and go, some at once, beside one that stays; --pods says how many."""
    lab.start()
    number = lab.options.pods
    steady = lab.flows("steady", STEADY * number)
    work = [(f"churn-{i}", [lab.ports(f"ports {i}", 5 + i), lab.flows(f"flows {i}", 5 + i)]) for i in range(number)]
    lab.watch()
    lab.run(lab.pod("shop", "steady"), "app", steady)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda item: live(lab, f"team-{item[0][-1]}", item[0], *item[1]), work))
    seconds = time.monotonic() - began
    lab.finish()
    lab.unwatch()
    lab.note(f"{number} pods in {seconds:.1f} s, {60 * number / seconds:.0f} a minute")
    lab.note(f"porttrace: {lab.trace.peak_kib} KiB at most" if lab.trace else "")
    return Judge(lab)
