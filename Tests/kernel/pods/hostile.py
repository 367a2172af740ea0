"""All that somebody may put where the state of containers is read, at once: the others are named all the same."""

import json
import os
import re
import socket

from harness.tracer import parse_lines
from robust.lab import case

from .disk import DOCKER, TASKS, Box, Disk, runtime_spec
from .judge import Judge
from .lab import Owner
from .many import Clients, note_memory

GIGABYTE = 1 << 30
DEPTH = 200_000
MOST_KIB = 30 << 10
GOOD = Box("shop", "cart", "app")
STOLEN = Box("stolen", "stolen", "stolen")  # outside the root; must not be told
EVIL = Box('e\n"v\x1b[31mil', "po\x1b]0;d\x07\r\n", "con\u202etainer\u009b2J", "im\\age\t\x7f")


def fifo(folder, one):
    os.mkfifo(folder / "config.json")


def link_out(folder, one):
    (folder / "config.json").symlink_to(outside(folder) / "config.json")


def link_up(folder, one):
    (folder / "config.json").symlink_to("../" * 24 + str(outside(folder) / "config.json")[1:])


def link_in(folder, one):
    """Not even to another container of the same root."""
    (folder / "config.json").symlink_to(f"../{GOOD.id}/config.json")


def loop(folder, one):
    (folder / "config.json").symlink_to("config.json")


def endless(folder, one):
    (folder / "config.json").symlink_to("/dev/zero")


def process_memory(folder, one):
    (folder / "config.json").symlink_to("/proc/self/mem")


def device(folder, one):
    os.mknod(folder / "config.json", 0o020666, os.makedev(1, 5))  # zero


def unix_socket(folder, one):
    with socket.socket(socket.AF_UNIX) as made:
        descriptor = os.open(folder, os.O_PATH)  # the whole path is too long for a socket's
        made.bind(f"/proc/self/fd/{descriptor}/config.json")
        os.close(descriptor)


def a_folder(folder, one):
    (folder / "config.json").mkdir()


def gigabyte(folder, one):
    with (folder / "config.json").open("wb") as file:
        file.write(runtime_spec(one.annotations).encode())
        file.truncate(GIGABYTE)


def wide(folder, one):
    """Just below the limit, and all of it brackets."""
    put(folder, b'{"ociVersion":"1","annotations":{"a":[' + b"[]," * 1_300_000 + b"[]]}}")


def deep(folder, one):
    put(folder, b'{"ociVersion":"1","annotations":' + b'{"a":' * DEPTH + b"1" + b"}" * DEPTH + b"}")


def deep_open(folder, one):
    put(folder, b'{"ociVersion":"1","annotations":' + b"[" * DEPTH)


def cut(folder, one):
    put(folder, runtime_spec(one.annotations).encode()[:-20])


def no_json(folder, one):
    put(folder, b"\x7fELF" + bytes(range(256)) * 8)


def invalid_utf8(folder, one):
    put(folder, runtime_spec(one.annotations).encode().replace(b"sick", b"s\xff\xc0\xafck"))


def surrogate(folder, one):
    put(folder, runtime_spec(one.annotations).encode().replace(b"sick", b"s\\ud800ck"))


def with_nul(folder, one):
    names = {key: "s\0ck" for key in one.annotations}
    put(folder, runtime_spec(names).encode())


def other_types(folder, one):
    put(folder, json.dumps({"ociVersion": 1, "annotations": dict.fromkeys(one.annotations, ["sick"])}).encode())


def long_names(folder, one):
    put(folder, runtime_spec({key: "sick" * 100_000 for key in one.annotations}).encode())


def sandbox_outside(folder, one):
    """Its sandbox, which has the names, is somewhere else."""
    words = {"sandbox-id": "../../../../../../../outside", "container-name": ""}
    put(folder, runtime_spec({f"io.kubernetes.cri.{key}": value for key, value in words.items()}).encode())


UNREADABLE = (
    *(fifo, link_out, link_up, link_in, loop, endless, process_memory, device, unix_socket, a_folder, gigabyte, wide),
    *(deep, deep_open, cut, no_json, invalid_utf8, surrogate),
)
NAMELESS = (with_nul, other_types, long_names, sandbox_outside)  # read, but for the names


def put(folder, content):
    (folder / "config.json").write_bytes(content)


def outside(folder):
    """The folder beside the host root with what is not to be read."""
    return next(parent for parent in folder.parents if parent.name == "host").parent / "outside"


def sick(make):
    return Box("sick", make.__name__.replace("_", "-"), "sick")


