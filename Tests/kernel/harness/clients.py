"""Builds the failing client and runs it, many at once."""

import dataclasses
import json
import os
import pathlib
import subprocess

from .scenario import Client

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "clients"
FLAGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread"]


class ClientError(Exception):
    """A client that could not do its work: the test is broken, not porttrace."""


def compiler():
    for name in ("clang", "cc"):
        if any(os.access(pathlib.Path(d) / name, os.X_OK) for d in os.environ["PATH"].split(":")):
            return name
    raise ClientError("no C compiler")


def build(folder):
    """Compiles the client for 64 and, where the machine can, for 32 bits."""
    sources = sorted(map(str, SOURCES.glob("*.c")))
    subprocess.run([compiler(), *FLAGS, "-o", str(folder / "failing"), *sources], check=True)
    command = ["gcc", *FLAGS, "-m32", "-o", str(folder / "failing32"), *sources]
    try:
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        pass


def probe_features(folder, node):
    """Each feature, with "yes" or why not."""
    features = json.loads(subprocess.run([folder / "failing", "features"], stdout=subprocess.PIPE, check=True).stdout)
    features["nft"] = node.namespaces["plain"].apply_policy() or "yes"
    features["32bit"] = "yes" if runs(folder / "failing32") else "no 32-bit build runs here"
    return features


def runs(program):
    try:
        return subprocess.run([program, "features"], stdout=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


@dataclasses.dataclass
class Outcome:
    """What one client got, by its own count."""

    client: object
    pid: int
    destinations: list  # (addr, port, {errno name: count}); addr None without a destination

    @property
    def total(self):
        return sum(sum(outcomes.values()) for _, _, outcomes in self.destinations)

    def counted(self, error):
        return sum(outcomes.get(error, 0) for _, _, outcomes in self.destinations)


class Crowd:
    """Clients that wait for one common start."""

    def __init__(self, node, folder, cpus=0):
        self.node, self.folder, self.cpus = node, folder, cpus
        self.members = []
        self.waiting, self.gate = os.pipe()

    def add(self, client, count):
        arguments = ["--count", str(max(1, round(count * client.share))), "--comm", client.comm]
        if client.uid:
            arguments += ["--uid", str(client.uid)]
        self.members.append((client, self.spawn(client, arguments)))

    def add_holder(self, net, port_range):
        client = Client(f"hold-{net}", ("hold", "--range", port_range), net=net, cgroup="")
        self.members.append((client, self.spawn(client, [])))

    def spawn(self, client, arguments):
        program = self.folder / ("failing32" if client.bits == 32 else "failing")
        mode, *options = client.arguments
        enter, release = self.node.entry(client.net, client.cgroup, self.cpus)
        try:
            process = subprocess.Popen(
                [program, mode, *options, *arguments, *client.to],
                stdin=self.waiting,
                stdout=subprocess.PIPE,
                preexec_fn=enter,
                text=True,
            )
        finally:
            release()
        return process

    def await_ready(self):
        for client, process in self.members:
            if process.stdout.readline() != "ready\n":
                raise ClientError(f"{client.name} could not set itself up")

    def start(self):
        os.close(self.gate)
        self.gate = -1

    def outcomes(self):
        found = []
        for client, process in self.members:
            output = process.stdout.read()
            if process.wait():
                raise ClientError(f"{client.name} exited with {process.returncode}")
            found.append(parse(client, output))
        return found

    def close(self):
        """Ends what still runs; harmless after a good run."""
        for descriptor in (self.gate, self.waiting):
            if descriptor >= 0:
                os.close(descriptor)
        self.gate = self.waiting = -1
        for _, process in self.members:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


def parse(client, output):
    report = json.loads(output)
    destinations = [(d.get("addr"), d.get("port"), d["outcomes"]) for d in report["destinations"]]
    return Outcome(client, report["pid"], destinations)
