"""Many failures, many destinations: totals must not suffer, nor memory, nor the bounds of the output."""

import collections
import os
import re
import signal
import threading
import time

from harness.tracer import parse_lines

from .lab import Skip, await_that, case, check, equal
from .trace import cgroup_counts, destination_counts, failures, folded_count, text_total

FAILURES, DESTINATIONS = 1_000_000, 100_000
MOST_KEYS = 32_768  # what a map holds in an interval
MOST_MEMORY = 16 << 10  # KiB
KIND = "connect_exhausted"


def sizes(lab):
    return int(FAILURES * lab.scale), int(DESTINATIONS * min(1, max(lab.scale, MOST_KEYS * 1.2 / DESTINATIONS)))


def storms(lab, count, destinations):
    """Three processes, two cgroups, both families."""
    return (
        lab.storm(count // 2, destinations, cgroup="a"),
        lab.storm(count // 4, destinations, cgroup="b", comm="storm-b"),
        lab.storm(count // 4, destinations, cgroup="b", comm="storm-b6", family=6),
    )


def alone(lab, count, destinations):
    """One process; the other cgroup has none."""
    return (lab.storm(count, destinations), lab.storm(0, 1, cgroup="b"), lab.storm(0, 1, cgroup="b"))


def run_all(members):
    for storm in members:
        storm.start()
    for storm in members:
        storm.finish()


def real_cgroups(lab, members):
    real = collections.Counter()
    for storm, cgroup in zip(members, ("a", "b", "b")):
        real[KIND, lab.path_of(cgroup)] += storm.total
    return real


def check_exact(lab, members, events):
    """Totals per type and cgroup; per destination never more than there were, and all where nothing was folded."""
    equal(cgroup_counts(events), real_cgroups(lab, members), "per cgroup")
    total, summary = sum(storm.total for storm in members), events[-1]
    equal(summary["type"], "summary", "the last line")
    equal(summary["detail"]["totals"][KIND], total, "the summary's total")
    check(summary["detail"]["exact"] is True, "the summary says exact: false")
    seen = destination_counts(failures(events))
    folded = folded_count(events)
    for storm, cgroup in zip(members, ("a", "b", "b")):
        for index, real in enumerate(storm.counts):
            got = seen.pop((KIND, lab.path_of(cgroup), storm.pid, *storm.destination(index)), 0)
            check(got <= real, f"{got} failures towards {storm.destination(index)}, of {real}")
            if not folded:
                equal(got, real, f"failures towards {storm.destination(index)}")
    equal(sum(seen.values()), folded, "failures without a destination of ours, as against folded ones")
    return total, folded


def lines_of_keys(events):
    lines = collections.Counter()
    for event in failures(events):
        to = event.get("dst", {})
        lines[event["cgroup"]["path"], event.get("proc", {}).get("pid"), to.get("addr"), to.get("port")] += 1
    return lines


def lost_samples(events):
    return sum(event["count"] for event in events if event["type"] == "lost" and event["detail"]["where"] == "ring")


def figures(trace, events, total, folded, extra=""):
    return (
        f"{total} failures, {folded} folded, {lost_samples(events)} samples lost, {len(events)} lines,"
        f" peak {trace.peak_kib / 1024:.1f} MiB (attaching {trace.attach_peak_kib / 1024:.1f}){extra}"
    )


def ordinary(lab, *arguments, environment=None):
    members = storms(lab, *sizes(lab))
    trace = lab.attached("-o", "ndjson", *arguments, env=os.environ | (environment or {}))
    run_all(members)
    trace.stop()
    events = trace.events()
    total, folded = check_exact(lab, members, events)
    check(trace.peak_kib < MOST_MEMORY, f"{trace.peak_kib} KiB resident")
    return trace, events, total, folded


@case
def ordinary_storm(lab):
    return figures(*ordinary(lab))


@case
def interval_100ms(lab):
    lab.once()
    return figures(*ordinary(lab, "--interval", "100ms"))


@case
def interval_10s(lab):
    lab.once()
    return figures(*ordinary(lab, "--interval", "10s"))


@case
def small_ring(lab):
    trace, events, total, folded = ordinary(lab, environment={"PORTTRACE_RING_BYTES": "4096"})
    check(lost_samples(events) > 0, "a ring of 4 KiB lost nothing: this tested nothing")
    return figures(trace, events, total, folded)


@case
def each(lab):
    return figures(*ordinary(lab, "--each"))


@case
def each_small_ring(lab):
    lab.once()
    return figures(*ordinary(lab, "--each", environment={"PORTTRACE_RING_BYTES": "4096"}))


def run_undisturbed(lab, members):
    """One interval of everything on this machine, as the map has: the failures of others would take room in it."""
    trace = lab.attached("-o", "ndjson", "--interval", "1h", confined=False)
    run_all(members)
    trace.stop()
    events = trace.events()
    others = [event for event in failures(events) if not event["cgroup"].get("path", "").startswith(lab.node.cgroup)]
    if others:
        raise Skip(f"{len(others)} keys of others on this machine took room in the map meanwhile")
    return trace, events


@case
def one_interval(lab):
    """All in one interval: the map holds what it says, each key has two lines at most."""
    count, destinations = sizes(lab)
    members = alone(lab, max(count // 2, 2 * destinations), destinations)
    trace, events = run_undisturbed(lab, members)
    total, folded = check_exact(lab, members, events)
    check(folded > 0, "nothing was folded")
    lines = lines_of_keys(events)
    whole = {key for key in lines if key[2]}
    equal(len(whole), MOST_KEYS, "keys counted one by one")
    equal(max(lines.values()), 2, "lines of a key")
    for event in failures(events):
        if event.get("detail", {}).get("folded"):
            equal(set(event) & {"proc", "src", "dst"}, set(), "fields of a folded line")
    check(trace.peak_kib < MOST_MEMORY, f"{trace.peak_kib} KiB resident")
    return figures(trace, events, total, folded, f"; {len(whole)} keys")


@case
def full_map(lab):
    """As many destinations as the map has room for: each of them exact, nothing folded."""
    count = max(int(FAILURES * lab.scale) // 4, 2 * MOST_KEYS)
    members = alone(lab, count, MOST_KEYS)
    trace, events = run_undisturbed(lab, members)
    total, folded = check_exact(lab, members, events)
    equal(folded, 0, "folded failures")
    return figures(trace, events, total, folded)


class SlowReader(threading.Thread):
    """Takes nothing from a pipe until told to."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.output, self.go = stream, b"", threading.Event()
        self.start()

    def run(self):
        first = os.read(self.stream, 100)
        self.go.wait()
        parts = [first]
        while part := os.read(self.stream, 65536):
            parts.append(part)
        self.output = b"".join(parts)


def into_pipe(lab, *arguments):
    """A porttrace whose reader takes nothing until told to."""
    reading, writing = os.pipe()
    lab.started.callback(os.close, reading)
    trace = lab.attached("-o", "ndjson", *arguments, stdout=writing)
    os.close(writing)
    return trace, SlowReader(reading)


@case
def reader_stops_10s(lab):
    """In the midst of a storm, beside one with --each: each catches up, and nothing is lost."""
    lab.once()
    members = storms(lab, *sizes(lab))
    pairs = [into_pipe(lab), into_pipe(lab, "--each")]
    for member in members:
        member.start()
    time.sleep(10)
    for _, reader in pairs:
        reader.go.set()
    for member in members:
        member.finish()
    words = []
    for trace, reader in pairs:
        trace.send(signal.SIGINT)
        equal(trace.wait(), 0, "exit status")
        reader.join()
        events = parse_lines(reader.output)
        total, folded = check_exact(lab, members, events)
        check(trace.peak_kib < MOST_MEMORY, f"{trace.peak_kib} KiB resident")
        words.append(figures(trace, events, total, folded))
    return "; --each: ".join(words)


@case
def text(lab):
    """40 lines an interval at most, the rest as sums; the lines add up to the closing total."""
    lab.once()
    members = storms(lab, *sizes(lab))
    trace = lab.attached("--interval", "1h")
    run_all(members)
    output = trace.stop().decode()
    total = sum(storm.total for storm in members)
    lines, _, table = output.partition("\n\n")
    equal(text_total(table, "ports exhausted"), total, "the closing total")
    lines = [line for line in lines.splitlines() if re.match(r"\d\d:|\d{4}-|\s*-", line) or "failures" in line]
    check(len(lines) <= 40, f"{len(lines)} lines in one interval")
    check(trace.peak_kib < MOST_MEMORY, f"{trace.peak_kib} KiB resident")
    return f"{total} failures, {len(lines)} lines, peak {trace.peak_kib / 1024:.1f} MiB"


@case
def two_at_once(lab):
    """Two instances, both exact; one of them coalesces, one does not."""
    members = storms(lab, *sizes(lab))
    traces = [lab.attached("-o", "ndjson"), lab.attached("-o", "ndjson", "--each", "--interval", "100ms")]
    run_all(members)
    for trace in traces:
        trace.stop()
    words = []
    for trace in traces:
        total, folded = check_exact(lab, members, trace.events())
        words.append(figures(trace, trace.events(), total, folded))
    return "; ".join(words)


@case
def flush_on_demand(lab):
    """SIGUSR1 flushes now, whatever the interval."""
    trace = lab.attached("-o", "ndjson", "--interval", "1h")
    storm = lab.fail(100)
    await_that(lambda: len(trace.events()) == 1, "the first failure's line")
    trace.send(signal.SIGUSR1)
    await_that(lambda: len(trace.events()) == 2, "the rest's line after SIGUSR1")
    equal([event["count"] for event in trace.events()], [1, storm.total - 1], "counts")
    trace.stop()
    return "1 line at once, 1 at SIGUSR1"
