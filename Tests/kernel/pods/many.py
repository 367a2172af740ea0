"""The state of more containers than any node has: how long a start takes, what memory, whose names are known."""

import json
import re
import shutil
import signal
import statistics
import subprocess
import time

from harness.tracer import ATTACHED
from robust.lab import Skip, await_that, case
from track.lab import MINE

from .disk import Box, Disk
from .judge import Judge
from .lab import Owner
from .others import box, command_in, in_cgroups, in_root

FULL, CROWD = 500, 10_000
SIZE = 20_000  # bytes of a config.json
REPEATS = 7
MOST_KIB = 20 << 10
LATE = Box("team-0", "late", "app")  # comes when porttrace runs
KINDS, CONTAINERS = ("web", "db", "cache"), ("app", "proxy")


def boxes(number):
    """Containers in twos, in pods of ten namespaces."""
    for index in range(number):
        pod = index // 2
        yield Box(f"team-{pod % 10}", f"{KINDS[pod % 3]}-{pod}", CONTAINERS[index % 2])


def populated(lab, number, size=SIZE):
    disk = Disk(lab.temporary / f"host-{number}")
    for one in boxes(number):
        disk.containerd(one, size)
    return disk


class Clients:
    """Clients in containers of which there is nothing but state and a cgroup."""

    def __init__(self, lab):
        self.lab, self.net = lab, box(lab)

    def fail(self, name, owner, cgroup, count=0):
        """`cgroup`: a path below the lab's own; empty: the root of all."""
        client = self.lab.ports(name, count or self.lab.options.count // 10 + len(self.lab.clients))
        client.owner = owner
        command = command_in(self.lab, self.net, client)
        if cgroup:
            output = in_cgroups([self.lab.make_cgroup(cgroup.strip("/"))], command)
        else:
            output = in_root(self.lab, command)
        client.read(json.loads(output))
        return client

    def fail_in(self, one, **options):
        name = f"{one.namespace}/{one.pod}/{one.container}"
        return self.fail(name, Owner(one.names, one.runtime(), cgroup=one.cgroup), one.cgroup, **options)


def seconds_to_attach(lab, disk):
    """From the start of a porttrace to the line that says so."""
    command = [lab.options.porttrace, "trace", "-o", "ndjson", "--probe-mode", lab.mode, "--dest", MINE]
    command += ["--host-root", disk.folder]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith(ATTACHED):
                took = time.monotonic() - began
                break
        else:
            raise Skip(f"porttrace exited with {process.wait()}")
        process.send_signal(signal.SIGINT)
    return took


def measure(lab, **disks):
    """Starts by turns; notes the medians."""
    times = {name: [] for name in disks}
    for _ in range(REPEATS):
        for name, disk in disks.items():
            times[name].append(seconds_to_attach(lab, disk))
    medians = {name: 1000 * statistics.median(values) for name, values in times.items()}
    words = ", ".join(f"{name} {value:.0f} ms" for name, value in medians.items())
    first, last = list(medians.values())
    lab.note(f"start to attached, medians of {REPEATS}: {words}; {last - first:+.0f} ms")


def note_memory(lab):
    trace = lab.trace
    lab.note(f"VmHWM: {trace.attach_peak_kib} KiB until attached, {trace.peak_kib} KiB afterwards")


def check_memory(lab, judge):
    note_memory(lab)
    if max(lab.trace.peak_kib, lab.trace.attach_peak_kib) > MOST_KIB:
        judge.problem(f"more than {MOST_KIB} KiB")


def containers_told(lab):
    """How many containers --verbose has told of."""
    told = 0
    for line in lab.trace.message_lines():
        if found := re.search("names of containers come from: (.*)", line):
            told += sum(map(int, re.findall(r"\d+", found[1])))
        elif found := re.search("names of containers have come: (.*)", line):
            told += len(re.findall(r"\b[0-9a-f]{12}\b", found[1]))
            told += sum(map(int, re.findall(r"and (\d+) more", found[1])))
    return told


def is_told(lab, source, one):
    """Whether --verbose has said which source has told of a container."""
    lines = (line for line in lab.trace.message_lines() if "names of containers have come: " in line)
    return any(f"{source} " in line and one.id[:12] in line for line in lines)


def note_sources(lab):
    for line in lab.trace.message_lines():
        if "names of containers" in line:
            lab.note(line)


@case
def many(lab):
    """As many as a full node has, and starts beside those of an empty one."""
    disk = populated(lab, FULL)
    if lab.options.check == "names":
        measure(lab, empty=Disk(lab.temporary / "empty"), full=disk)
    clients = Clients(lab)
    lab.attach("--host-root", disk.folder, "--verbose")
    for one in list(boxes(FULL))[:: FULL // 6]:
        clients.fail_in(one)
    disk.containerd(LATE)
    await_that(lambda: is_told(lab, "containerd", LATE), f"--verbose's word of {LATE.pod}")
    clients.fail_in(LATE)
    lab.detach()
    judge = Judge(lab)
    if containers_told(lab) != FULL + 1:
        judge.problem(f"--verbose tells of {containers_told(lab)} containers, not {FULL + 1}")
    note_sources(lab)
    check_memory(lab, judge)
    return judge


def await_named(lab, clients, one):
    """Has a container fail until it has its name; returns how often it had none."""
    early = []

    def is_named():
        client = clients.fail_in(one, count=1)
        early.append(client)
        await_that(lambda: events_of(lab, client), "a line of a client's")
        return all("pod" in event.get("k8s", {}) for event in events_of(lab, client))

    await_that(is_named, "the name of a container")
    for client in early[:-1]:
        client.owner = Owner({"pod_uid": one.uid}, {"container_id": one.id}, cgroup=one.cgroup)
    return len(early) - 1


def events_of(lab, client):
    lines = lab.trace.output().split(b"\n")[:-1]
    events = [json.loads(line) for line in lines]
    return [event for event in events if event.get("dst", {}).get("port") == client.port]


@case
def crowd(lab):
    """Far more: what has not been read when it fails has no name yet, and never a wrong one."""
    if shutil.disk_usage(lab.temporary).free < 4 * CROWD * SIZE:
        raise Skip(f"less than {4 * CROWD * SIZE >> 20} MiB free in {lab.temporary}")
    disk = populated(lab, CROWD)
    clients = Clients(lab)
    chosen = list(boxes(CROWD))[:: CROWD // 6]
    began = time.monotonic()
    lab.attach("--host-root", disk.folder, "--verbose")
    attached = time.monotonic()
    nameless = sum(await_named(lab, clients, one) for one in chosen)
    named = time.monotonic()
    for one in chosen:
        clients.fail_in(one)
    lab.detach()
    lab.note(f"attached after {attached - began:.1f} s; {len(chosen)} have failed until they were named, one by one:")
    lab.note(f"the last {named - attached:.1f} s after that, {nameless} failures without a name")
    note_sources(lab)
    judge = Judge(lab)
    check_memory(lab, judge)
    return judge
