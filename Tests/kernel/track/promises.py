"""What the contract promises of a line."""

import collections
import errno

REFUSED = ("conntrack_table_full", "snat_exhausted", "conntrack_insert_failed")
TYPES = (*REFUSED, "conntrack_evicted")
CAUSES = {
    "conntrack_table_full": ("table_full",),
    "conntrack_evicted": ("table_full",),
    "snat_exhausted": ("nat_ports",),
    "conntrack_insert_failed": ("race", "chain_too_long", "dying", "no_memory"),
}


def counter_of(kind, cause):
    if kind == "conntrack_evicted":
        return "early_drop"
    if kind == "conntrack_table_full" or cause == "no_memory":
        return "drop less clashes"
    return "insert_failed"


def promised(lab, sender):
    """What must be known of a sender: its socket can be found unless it is raw and in a pod."""
    if sender.direction == "inbound":
        return "pod" if any(sender.to in (pod.v4, pod.v6) for pod in lab.pods.values()) else "any"
    local = sender.place == sender.table
    return "own" if local or sender.proto in ("tcp", "udp") else "pod"


def promised_error(sender, event):
    """Name and number of what a process gets whose datagram dies in an output hook; TCP's callers get none."""
    dies_there = sender.place == sender.table and sender.proto != "tcp" and event["type"] != "conntrack_evicted"
    is_caller = dies_there and event.get("attribution") == "socket" and "proc" in event
    return ("EPERM", errno.EPERM) if is_caller else (None, None)


def over_all(counts):
    sums = collections.Counter()
    for (_, name), count in counts.items():
        sums[None, name] += count
    return sums


def too_many_lines(lines_of_key, nanoseconds):
    """At most two lines a key and interval, which is a second; the last flush is one more."""
    most = 2 * (nanoseconds // 1_000_000_000 + 2)
    for key, lines in lines_of_key.items():
        if lines > most:
            yield f"{lines} lines for {key}, at most {most} allowed"


def wrong_pod(lab, sender, event):
    """No runtime's state is in the lab: of a pod its UID is known, from its processes' cgroups."""
    told, pod = event.get("k8s"), lab.pods.get(sender.place)
    if told and sender.direction == "outbound" and told != (pod and {"pod_uid": str(pod.uid)}):
        yield f"k8s is {told}"


def wrong_nat(sender, detail):
    addresses, ports = sender.nat or ((), range(0))
    nat = detail.get("nat", {})
    if nat.get("addr") not in addresses or nat.get("port") not in ports:
        yield f"nat is {nat}"
    if detail.get("limit", len(ports)) != len(ports):
        yield f"limit is {detail.get('limit')}, the range has {len(ports)}"
    if not detail.get("evidence"):
        yield "no evidence"
