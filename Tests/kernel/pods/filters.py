"""-n, --pod and --container: what passes, what does not, and what nobody can tell."""

from robust.lab import case

from .disk import Box
from .judge import Judge
from .lab import Owner
from .many import FULL, Clients, boxes, populated

ASKED = (
    (("-n", "team-1"), lambda one: one.namespace == "team-1"),
    (("-n", "team-1,team-2"), lambda one: one.namespace in ("team-1", "team-2")),
    (("--pod", "web-*"), lambda one: one.pod.startswith("web-")),
    (("--pod", "db-1"), lambda one: one.pod == "db-1"),
    (("--pod", "team-1/*"), lambda one: one.namespace == "team-1"),
    (("--pod", "team-2/db-1,team-1/db-1"), lambda one: one.pod == "db-1"),
    (("--container", "app"), lambda one: one.container == "app"),
    (("-n", "team-1", "--container", "proxy"), lambda one: (one.namespace, one.container) == ("team-1", "proxy")),
    (("--pod", "nobody"), lambda one: False),
)
UNKNOWN = Box("unheard", "of", "anybody")  # no state on disk
LOGGED = Box("team-1", "logged-1", "hidden")  # only the log directory of its pod


def fail_all(lab, clients):
    """Returns client → its container, or None for those who are in none that is known."""
    made = {}
    for one in list(boxes(FULL))[:12]:
        made[id(clients.fail_in(one))] = one
    told = {"container_id": UNKNOWN.id}
    clients.fail("unknown", Owner({"pod_uid": UNKNOWN.uid}, told, cgroup=UNKNOWN.cgroup), UNKNOWN.cgroup)
    clients.fail("bare", Owner(cgroup="/"), "")
    return made


def fail_logged(clients):
    """The pod is known, the container is not."""
    pod = {name: value for name, value in LOGGED.names.items() if name != "container"}
    return clients.fail("logged", Owner(pod, {"container_id": LOGGED.id}, cgroup=LOGGED.cgroup), LOGGED.cgroup)


def verdict(asked, passes, client, made, logged):
    """What must become of a client's failures: pass, reject, undecided."""
    one = made.get(id(client))
    if one is None and client is not logged:
        return "undecided"
    if client is not logged:
        return "pass" if passes(one) else "reject"
    if "--container" not in asked:
        return "pass" if passes(LOGGED) else "reject"
    return "reject" if "-n" in asked and LOGGED.namespace not in asked else "undecided"


@case
def filters(lab):
    disk = populated(lab, FULL)
    (disk.folder / f"var/log/pods/{LOGGED.namespace}_{LOGGED.pod}_{LOGGED.uid}").mkdir(parents=True)
    clients = Clients(lab)
    root = ("--host-root", disk.folder)
    traces = [(asked, passes, lab.start_trace(*root, *asked)) for asked, passes in ASKED]
    for _, _, trace in traces:
        trace.await_attached()
    lab.attach(*root)
    made = fail_all(lab, clients)
    logged = fail_logged(clients)
    lab.detach()
    judge = Judge(lab)
    for asked, passes, trace in traces:
        trace.stop()
        wanted = {"pass": 0, "reject": 0, "undecided": 0}
        for client in lab.clients:
            wanted[verdict(asked, passes, client, made, logged)] += client.real
        compare(lab, judge, asked, wanted, trace.events())
    return judge


def compare(lab, judge, asked, wanted, events):
    detail = events[-1]["detail"]
    seen = sum(event["count"] for event in events[:-1])
    told = detail["totals"]["connect_exhausted"], detail.get("undecided", {}).get("connect_exhausted", 0)
    lab.note(f"{' '.join(asked)}: {told[0]} pass, {told[1]} undecided")
    if (seen, *told) != (wanted["pass"], wanted["pass"], wanted["undecided"]):
        judge.problem(f"{' '.join(asked)}: lines {seen}, total {told[0]}, undecided {told[1]}, not {wanted}")
