"""The shape of the document that `porttrace check -o json` prints, schema 1."""

from harness.contract import FAILURE, HOLDER, POSITIVE, TEXT, UNSIGNED, differences, one_of

PROBLEMS = (
    "port_exhaustion", "bind_exhaustion", "tuple_conflict", "snat_exhaustion", "conntrack_full",
    "conntrack_insert_failed", "time_wait_overflow",
)  # fmt: skip
KINDS = ("ports", "bind_ports", "conntrack", "snat", "time_wait")
RESOURCES = {
    "port_exhaustion": ("ports",),
    "bind_exhaustion": ("bind_ports",),
    "tuple_conflict": ("ports",),
    "snat_exhaustion": ("snat",),
    "conntrack_full": ("conntrack",),
    "conntrack_insert_failed": ("conntrack",),
    "time_wait_overflow": ("time_wait",),
}
EXIT = {"healthy": 0, "unknown": 1, "warning": 10, "failing": 20}
SENTENCE = ("a sentence", lambda value: isinstance(value, str) and len(value) > 8 and " " in value)

RESOURCE = {
    "kind": one_of(*KINDS),
    "netns_id": POSITIVE,
    "proto": TEXT,
    "src": FAILURE["src"],
    "dst": FAILURE["dst"],
    "used": UNSIGNED,
    "limit": UNSIGNED,
}
FIX = {"when": one_of("now", "later"), "why": SENTENCE, "command": TEXT, "persist": TEXT, "risk": TEXT}
FINDING = {
    "problem": one_of(*PROBLEMS),
    "severity": one_of("warning", "failing"),
    "resource": RESOURCE,
    "culprits": [HOLDER],
    "victims": [HOLDER],
    "evidence": [SENTENCE],
    "fixes": [FIX],
}
DOCUMENT = {
    "schema": FAILURE["schema"],
    "timestamp": FAILURE["timestamp"],
    "node": TEXT,
    "status": one_of(*EXIT),
    "findings": [FINDING],
    "not_visible": [SENTENCE],
}
NEEDED_OF_HOLDER = ("count", "share")
NEEDED_OF_FIX = ("when", "why", "risk")
NEEDED_OF_RESOURCE = ("kind", "netns_id")
IDENTITIES = {"k8s", "unit", "cgroup", "proc", "unknown"}


def breaches(document):
    """What of a document the contract does not have, or has and it lacks."""
    yield from missing(document, DOCUMENT, "")
    yield from differences(document, DOCUMENT, "")
    for number, finding in enumerate(document.get("findings", [])):
        yield from (f"findings[{number}]: {text}" for text in breaches_of(finding))


def missing(value, names, where):
    return (f"no {where}{name}" for name in names if name not in value)


def breaches_of(finding):
    yield from missing(finding, FINDING, "")
    resource = finding.get("resource", {})
    yield from missing(resource, NEEDED_OF_RESOURCE, "resource.")
    if resource.get("kind") not in RESOURCES.get(finding.get("problem"), KINDS):
        yield f"a {finding.get('problem')} of {resource.get('kind')}"
    for part in ("culprits", "victims"):
        yield from holders_breached(finding.get(part, []), part)
    for fix in finding.get("fixes", []):
        yield from missing(fix, NEEDED_OF_FIX, "fixes.")


def holders_breached(holders, part):
    counts = [holder.get("count", 0) for holder in holders if not holder.get("unknown")]
    if counts != sorted(counts, reverse=True):
        yield f"{part} are not largest first: {counts}"
    if sum(holder.get("share", 0) for holder in holders) > 1.001:
        yield f"the shares of {part} are more than 1: {holders}"
    for holder in holders:
        yield from missing(holder, NEEDED_OF_HOLDER, f"{part}.")
        if not IDENTITIES & holder.keys():
            yield f"nobody in {part}: {holder}"
