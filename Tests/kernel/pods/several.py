"""Three pods in three namespaces, two containers in one of them: each has its own failures, each its own name."""

from robust.lab import case

from .judge import WAITED, Judge

PER_SECOND = 100  # packets of the pod whose sockets are gone first
PLACES = (("shop", "cart", "app"), ("shop", "cart", "proxy"), ("bank", "ledger", "app"), ("kube-system", "dns", "main"))


def start(lab, made, gated):
    """Starts a container in each place, with clients of its own."""
    for namespace, name, container in PLACES:
        key = (namespace, name)
        if key not in made:
            made[key] = lab.pod(namespace, name)
        lab.run(made[key], container, *clients_of(lab, f"{namespace}/{name}/{container}"), gated=gated)


def clients_of(lab, name):
    share = lab.options.count // 10
    return [
        lab.ports(f"{name} ports", lab.options.count + len(lab.clients)),
        lab.flows(f"{name} flows", share + len(lab.clients)),
        lab.flows(f"{name} closed", share + len(lab.clients), held=False),
    ]


@case
def pods(lab):
    """The containers are there before porttrace starts."""
    lab.start()
    start(lab, {}, gated=True)
    lab.watch()
    lab.open_gate()
    lab.finish()
    lab.unwatch()
    return Judge(lab)


@case
def late(lab):
    """Packets that outlive their sockets, of a pod that was there before porttrace: its address names it at once."""
    lab.start()
    pod = lab.pod("shop", "slow")
    lab.trickle(pod, PER_SECOND)
    client = lab.flows("sockets gone", 2 * PER_SECOND, held=False, pause_us=0)
    lab.run(pod, "app", client, gated=True, linger=3)
    lab.watch()
    lab.open_gate()
    lab.finish()
    lab.unwatch()
    return Judge(lab, unowned=WAITED)