def write_outside(lab):
    there = Disk(lab.temporary / "outside")
    there.write("config.json", runtime_spec(STOLEN.annotations))
    there.write("config.v2.json", json.dumps({"ID": STOLEN.id, "Name": "/stolen", "Config": {"Image": "stolen"}}))
    return there.folder


def write_state(lab, disk):
    """Folders are read in no order: what is good comes before and after what is not."""
    away = write_outside(lab)
    disk.containerd(GOOD)
    disk.containerd(EVIL)
    tasks = disk.folder / TASKS
    for make in (*UNREADABLE, *NAMELESS):
        folder = tasks / sick(make).id
        folder.mkdir()
        make(folder, sick(make))
    (tasks / folder_link().id).symlink_to(away)
    write_elsewhere(disk, away)


def folder_link():
    return Box("sick", "folder-link", "sick")


def write_elsewhere(disk, away):
    """The other places that are read."""
    (disk.folder / DOCKER).mkdir(parents=True)
    (disk.folder / DOCKER / STOLEN.id).symlink_to(away)
    storage = "var/lib/containers/storage/overlay-containers"
    disk.write(f"{storage}/{sick(fifo).id}/userdata/config.json", b"[" * DEPTH)
    disk.write(f"{storage}/containers.json", b'[{"id":' * DEPTH)
    disk.write("etc/containerd/config.toml", f'state = "{"../" * 20}{str(away)[1:]}"\n')
    (disk.folder / "etc/docker").mkdir()
    os.mkfifo(disk.folder / "etc/docker/daemon.json")
    disk.write("etc/crio/crio.conf", b'[crio]\nroot = "' + b"/a" * 100_000)
    logs = disk.folder / "var/log"
    (logs / "pods" / "e\x1b[31m\n_sick_sick").mkdir(parents=True)
    (logs / "containers").mkdir()
    link = f"sick_sick_sick-{STOLEN.id}.log"
    (logs / "containers" / link).symlink_to(f"../pods/../../../../outside/{'x' * 200}")
    (disk.folder / "run/k3s").symlink_to("/" + "../" * 20 + str(away)[1:])


def owner(one, **runtime):
    """What the path of the cgroup says, and what else is known of the runtime."""
    return Owner({"pod_uid": one.uid}, {"container_id": one.id} | runtime, cgroup=one.cgroup)


def fail_all(clients):
    clients.fail_in(GOOD)
    for one in [sick(make) for make in UNREADABLE] + [folder_link()]:
        clients.fail(one.pod, owner(one), one.cgroup)
    for one in map(sick, NAMELESS):
        clients.fail(one.pod, owner(one, name="containerd"), one.cgroup)
    clients.fail("evil", Owner(EVIL.names, EVIL.runtime(), cgroup=EVIL.cgroup), EVIL.cgroup)
    clients.fail("good again", Owner(GOOD.names, GOOD.runtime(), cgroup=GOOD.cgroup), GOOD.cgroup)


@case
def hostile(lab):
    disk = Disk(lab.temporary / "host")
    write_state(lab, disk)
    clients = Clients(lab)
    text = lab.start_trace("--host-root", disk.folder, "-o", "text")
    text.await_attached()
    lab.attach("--host-root", disk.folder, "--verbose")
    fail_all(clients)
    lab.detach()
    judge = Judge(lab)
    check_output(lab, judge, text.stop())
    note_memory(lab)
    if max(lab.trace.peak_kib, lab.trace.attach_peak_kib) > MOST_KIB:
        judge.problem(f"more than {MOST_KIB} KiB")
    return judge


def check_output(lab, judge, shown):
    raw = lab.trace.output()
    # JSON may have the others as they are.
    kinds = (("NDJSON", raw, "[\x00-\x09\x0b-\x1f]"), ("text", shown, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]"))
    for what, output, forbidden in kinds:
        words = output.decode(errors="strict")
        if found := re.search(forbidden, words):
            judge.problem(f"{what}: raw {found[0]!r} in {words[found.start() - 40 : found.end() + 40]!r}")
        if STOLEN.namespace in words:
            judge.problem(f"{what}: read outside of the root")
    parse_lines(raw)
    total = sum(client.real for client in lab.clients)
    if f"ports exhausted {total}" not in shown.decode():
        judge.problem(f"text: no total of {total}: {shown.decode()[-300:]!r}")
    lab.note(f"evil: {json.dumps(EVIL.names)}")
    lab.note(next((line for line in shown.decode().splitlines() if "v\\x1b" in line), "not shown"))
