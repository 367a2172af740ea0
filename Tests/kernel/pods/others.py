"""Owners that are no pods: podman's containers, a service, a user's session, a process that belongs to nobody."""

import json
import os
import subprocess

from harness.cgroups import made_cgroup
from robust.lab import await_that, case, need_program

from .images import CLIENTS
from .judge import Judge
from .lab import Owner
from .podman import Podman

LOW, HIGH = 32768, 32775
SERVICE, SESSION = "porttrace-rig.service", "session-77.scope"
SERVICE_PATH, SESSION_PATH = f"/system.slice/{SERVICE}", f"/user.slice/user-1000.slice/{SESSION}"


def box(lab):
    """A namespace without a free port."""
    lab.build()
    lab.track()
    net = lab.net("box")
    net.ip("addr add 10.88.77.1/32 dev lo\nroute add 198.51.100.0/24 dev lo\n")
    net.sysctl("net/ipv4/ip_local_port_range", f"{LOW} {HIGH}")
    command = [lab.folder / "static/failing", "hold", "--range", f"{LOW}-{HIGH}"]
    holder = subprocess.Popen(
        ["nsenter", f"--net={net.path}", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    lab.stack.callback(end, holder)
    holder.stdout.readline()
    return net


def end(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


@case
def podman(lab):
    """A container by itself, and one in a pod of podman's."""
    need_program("podman")
    runtime = Podman(lab, box(lab))
    runtime.create_pod("group")
    lab.watch()
    for name, pod in (("alone", ""), ("grouped", "group")):
        client = lab.ports(f"podman {name}", lab.options.count + len(lab.clients))
        identity, output = runtime.run(name, client.command, pod)
        told = {"name": "podman", "container_id": identity, "image": CLIENTS}
        client.owner = Owner(runtime=told, cgroup=runtime.path_end(identity))
        client.read(json.loads(output.splitlines()[-1]))
    lab.unwatch()
    return Judge(lab)


@case
def units(lab):
    """A service, a session's scope, and a process in the root cgroup: systemd's own, or cgroups made by hand."""
    net = box(lab)
    lab.watch()
    places = {
        "service": (in_service, Owner(unit=SERVICE, cgroup=SERVICE_PATH)),
        "session": (in_session, Owner(unit=SESSION, cgroup=SESSION_PATH)),
        "nobody": (in_root, Owner(cgroup="/")),
    }
    for name, (run, owner) in places.items():
        client = lab.ports(name, lab.options.count + len(lab.clients))
        client.owner = owner
        client.read(json.loads(run(lab, command_in(lab, net, client))))
    lab.unwatch()
    return Judge(lab)


def command_in(lab, net, client):
    program = str(lab.folder / "static" / client.command[0])
    return ["nsenter", f"--net={net.path}", program, *client.command[1:]]


def in_service(lab, command):
    if lab.options.driver != "systemd":
        return in_cgroup(lab, SERVICE_PATH, command)
    output = lab.temporary / "service.out"
    # With the usual dependencies it would start what a whole boot starts, and empty /tmp.
    words = ["--property=DefaultDependencies=no", f"--property=StandardOutput=file:{output}"]
    words += ["--collect", f"--unit={SERVICE}"]
    subprocess.run(["systemd-run", "--quiet", *words, *command], check=True)
    await_that(lambda: output.exists() and output.read_text().endswith("}\n"), "the end of the service")
    return output.read_text().splitlines()[-1]


def in_session(lab, command):
    if lab.options.driver != "systemd":
        return in_cgroup(lab, SESSION_PATH, command)
    words = ["--scope", f"--unit={SESSION}", "--slice=user-1000.slice", "--property=DefaultDependencies=no"]
    return last_line(["systemd-run", "--quiet", *words, *command])


def in_root(lab, command):
    return in_cgroup(lab, "/", command)


def in_cgroup(lab, path, command):
    return in_cgroups([made_cgroup(lab, path)], command)


def in_cgroups(folders, command):
    """Runs a client in one cgroup of each of several hierarchies; returns what it printed."""
    files = [os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for folder in folders]
    try:
        return last_line(command, preexec_fn=lambda: [os.write(file, b"0") for file in files])
    finally:
        for file in files:
            os.close(file)


def last_line(command, **options):
    """The clients say that they are ready first."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True, **options)
    return done.stdout.splitlines()[-1]
