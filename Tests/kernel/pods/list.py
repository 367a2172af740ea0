"""--names FILE: what addresses elsewhere are called, read again when asked to."""

import json
import os
import pathlib
import signal
import subprocess

from robust.lab import await_that, case, check, equal, need_program, one_line

from .judge import Judge
from .lab import Owner
from .others import box, command_in, in_root

POD, SERVICE, OTHER_PORT, NETWORK, STRANGER = (f"198.51.100.{host}" for host in (31, 32, 33, 200, 44))
SENDER = "203.0.113.77"  # an address of nobody on this machine
TARGET = "10.88.200.7"  # neither


def entry(where, namespace, **names):
    """An object of the list; `where`: an address or a prefix."""
    key = "cidr" if "/" in where else "address"
    return json.dumps({key: where, "namespace": namespace} | names)


def first_list():
    return [
        entry(POD, "shop", pod="cart-1"),
        "{no JSON",
        entry(SERVICE, "shop", service="orders", port=20_001),
        entry(OTHER_PORT, "shop", service="elsewhere", port=1),
        entry("198.51.100.400", "shop", pod="nowhere"),
        entry("198.51.100.192/26", "far", pod="range"),
        entry(POD, "shop"),
    ]


FIRST_BAD = (2, 5, 7)  # lines of it that cannot be used


def second_list():
    return [entry(POD, "shop", pod="cart-2"), "", "17", entry(NETWORK, "near", service="one")]


SECOND_BAD = 3


class Clients:
    """Clients of the root cgroup, each with the name that its destination must have."""

    def __init__(self, lab):
        self.lab, self.net = lab, box(lab)
        self.wanted = {}  # port → dst.k8s, or None

    def fail(self, name, address, wanted):
        number = len(self.lab.clients)
        count, port = self.lab.options.count // 10 + number, 20_000 + number
        command = ["failing", "--count", count, "connect", f"{address}:{port}"]
        client = self.lab.client(name, "connect_exhausted", command, address, port)
        client.owner = Owner(cgroup="/")
        self.wanted[port] = wanted
        client.read(json.loads(in_root(self.lab, command_in(self.lab, self.net, client))))

    def flush(self):
        """What was counted so far is told by the list of now."""
        self.lab.trace.send(signal.SIGUSR1)
        await_that(self.all_told, "lines with all failures")

    def all_told(self):
        lines = self.lab.trace.output().split(b"\n")[:-1]
        mine = [event for event in map(json.loads, lines) if event.get("dst", {}).get("port") in self.wanted]
        return sum(event["count"] for event in mine) == sum(client.real for client in self.lab.clients)

    def judge(self):
        judge = Judge(self.lab)
        for event in self.lab.events:
            to = event.get("dst", {})
            if to.get("port") in self.wanted and to.get("k8s") != self.wanted[to["port"]]:
                wanted = self.wanted[to["port"]]
                judge.problem(f"{to['addr']}:{to['port']} is {to.get('k8s')}, not {wanted}", event["count"])
        return judge


def pod(namespace, name):
    return {"namespace": namespace, "pod": name}


def service(namespace, name):
    return {"namespace": namespace, "service": name}


def hang_up(lab, words):
    """Has the list read again; it is when the words are there."""
    before = lab.trace.messages().count(words)
    lab.trace.send(signal.SIGHUP)
    await_that(lambda: lab.trace.messages().count(words) > before, f"{words!r} on standard error")


@case
def names_file(lab):
    """Pods, services with a port, prefixes; read again with other names, and once not to be read."""
    clients = Clients(lab)
    path = lab.temporary / "names.ndjson"
    path.write_text("\n".join(first_list()) + "\n")
    lab.attach("--host-root", lab.temporary, "--names", path)
    clients.fail("pod", POD, pod("shop", "cart-1"))
    clients.fail("service", SERVICE, service("shop", "orders"))
    clients.fail("another port", OTHER_PORT, None)
    clients.fail("prefix", NETWORK, pod("far", "range"))
    clients.fail("stranger", STRANGER, None)
    clients.flush()
    path.write_text("\n".join(second_list()) + "\n")
    hang_up(lab, f"line {SECOND_BAD}:")
    clients.fail("pod, read again", POD, pod("shop", "cart-2"))
    clients.fail("service, gone", SERVICE, None)
    clients.fail("prefix, read again", NETWORK, service("near", "one"))
    path.unlink()
    hang_up(lab, "No such file")
    clients.fail("pod, not read again", POD, pod("shop", "cart-2"))
    lab.detach()
    judge = clients.judge()
    check_warnings(lab, judge, path)
    check_unreadable(lab, judge)
    return judge


