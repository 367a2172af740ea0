"""A staged node: the conntrack tests' lab, with workers in it, `porttrace check` beside it, and its fixes applied."""

import dataclasses
import json
import pathlib
import subprocess
import tempfile
import time

from robust.lab import check, equal
from robust.trace import Trace
from track import lab as track
from track.net import NETFILTER, OUTSIDE4, OUTSIDE6

from .commands import place_of
from .names import Names
from .workers import Worker

BUCKETS = NETFILTER / "nf_conntrack_buckets"
SAMPLE = 3  # seconds
GUEST_SAMPLE = 6  # under emulation what happens in a sample takes longer
MARGIN = 0.3  # s: the two forms are not attached at the same moment


class Overrun(Exception):
    """What was to happen in a sample took longer: the machine is slow, and the run says nothing."""


@dataclasses.dataclass
class Verdict:
    """What one `porttrace check` said, as a document and as text, of the same moment."""

    status: int
    document: dict
    text_status: int
    text: str
    tiers: dict


class Lab(track.Lab):
    def __init__(self, options, mode, folder):
        super().__init__(options, mode, folder)
        self.workers = []
        self.verdicts = []
        self.sample = SAMPLE if self.native else GUEST_SAMPLE
        temporary = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="porttrace-staged."))
        self.names = Names(pathlib.Path(temporary) / "root")
        self.stack.callback(self.keep_buckets())

    def again(self):
        """All from the beginning, with more time."""
        sample = 4 * self.sample
        self.close()
        self.__init__(self.options, self.mode, self.folder)
        self.sample = sample

    def keep_buckets(self):
        """A fix may change the machine's hash size: it is given back."""
        former = BUCKETS.read_text() if BUCKETS.exists() else ""

        def restore():
            if former and BUCKETS.read_text() != former:
                BUCKETS.write_text(former)

        return restore

    # Parts

    def build(self, *pods, **options):
        """With containerd's records of the pods."""
        super().build(*pods, **options)
        for pod in self.pods.values():
            self.names.sandbox(pod)

    def cgroup_of(self, place, container):
        if place in self.pods:
            self.names.container(self.pods[place], container)
            return self.pods[place].cgroup(container)
        return self.make_cgroup(f"{place}.slice/{container}.service")

    def worker(self, name, place, **options):
        worker = Worker(self, name, place, **options)
        self.workers.append(worker)
        return worker

    def far(self, *ports, v6=False, **options):
        """A server on all addresses of the outside."""
        net = self.nets["outside"]
        if not any(worker.place == "outside" for worker in self.workers):
            net.ip(f"route add local {OUTSIDE4} dev lo\nroute add local {OUTSIDE6} dev lo\n")
        server = self.worker(f"server-{ports[0]}", "outside")
        server.all("ok", "listen", "::" if v6 else "0.0.0.0", list(ports), **options)
        return server

    def range(self, place, low, high, reserved=""):
        net = self.nets[place]
        net.sysctl("net/ipv4/ip_local_port_range", f"{low} {high}")
        if reserved:
            net.sysctl("net/ipv4/ip_local_reserved_ports", reserved)

    @property
    def inodes(self):
        return {net.inode: kind for kind, net in self.nets.items()}

    # porttrace

    def start(self, form, *arguments):
        command = [self.options.porttrace, "check", "-o", form, "--probe-mode", self.mode]
        command += ["--host-root", self.names.root]
        command += ["--duration", f"{self.sample}s"]
        return self.stack.enter_context(Trace([*command, *arguments]))

    def check(self, *arguments, meanwhile=None):
        """Both forms at once; what happens `meanwhile` begins when both are attached and is over before they end.

        Without porttrace nothing but that happens.
        """
        if self.options.without_porttrace:
            (meanwhile or rest)()
            return None
        forms = [self.start(form, *arguments) for form in ("json", "text")]
        self.trace = self.trace or forms[0]
        try:
            forms[0].await_attached()
            attached = time.monotonic()
            forms[1].await_attached()
        except FileNotFoundError as error:  # the one has ended before the other was attached
            raise Overrun from error
        if meanwhile:
            meanwhile()
            if time.monotonic() > attached + self.sample - MARGIN:
                raise Overrun
        (status, document), (text_status, text) = ((one.wait(), one.output()) for one in forms)
        verdict = Verdict(status, parse(document), text_status, text.decode(), forms[0].tiers)
        self.verdicts.append(verdict)
        return verdict

    def apply(self, command):
        """Pastes a fix, as root would; it may act on what is the test's alone."""
        pids = {worker.pid for worker in self.workers} | {pod.pause.pid for pod in self.pods.values()}
        where = place_of(command, pids)
        check(where, f"this command may not be run: {command!r}")
        if where == "machine":
            self.limit.remember()
        done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        equal(done.returncode, 0, f"{command!r} said {done.stdout.strip()!r}, exit status")
        self.note(f"fixed by {command}")


def patient(case):
    """The same case, tried once more where the machine was too slow."""

    def run(lab):
        try:
            return case.run(lab)
        except Overrun:
            lab.again()
            return case.run(lab)

    return dataclasses.replace(case, run=run)


def rest():
    time.sleep(1)


def parse(output):
    try:
        return json.loads(output)
    except ValueError as error:
        check(False, f"no JSON ({error}): {output[:200]!r}")
