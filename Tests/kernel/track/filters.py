"""Every filter on conntrack events, many porttraces at once. `--dest` is the destination before DNAT."""

import collections

from harness.tracer import parse_lines
from robust.lab import case

from .judge import OWNED, REFUSED, Judge
from .lab import OUTER4
from .senders import Sender
from .snat import AGE, hold_all

SERVICE, BACKEND = "198.51.100.200", ("198.51.100.7", 8080)
PORTS = range(44000, 44004)
SPENT = ("snat_exhausted",)
RULES = (
    f"-t nat -A PREROUTING -p udp -d {SERVICE} --dport 80 -j DNAT --to-destination {BACKEND[0]}:{BACKEND[1]}",
    f"-t nat -A POSTROUTING -p udp -d {BACKEND[0]} -j MASQUERADE --to-ports {PORTS[0]}-{PORTS[-1]}",
)


class Filter:
    """Options, the senders that pass, and whether every failure of theirs must (else nearly every one)."""

    def __init__(self, options, passing, types=REFUSED, exact=True):
        self.options, self.passing, self.types, self.exact = options, passing, types, exact


def filters_of(lab, alpha, beta, gamma, delta, to_service, held_back):
    everyone = (alpha, beta, gamma, delta, to_service, held_back)
    pod = lab.path_of(gamma).rpartition("/")[0]
    return [
        Filter(("--cgroup", lab.path_of(alpha)), (alpha,)),
        Filter(("--cgroup", pod), (gamma, delta, held_back), exact=False),
        Filter(("--comm", alpha.comm), (alpha,), exact=False),
        Filter(("--pid", str(alpha.pid)), (alpha,), exact=False),
        Filter(("--dest", f"{gamma.to}:{gamma.port}"), (gamma,)),
        Filter(("--dest", f":{delta.port}"), (delta,)),
        Filter(("--dest", f"[{beta.to}]:{beta.port}"), (beta,)),
        Filter(("--dest", "198.51.100.0/24"), tuple(s for s in everyone if s.family == 4)),
        Filter(("--dest", SERVICE), (to_service, held_back)),
        Filter(("--dest", BACKEND[0]), ()),
        Filter(("--kind", "snat_exhausted"), everyone, SPENT),
        Filter(("--kind", "conntrack_table_full", "--dest", SERVICE), (held_back,), ("conntrack_table_full",)),
        Filter(("--cgroup", lab.path_of(alpha), "--dest", gamma.to), ()),
    ]


@case
def filters(lab):
    """A spent NAT range behind a Service, then a full table."""
    alpha = Sender("alpha", "node", container="alpha", options=("--one",))
    beta = Sender("beta", "node", family=6, container="beta", options=("--one",))
    gamma = Sender("gamma", "p1", container="gamma", options=("--one",))
    delta = Sender("delta", "p1", "tcp", container="delta", options=("--hold",))
    service = {"to": SERVICE, "port": 80, "backend": BACKEND, "nat": ((OUTER4,), PORTS)}
    to_service = Sender("to-service", "p2", types=SPENT, **service)
    held_back = Sender("held-back", "p1", container="epsilon", options=("--one",), **service)
    lab.build("p1", "p2")
    lab.track()
    for rule in RULES:
        lab.nets["node"].run("iptables", *rule.split())
    full = (alpha, beta, gamma, delta, held_back)
    lab.count(*full, to_service)
    hold_all(lab, [(to_service, len(PORTS))], AGE)
    share = max(10, lab.options.count // 6)
    first, second = lab.crowd(to_service, total=share), lab.crowd(*full, total=5 * share)
    work = [] if lab.options.without_porttrace else filters_of(lab, alpha, beta, gamma, delta, to_service, held_back)
    traces = [lab.start_trace(*one.options, confined=False) for one in work]
    for trace in traces:
        trace.await_attached()
    lab.attach()
    first.start()
    first.outcomes()
    lab.fill()
    lab.set_limit(24)
    second.start()
    second.outcomes()
    second.close()
    lab.detach()
    judge = Judge(lab)
    for one, trace in zip(work, traces):
        check_filter(judge, one, parse_lines(trace.stop()))
    return judge


def check_filter(judge, one, events):
    words = " ".join(one.options)
    seen, totals = collections.Counter(), collections.Counter()
    for event in events[:-1]:
        if event["type"] == "lost":
            continue
        to = event.get("dst", {})
        key = event.get("proto"), event.get("src", {}).get("addr"), to.get("addr"), to.get("port")
        index = judge.keys.get(key)
        seen[index, event["type"]] += event["count"]
        totals[event["type"]] += event["count"]
    for kind, total in events[-1]["detail"]["totals"].items():
        if total != totals[kind]:
            judge.problem(f"{words}: totals.{kind} is {total}, the lines' sum {totals[kind]}")
    for index, sender in enumerate(judge.lab.senders):
        got = sum(seen[index, kind] for kind in REFUSED)
        passes = sender in one.passing and set(sender.types) & set(one.types)
        # A holder's entry may be evicted once the table is full, and a packet get in: whose, of those to the Service?
        least, most = (sender.refused, sender.entered) if passes else (0, 0)
        if not one.exact:  # by their owner, which may be known by its address alone: see Judge
            least = max(0, least * OWNED - judge.lab.deferred)
        if not least <= got <= most:
            judge.problem(f"{words}: {got} of {sender.name}, {least:.0f} to {most} wanted")
    stray = sum(count for (index, _), count in seen.items() if index is None)
    if stray:
        judge.problem(f"{words}: {stray} failures of none of the clients")
