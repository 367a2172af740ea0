"""Compares what porttrace said with what the clients counted."""

import collections
import dataclasses
import datetime
import os
import re

from .scenario import TYPES_OF_HOOK

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
SHOWN = 6


@dataclasses.dataclass
class Verdict:
    """The result of one run of one scenario."""

    real: collections.Counter  # (type, cgroup, pid, addr, port) -> failures by the clients' own count
    seen: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    problems: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    exact: bool = True
    bound: int = 0
    lines: int = 0
    lines_of_key: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    @property
    def lost(self):
        return self.real.total() - self.seen.total()


@dataclasses.dataclass
class Run:
    """Everything that is known about one run of one scenario."""

    node: object
    tiers: dict  # as the attached line says
    outcomes: list
    events: list
    began_ns: int
    ended_ns: int
    host: str = dataclasses.field(default_factory=lambda: os.uname().nodename)

    def hook_stands(self, hook):
        return not self.tiers.get(hook, "none").startswith("none")

    def cgroup(self, client):
        return f"{self.node.cgroup}/{client.cgroup}"


def reconcile(run):
    verdict = Verdict(real_counts(run))
    verdict.problems.update(unmet_outcomes(run.outcomes))
    owners = {outcome.pid: outcome for outcome in run.outcomes}
    for event in run.events[:-1]:
        read_event(run, verdict, owners, event)
    check_summary(run, verdict)
    check_brevity(run, verdict)
    compare(verdict)
    return verdict


def real_counts(run):
    real = collections.Counter()
    for outcome in run.outcomes:
        failure = outcome.client.failure
        if failure is None or not run.hook_stands(failure.hook):
            continue
        for address, port, outcomes in outcome.destinations:
            if count := outcomes.get(failure.error, 0):
                real[failure.type, run.cgroup(outcome.client), outcome.pid, address, port] += count
    return real


def unmet_outcomes(outcomes):
    """A client that got anything else than it should makes the test worthless."""
    problems = []
    for outcome in outcomes:
        wanted = outcome.client.expected_outcome
        if outcome.counted(wanted) != outcome.total or not outcome.total:
            got = [f"{counts} to {address}:{port}" for address, port, counts in outcome.destinations]
            problems.append(f"{outcome.client.name} should have got {wanted} alone, got {'; '.join(got)}")
    return problems


def read_event(run, verdict, owners, event):
    verdict.lines += 1
    kind = event.get("type")
    if kind == "lost":
        if event.get("detail", {}).get("where") == "missed_runs":
            verdict.bound += event["count"]
        return
    if kind not in {t for types in TYPES_OF_HOOK.values() for t in types}:
        verdict.problems[f"a line of type {kind}"] += 1
        return
    outcome = owner(run, owners, event)
    destination = event.get("dst", {})
    pid = outcome.pid if outcome else event.get("proc", {}).get("pid")
    key = kind, event.get("cgroup", {}).get("path"), pid, destination.get("addr"), destination.get("port")
    verdict.seen[key] += event.get("count", 0)
    verdict.lines_of_key[key] += 1
    for problem in wrong_fields(run, outcome, event) if outcome else ["no client of ours has its pid"]:
        verdict.problems[f"{outcome.client.name if outcome else kind}: {problem}"] += 1


def owner(run, owners, event):
    """The client behind a line: by its pid; where an io_uring worker is a kernel thread (5.10), by the port."""
    if "proc" in event:
        return owners.get(event["proc"].get("pid"))
    for outcome in run.outcomes:
        ports = {port for _, port, _ in outcome.destinations}
        if outcome.client.by_io_worker and event.get("attribution") == "socket":
            if event.get("dst", {}).get("port") in ports:
                return outcome
    return None


def wrong_fields(run, outcome, event):
    client = outcome.client
    for field, wanted in expected_fields(run, client, event).items():
        got = event
        for step in field.split("."):
            got = got.get(step) if isinstance(got, dict) else None
        if got != wanted:
            yield f"{field} is {got!r}, not {wanted!r}"
    if "proc" in event:
        alone = event["proc"].get("tid") == outcome.pid
        if alone == client.threaded and not client.by_io_worker:
            yield f"tid is {event['proc'].get('tid')}, pid {outcome.pid}"
    yield from wrong_times(run, event)
    if event["type"] == "bind_exhausted":
        yield from wrong_holders(run, client, event)
    if not isinstance(event.get("cgroup", {}).get("id"), int):
        yield "no cgroup.id"
    if not (isinstance(event.get("count"), int) and event["count"] >= 1):
        yield f"count is {event.get('count')!r}"


