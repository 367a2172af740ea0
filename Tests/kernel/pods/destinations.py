"""Pods as destinations of pods: an address is the one pod's that has it, and nobody's on the host's network."""

import time

from robust.lab import case

from .judge import Judge
from .lab import HELD

ADDRESSES = ("10.88.1.1", "10.88.1.2")  # the sender's, and one for all targets
NODE = "10.88.255.254"
TARGETS = 3
COUNT = 50
SETTLED = 3  # seconds after which an address is known; one is promised


def towards(lab, name, address):
    """A client whose connects to an address find no port."""
    port = 20_000 + len(lab.clients)
    command = ["failing", "--count", COUNT, "--comm", "pt-ports", "connect", f"{address}:{port}"]
    return lab.client(name, "connect_exhausted", command, address, port)


@case
def destinations(lab):
    """Targets come and go by the same address; what failed towards one is told when it has gone, too."""
    lab.start(ADDRESSES)
    wanted = {}  # port → the pod that has the address, and whether that must be known
    clients = []
    for number in range(TARGETS):
        for moment in ("fresh", "settled"):
            clients.append(towards(lab, f"target {number} {moment}", ADDRESSES[1]))
            wanted[clients[-1].port] = f"target-{number}", moment == "settled"
    to_node = towards(lab, "the node itself", NODE)
    wanted[to_node.port] = None, True
    lab.watch()
    sender = lab.pod("shop", "sender")
    work = iter(clients)
    for number in range(TARGETS):
        target = lab.pod("shop", f"target-{number}")
        if target.address != ADDRESSES[1]:
            raise AssertionError(f"the target's address is {target.address}")
        lab.run(sender, f"fresh-{number}", next(work))
        time.sleep(SETTLED)
        lab.run(sender, f"settled-{number}", next(work))
        lab.finish()
        lab.end(target)
    lab.run(sender, "node", to_node)
    lab.finish()
    lab.unwatch()
    judge = Judge(lab)
    if lab.trace and lab.options.check == "names":
        check_destinations(lab, judge, wanted)
    return judge


def check_destinations(lab, judge, wanted):
    named = dict.fromkeys(wanted, 0)
    for event in lab.events[:-1]:
        to = event.get("dst", {})
        if to.get("port") not in wanted:
            continue
        pod, _ = wanted[to["port"]]
        told = to.get("k8s")
        if told is not None and told != {"namespace": "shop", "pod": pod}:
            judge.problem(f"{to['addr']}:{to['port']} is {told}, not {pod}", event["count"])
        named[to["port"]] += event["count"] if told else 0
    for port, (pod, must) in wanted.items():
        if must and pod and not named[port]:
            judge.problem(f"port {port}: {pod} is never named")
    lab.note(f"destinations named: {sum(named.values())} of {COUNT * len(wanted)} failures")


@case
def host_network(lab):
    """A pod on the host's network: its own failures bear its whole name, the node's address nobody's."""
    lab.start()
    node = lab.nets["node"]
    path = "net/ipv4/ip_local_port_range"
    node.sysctl(path, HELD)
    lab.stack.callback(node.sysctl, path, "32768 60999")
    on_host, toward = lab.ports("on the host's network", COUNT), towards(lab, "to the node", NODE)
    lab.watch()
    host = lab.pod("kube-system", "proxy", port_range="", host_network=True)
    lab.run(host, "app", on_host)
    lab.run(lab.pod("shop", "web"), "app", toward)
    lab.finish()
    lab.unwatch()
    judge = Judge(lab)
    for event in lab.events[:-1] if lab.trace else ():
        if event.get("dst", {}).get("addr") == NODE and "k8s" in event["dst"]:
            judge.problem(f"the node's address is {event['dst']['k8s']}", event["count"])
    return judge