def check_warnings(lab, judge, path):
    """A line for each that was bad, and one for the file that was not there."""
    words = [line for line in lab.trace.message_lines() if f"--names {path}:" in line]
    wanted = [f"line {number}:" for number in (*FIRST_BAD, SECOND_BAD)] + ["No such file"]
    if len(words) != len(wanted) or not all(text in line for text, line in zip(wanted, words)):
        judge.problem(f"on standard error: {words}, not {wanted}")
    for line in words:
        lab.note(line)


def check_unreadable(lab, judge):
    """At the start that is the end: one line, and nothing attached."""
    folder = lab.temporary / "folder"
    folder.mkdir()
    for path in (lab.temporary / "nothing", folder):
        trace = lab.start_trace("--names", path)
        equal(trace.wait(), 1, f"exit status with --names {path}")
        equal(trace.output(), b"", "standard output")
        line = one_line(trace.messages())
        if str(path) not in line or "attached" in line:
            judge.problem(f"--names {path}: {line}")
        lab.note(line)


README = pathlib.Path(__file__).resolve().parents[3] / "README.md"


def kubernetes_object(kind, name, spec, **status):
    return {"kind": kind, "metadata": {"namespace": "shop", "name": name}, "spec": spec, "status": status}


def kubectl_output():
    """What `kubectl get pods,services -A -o json` prints, as far as it matters."""
    addresses = [{"ip": POD}, {"ip": "2001:db8::31"}]
    gone = {"phase": "Succeeded", "podIPs": [{"ip": STRANGER}]}
    return {
        "kind": "List",
        "items": [
            kubernetes_object("Pod", "cart-1", {}, phase="Running", podIPs=addresses),
            kubernetes_object("Pod", "proxy", {"hostNetwork": True}, phase="Running", podIPs=[{"ip": SENDER}]),
            kubernetes_object("Pod", "job", {}, **gone),
            kubernetes_object("Pod", "waits", {}, phase="Pending"),
            kubernetes_object("Service", "orders", {"clusterIPs": [SERVICE, "2001:db8::32"]}),
            kubernetes_object("Service", "headless", {"clusterIPs": ["None"]}),
            kubernetes_object("Service", "elsewhere", {"type": "ExternalName"}),
        ],
    }


def readme_command():
    """README's way from kubectl to the list, as it stands there."""
    text = README.read_text()
    start = text.index("kubectl get pods,services")
    return text[start : text.index("\n```", start)]


@case
def from_kubectl(lab):
    """README's line of kubectl and jq, with a kubectl that prints what was prepared."""
    need_program("jq")
    tools = lab.temporary / "bin"
    tools.mkdir()
    (lab.temporary / "objects.json").write_text(json.dumps(kubectl_output()))
    (tools / "kubectl").write_text(f"#!/bin/sh\nexec cat {lab.temporary}/objects.json\n")
    (tools / "kubectl").chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", readme_command()], cwd=lab.temporary, env=environment, check=True)
    path = lab.temporary / "names.ndjson"
    both = [(POD, pod("shop", "cart-1")), (SERVICE, service("shop", "orders"))]
    sixes = [("2001:db8::31", pod("shop", "cart-1")), ("2001:db8::32", service("shop", "orders"))]
    wanted = [{"address": address} | names for address, names in (both[0], sixes[0], both[1], sixes[1])]
    equal([json.loads(line) for line in path.read_text().splitlines()], wanted, "the list")
    clients = Clients(lab)
    lab.attach("--host-root", lab.temporary, "--names", path)
    for address, names in (*both, (STRANGER, None)):
        clients.fail(str(names), address, names)
    lab.detach()
    check("--names" not in lab.trace.messages(), f"on standard error: {lab.trace.messages()}")
    return clients.judge()


@case
def inbound(lab):
    """A refused packet from elsewhere to an address of nobody here: the pod of the list is its owner."""
    lab.build()
    lab.track()
    outside = lab.nets["outside"]
    outside.ip(f"route add local {SENDER} dev lo\nroute add 10.88.200.0/24 via 203.0.113.2\n")
    client = inbound_client(lab, "listed", TARGET)
    client.owner = Owner(pod("far", "target"))
    path = lab.temporary / "names.ndjson"
    path.write_text(entry(TARGET, "far", pod="target") + "\n")
    lab.watch("--host-root", lab.temporary, "--names", path)
    client.read(json.loads(in_root(lab, command_in(lab, outside, client))))
    lab.unwatch()
    judge = Judge(lab)
    for event in lab.events[:-1]:
        found = event.get("attribution"), event.get("detail", {}).get("direction")
        if event.get("dst", {}).get("addr") == TARGET and found != ("address", "inbound"):
            judge.problem(f"attribution and direction are {found}", event["count"])
    return judge


def inbound_client(lab, name, address):
    count = lab.options.count // 10
    command = ["flows", "--from", SENDER, "--count", count, "--pause-us", 200, "udp", address, 20_000]
    return lab.client(name, "conntrack_table_full", command, address, 20_000, whole=False)