def wrong_holders(run, client, event):
    """One process of the test holds all ports of the namespace, from before the attach on."""
    low, high = run.node.namespaces[client.net].port_range
    holders = event.get("detail", {}).get("holders", [])
    told = [(holder.get("cgroup", {}).get("path"), holder.get("count"), holder.get("share")) for holder in holders]
    if told != [(run.node.cgroup, high - low + 1, 1)]:
        yield f"holders are {told}"


def expected_fields(run, client, event):
    """Field → value; None: absent. A client without a failure should not be here at all."""
    failure, namespace = client.failure, run.node.namespaces[client.net]
    if failure is None:
        return {"type": "none at all"}
    fields = {
        "schema": 1,
        "node": run.host,
        "type": failure.type,
        "cause": failure.cause,
        "error": failure.error,
        "error_raw": failure.error_raw,
        "proto": failure.proto,
        "family": client.family,
        "netns_id": namespace.inode,
        "attribution": "task",
        "probe": run.tiers.get(failure.hook),
        "proc.comm": client.comm,
        "proc.uid": client.uid,
        "src.port": client.source_port or None,
        "detail.folded": None,
    }
    if failure.cause == "port_range":
        fields["detail.port_range"] = list(client.port_range or namespace.port_range)
    if client.source:
        fields["src.addr"] = client.source
    if "proc" not in event:  # a kernel thread's, which owner() let through
        fields.update({"attribution": "socket", "proc.comm": None, "proc.uid": None})
    return fields


def wrong_times(run, event):
    first = nanoseconds(event.get("timestamp"))
    last = nanoseconds(event.get("last_timestamp")) if "last_timestamp" in event else first
    if first is None or last is None:
        yield f"timestamp is {event.get('timestamp')!r}, last_timestamp {event.get('last_timestamp')!r}"
    elif not run.began_ns <= first <= last <= run.ended_ns:
        yield "timestamps are outside the run or not in order"


def nanoseconds(text):
    if not isinstance(text, str) or not TIMESTAMP.fullmatch(text):
        return None
    whole = datetime.datetime.fromisoformat(text[:19] + "+00:00")
    return int(whole.timestamp()) * 1_000_000_000 + int(text[20:29])


def check_summary(run, verdict):
    problems = verdict.problems
    summary = run.events[-1] if run.events else {}
    if summary.get("type") != "summary":
        problems["the last line is no summary"] += 1
        return
    detail = summary.get("detail", {})
    totals, lost = detail.get("totals", {}), detail.get("lost", {})
    by_type = collections.Counter()
    for key, count in verdict.seen.items():
        by_type[key[0]] += count
    for hook, types in TYPES_OF_HOOK.items():
        for kind in types:
            total = totals.get(kind, None if run.hook_stands(hook) else 0)
            if total != by_type[kind]:
                problems[f"summary: totals.{kind} is {totals.get(kind)}, the lines' sum {by_type[kind]}"] += 1
    if detail.get("probes") != run.tiers:
        problems[f"summary: probes {detail.get('probes')}, the attached line {run.tiers}"] += 1
    verdict.exact = detail.get("exact") is True
    if lost.get("missed_runs") != verdict.bound:
        problems[f"summary: lost.missed_runs {lost.get('missed_runs')}, the lines' sum {verdict.bound}"] += 1
    if verdict.exact == bool(verdict.bound):
        problems[f"summary: exact {detail.get('exact')} with missed_runs {verdict.bound}"] += 1


def check_brevity(run, verdict):
    """At most two lines a key and interval, which is a second; the last flush is one more."""
    most = 2 * ((run.ended_ns - run.began_ns) // 1_000_000_000 + 2)
    for key, lines in verdict.lines_of_key.items():
        if lines > most:
            verdict.problems[f"{lines} lines for {key}, at most {most} allowed"] += 1


def compare(verdict):
    """Equal; or, where porttrace says that it is not exact, not more and at most its bound less."""
    differing = [key for key in verdict.real | verdict.seen if verdict.real[key] != verdict.seen[key]]
    more = [key for key in differing if verdict.seen[key] > verdict.real[key]]
    allowed = verdict.bound if not verdict.exact else 0
    if more or verdict.lost > allowed:
        for key in (more or differing)[:SHOWN]:
            kind, cgroup, pid, address, port = key
            place = f"{kind} {cgroup} pid {pid} to {address}:{port}"
            verdict.problems[f"{place}: {verdict.seen[key]} seen, {verdict.real[key]} real"] += 1
        if len(more or differing) > SHOWN:
            verdict.problems[f"{len(more or differing) - SHOWN} more such differences"] += 1
