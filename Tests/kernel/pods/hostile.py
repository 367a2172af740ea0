"""All that somebody may put where the state of containers is read, at once: the others are named all the same."""

import json
import os
import re
import socket

from harness.tracer import parse_lines
from robust.lab import await_that, case

from .disk import DOCKER, STORAGE, TASKS, Box, Disk, docker_state, runtime_spec
from .judge import Judge
from .lab import Owner
from .many import CROWD, Clients, boxes, check_memory, containers_told

GIGABYTE = 1 << 30
DEPTH = 200_000
GOOD = Box("shop", "cart", "app")
STOLEN = Box("stolen", "stolen", "stolen")  # outside the root; must not be told
EVIL_NAMES = ('e\n"v\x1b[31mil', "po\x1b]0;d\x07\r\n", "con\u202etainer\u009b2J", "im\\age\t\x7f")
EVIL = Box(*EVIL_NAMES)
EVIL_DOCKER, EVIL_CRIO = (Box(f"{what}{EVIL_NAMES[0]}", *EVIL_NAMES[1:]) for what in ("docker", "crio"))
PODMAN = Box("", "", "podman")
LOGGED = Box("shop", "logged", "app")


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
    write_gigabyte(folder / "config.json", runtime_spec(one.annotations))


def write_gigabyte(path, text):
    with path.open("wb") as file:
        file.write(text.encode())
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
    """A container's files, and whole trees of state, of which everything would be told if anybody followed a link."""
    there = Disk(lab.temporary / "outside")
    spec = runtime_spec(STOLEN.annotations)
    there.write("config.json", spec)
    there.write("config.v2.json", docker_state(STOLEN.id, "stolen", "stolen"))
    for state in (TASKS.removeprefix("run/containerd/"), TASKS.removeprefix("run/")):
        there.write(f"{state}/{STOLEN.id}/config.json", spec)
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
    for one in (folder_link(), STOLEN):
        (tasks / one.id).symlink_to(away)
    (tasks.parent / "stolen").symlink_to(away / TASKS.removeprefix("run/containerd/"))
    write_docker(disk, away)
    write_storage(disk, away)
    write_elsewhere(disk, away)
    for one in boxes(CROWD):
        disk.containerd(one)


def folder_link():
    return Box("sick", "folder-link", "sick")


def foreign(runtime, what):
    """A container whose file is `what` in another runtime's folder."""
    return Box("sick", f"{runtime}-{what}", "sick")


FOREIGN = [foreign(runtime, what) for runtime in ("docker", "storage") for what in ("fifo", "gigabyte")]


def write_foreign(runtime, folder, file, text):
    for what in ("fifo", "gigabyte"):
        one = foreign(runtime, what)
        path = folder / one.id / file
        path.parent.mkdir(parents=True)
        if what == "fifo":
            os.mkfifo(path)
        else:
            write_gigabyte(path, text(one))


def write_docker(disk, away):
    folder = disk.folder / DOCKER
    write_foreign("docker", folder, "config.v2.json", lambda one: docker_state(one.id, one.image, "sick"))
    (folder / STOLEN.id).symlink_to(away)
    disk.docker(EVIL_DOCKER.id, EVIL_DOCKER.image, "k8s_evil", EVIL_DOCKER.labels)


def write_storage(disk, away):
    """podman's list of names is no list."""
    folder = disk.folder / STORAGE
    write_foreign("storage", folder, "userdata/config.json", lambda one: runtime_spec(one.labels))
    (folder / STOLEN.id).symlink_to(away)
    disk.storage(PODMAN.id, {"io.container.manager": "libpod"})
    (folder / "containers.json").write_bytes(b'[{"id":' * DEPTH)
    (folder / "volatile-containers.json").symlink_to("/dev/zero")
    told = {"io.kubernetes.cri-o.Labels": "{", "io.kubernetes.cri-o.ImageName": EVIL_CRIO.image}
    disk.storage(EVIL_CRIO.id, told | EVIL_CRIO.labels)


def write_elsewhere(disk, away):
    """The other places that are read."""
    disk.write("etc/containerd/config.toml", f'state = "{"../" * 20}{str(away)[1:]}"\n')
    (disk.folder / "etc/docker").mkdir()
    os.mkfifo(disk.folder / "etc/docker/daemon.json")
    disk.write("etc/crio/crio.conf", b'[crio]\nroot = "' + b"/a" * 100_000)
    logs = disk.folder / "var/log"
    (logs / "pods" / "e\x1b[31m\n_sick_sick").mkdir(parents=True)
    (logs / "containers").mkdir()
    link = f"{LOGGED.pod}_{LOGGED.namespace}_{LOGGED.container}-{LOGGED.id}.log"
    (logs / "containers" / link).symlink_to(f"../pods/../../../../outside/{'x' * 200}")
    (disk.folder / "run/k3s").symlink_to("/" + "../" * 20 + str(away)[1:])
    (disk.folder / "run/k0s").symlink_to("../" * 20 + str(away)[1:])


def owner(one, **runtime):
    """What the path of the cgroup says, and what else is known of the runtime."""
    return Owner({"pod_uid": one.uid}, {"container_id": one.id} | runtime, cgroup=one.cgroup)


def fail_all(clients):
    clients.fail_in(GOOD)
    for one in [*map(sick, UNREADABLE), *FOREIGN, folder_link(), STOLEN]:
        # Nothing of the stolen one's names may be in any line.
        clients.fail("outside" if one is STOLEN else one.pod, owner(one), one.cgroup)
    for one in map(sick, NAMELESS):
        clients.fail(one.pod, owner(one, name="containerd"), one.cgroup)
    for one, runtime in ((EVIL, "containerd"), (EVIL_DOCKER, "docker"), (EVIL_CRIO, "cri-o")):
        clients.fail(f"evil {runtime}", Owner(one.names, one.runtime(runtime), cgroup=one.cgroup), one.cgroup)
    clients.fail("logged", Owner(LOGGED.names, {"container_id": LOGGED.id}, cgroup=LOGGED.cgroup), LOGGED.cgroup)
    path = f"/libpod_parent/libpod-{PODMAN.id}"
    clients.fail("podman", Owner(None, {"name": "podman", "container_id": PODMAN.id}, cgroup=path), path)
    for one in list(boxes(CROWD))[:: CROWD // 4]:
        clients.fail_in(one)
    clients.fail("good again", Owner(GOOD.names, GOOD.runtime(), cgroup=GOOD.cgroup), GOOD.cgroup)


@case
def hostile(lab):
    disk = Disk(lab.temporary / "host")
    write_state(lab, disk)
    readable = CROWD + len(NAMELESS) + len((GOOD, EVIL, EVIL_DOCKER, EVIL_CRIO, PODMAN, LOGGED))
    clients = Clients(lab)
    text = lab.start_trace("--host-root", disk.folder, "-o", "text")
    text.await_attached()
    lab.attach("--host-root", disk.folder, "--verbose")
    await_that(lambda: containers_told(lab) >= readable, "--verbose's word of all containers")
    fail_all(clients)
    lab.detach()
    judge = Judge(lab)
    if containers_told(lab) != readable:
        judge.problem(f"names of {containers_told(lab)} containers, not {readable}")
    check_output(lab, judge, text.stop())
    check_memory(lab, judge)
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
