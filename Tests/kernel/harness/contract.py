"""The shape of an event, schema 1: every field that a line may have, and of what kind its value is."""

import re

UNSIGNED = ("an unsigned number", lambda value: type(value) is int and value >= 0)
POSITIVE = ("a positive number", lambda value: type(value) is int and value > 0)
TEXT = ("a text", lambda value: isinstance(value, str) and value != "")
NAME = ("a text or empty", lambda value: isinstance(value, str))
FLAG = ("a flag", lambda value: isinstance(value, bool))
TIME = ("a time", lambda value: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", str(value)) is not None)
PORT = ("a port", lambda value: type(value) is int and 0 < value < 65536)
RANGE = ("two ports", lambda value: len(value) == 2 and value[0] <= value[1])
COUNTS = ("counts by type", lambda value: all(type(count) is int for count in value.values()))
TIERS = ("tiers by hook", lambda value: all(isinstance(tier, str) for tier in value.values()))


def one_of(*names):
    return " or ".join(names), lambda value: value in names


STATE = one_of(
    "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
    "LISTEN", "CLOSING", "NEW_SYN_RECV",
)
ENDPOINT = {"addr": TEXT, "port": PORT}
SHARE = ("a fraction", lambda value: type(value) in (int, float) and 0 <= value <= 1)
TRUE = ("true", lambda value: value is True)
K8S = {"namespace": TEXT, "pod": TEXT, "pod_uid": TEXT, "container": TEXT}
CGROUP = {"id": POSITIVE, "path": TEXT, "hierarchy": TEXT}
HOLDER = {
    "k8s": K8S,
    "unit": TEXT,
    "cgroup": CGROUP,
    "proc": {"pid": POSITIVE, "comm": NAME},
    "count": POSITIVE,
    "share": SHARE,
    "inferred": TRUE,
    "unknown": TRUE,
}
FAILURE = {
    "schema": ("1", lambda value: value == 1),
    "timestamp": TIME,
    "last_timestamp": TIME,
    "node": TEXT,
    "type": TEXT,
    "cause": TEXT,
    "count": POSITIVE,
    "error": TEXT,
    "error_raw": POSITIVE,
    "proto": TEXT,
    "family": one_of("ipv4", "ipv6"),
    "netns_id": POSITIVE,
    "cgroup": CGROUP,
    "k8s": K8S,
    "runtime": {
        "name": TEXT,
        "container_id": ("64 hexadecimal digits", lambda value: re.fullmatch("[0-9a-f]{64}", value) is not None),
        "image": TEXT,
    },
    "unit": TEXT,
    "proc": {"pid": POSITIVE, "tid": POSITIVE, "comm": NAME, "uid": UNSIGNED},
    "src": ENDPOINT,
    "dst": ENDPOINT | {"k8s": {"namespace": TEXT, "pod": TEXT, "service": TEXT}},
    "attribution": one_of("task", "socket", "tuple", "netns", "address"),
    "probe": one_of("fentry", "kprobe", "tracepoint", "counter"),
    "detail": {
        "folded": TRUE,
        "old": STATE,
        "new": STATE,
        "port_range": RANGE,
        "icmp": {"type": UNSIGNED, "code": UNSIGNED, "id": UNSIGNED},
        "direction": one_of("outbound", "inbound"),
        "zone": POSITIVE,
        "limit": UNSIGNED,
        "nat": ENDPOINT,
        "backend": ENDPOINT,
        "evidence": one_of("held_before", "all_held"),
        "holders": [HOLDER],
    },
}
COMMON = {name: FAILURE[name] for name in ("schema", "timestamp", "node", "type")}
RESOURCE = {
    "kind": one_of("ports", "bind_ports", "conntrack", "snat", "time_wait"),
    "netns_id": POSITIVE,
    "proto": TEXT,
    "src": ENDPOINT,
    "dst": FAILURE["dst"],
    "used": UNSIGNED,
    "limit": POSITIVE,
}
PRESSURE = COMMON | {
    "detail": {
        "resource": RESOURCE,
        "threshold": ("0.8 or 0.95", lambda value: value in (0.8, 0.95)),
        "direction": one_of("up", "down"),
        "eta_s": ("a number from 0", lambda value: type(value) in (int, float) and value >= 0),
        "holders": [HOLDER],
    }
}
LOST = COMMON | {"count": POSITIVE, "detail": {"where": one_of("ring", "missed_runs")}}
SUMMARY = COMMON | {
    "detail": {
        "totals": COUNTS,
        "exact": FLAG,
        "lost": {"ring": UNSIGNED, "missed_runs": UNSIGNED},
        "probes": TIERS,
        "undecided": COUNTS,
        "kernel": [
            {"netns_id": POSITIVE} | dict.fromkeys(("drop", "insert_failed", "early_drop", "tw_overflow"), UNSIGNED)
        ],
    }
}
NEEDED = {
    "lost": (*COMMON, "count", "detail"),
    "summary": (*COMMON, "detail"),
    "pressure": (*COMMON, "detail"),
    "": ("schema", "timestamp", "type", "count"),
}


def breaches(event):
    """What of a line the contract does not have."""
    kind = event.get("type")
    shape = {"lost": LOST, "summary": SUMMARY, "pressure": PRESSURE}.get(kind, FAILURE)
    yield from (f"no {name}" for name in NEEDED.get(kind, NEEDED[""]) if name not in event)
    yield from differences(event, shape, "")
    if kind == "pressure":
        yield from crossing_breaches(event.get("detail", {}))


def crossing_breaches(detail):
    yield from (f"no detail.{name}" for name in PRESSURE["detail"] if name not in detail and name != "eta_s")
    resource, up = detail.get("resource", {}), detail.get("direction") == "up"
    yield from (f"no {name} of its resource" for name in ("kind", "netns_id", "used", "limit") if name not in resource)
    share = resource.get("used", 0) / resource.get("limit", 1)
    # The way down is told 5 points below.
    if up != (share >= detail.get("threshold", 0) - (0 if up else 0.05) - 1e-9):
        yield f"{detail.get('direction')} at {share:.1%} of the limit, threshold {detail.get('threshold')}"
    if "eta_s" in detail and not up:
        yield "eta_s on the way down"
    # More is possible: a look takes a moment, in which some change hands; and TIME_WAIT ends after it was counted.
    ends = resource.get("kind") == "time_wait" and not up
    if not ends and sum(holder.get("count", 0) for holder in detail.get("holders", [])) < resource.get("used", 0):
        yield "the holders hold less than is used"


def differences(value, shape, where):
    if isinstance(shape, dict):
        if not isinstance(value, dict) or not value:
            yield f"{where or 'the line'} is no object with fields: {value!r}"
            return
        for name, part in value.items():
            if name not in shape:
                yield f"{where}{name} is no field of the contract"
            else:
                yield from differences(part, shape[name], f"{where}{name}.")
    elif isinstance(shape, list):
        for part in value:
            yield from differences(part, shape[0], where)
    else:
        wanted, holds = shape
        if not holds(value):
            yield f"{where.rstrip('.')} is {value!r}, not {wanted}"
