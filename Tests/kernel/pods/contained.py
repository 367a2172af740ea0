"""porttrace in a pod, with the host's processes and files but not its network: as good as one on the host."""

import collections
import json
import subprocess

from harness.tracer import ATTACHED, parse_tiers
from robust.lab import await_that, case, check
from track.lab import MINE

from .cri import ContainerSpec, PodSpec
from .images import build_porttrace
from .judge import Judge
from .oci import read_image
from .several import start

SAME = ("type", "cause", "proto", "dst", "k8s", "runtime", "unit")
GRACE = 60  # seconds that it has to stop; it needs far less


class ContainedTrace:
    """A porttrace in a pod of its own, from its start to its summary."""

    def __init__(self, lab, name, privileged=True, capabilities=None):
        self.lab = lab
        self.pod = PodSpec("kube-system", name, host_pid=True, privileged=privileged)
        command = ["/porttrace", "trace", "-o", "ndjson", "--probe-mode", lab.mode]
        command += [] if lab.options.unconfined else ["--dest", MINE]
        command += ["--host-root", "/host"] if lab.options.check == "names" else []
        self.spec = ContainerSpec("porttrace", image_of(lab), command, {"/host": "/"}, capabilities)
        lab.cri.start_pod(self.pod)
        lab.cri.start_container(self.pod, self.spec)

    def messages(self):
        return list(self.lab.cri.log(self.pod, self.spec, "stderr"))

    def tiers(self):
        """None as long as it has not attached."""
        for line in self.messages():
            if line.startswith(ATTACHED):
                return parse_tiers(line[len(ATTACHED) :])
        return None

    def await_attached(self):
        """False where it ended instead."""
        await_that(lambda: self.tiers() or self.ended(), "the contained porttrace")
        return bool(self.tiers()) and not self.ended()

    def ended(self):
        return self.lab.cri.exit_code(self.spec) is not None

    def stop(self):
        self.lab.cri.stop_container(self.spec, GRACE)
        code = self.lab.cri.await_exit(self.spec)
        check(not code, f"the contained porttrace exited with {code}: {self.messages()}")
        return [json.loads(line) for line in self.lab.cri.log(self.pod, self.spec)]


def image_of(lab):
    """Loads the product's image; returns its name."""
    build_porttrace(lab.folder, lab.options.porttrace)
    lab.containerd.load(lab.folder / "porttrace.tar")
    return f"localhost/porttrace:{version_of(lab)}"


def version_of(lab):
    done = subprocess.run([lab.options.porttrace, "--version"], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.split()[1]


LABELS = "org.opencontainers.image."


def check_image(lab, judge):
    """The static binary and nothing else, with labels that say what it is."""
    image, names = read_image(lab.folder / "porttrace.tar")
    if names != ["porttrace"]:
        judge.problem(f"in the image: {names}")
    config = image["config"]
    if config["Entrypoint"] != ["/porttrace"]:
        judge.problem(f"the image's entrypoint is {config['Entrypoint']}")
    labels = {key.removeprefix(LABELS): text for key, text in config["Labels"].items() if key.startswith(LABELS)}
    if labels.keys() != {"title", "description", "version", "revision"} or not all(labels.values()):
        judge.problem(f"the image's labels: {labels}")
    if (labels.get("title"), labels.get("version")) != ("porttrace", version_of(lab)):
        judge.problem(f"the image is {labels}")
    lab.note(f"image: {names}, {labels}")


def sums(events):
    """What was said of whom, however many lines it took."""
    found = collections.Counter()
    for event in events:
        if event["type"] not in ("lost", "pressure", "summary"):
            path = event.get("cgroup", {}).get("path")
            found[json.dumps([*(event.get(name) for name in SAME), path], sort_keys=True)] += event["count"]
    return found


@case
def contained(lab):
    """A privileged pod beside one on the host, over the same failures."""
    lab.start()
    inside = ContainedTrace(lab, "porttrace")
    check(inside.await_attached(), f"it did not attach: {inside.messages()}")
    start(lab, {}, gated=True)
    lab.watch()
    lab.open_gate()
    lab.finish()
    lab.unwatch()
    lab.note(f"in the pod: {inside.tiers()}")
    events = inside.stop()
    outer, inner = Judge(lab), Judge(lab, events)
    check_image(lab, outer)
    mine, others = sums(lab.events), sums(events)
    for key in sorted({*mine, *others}):
        if mine[key] != others[key]:
            inner.problem(f"{key}: {mine[key]} on the host, {others[key]} in the pod")
    return [outer, inner]
