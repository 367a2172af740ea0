"""Containers that only cgroup v1 knows, on a host that has both."""

import json

from harness.cgroups import made_cgroup, need_v1
from robust.lab import case

from .disk import Box, Disk
from .judge import Judge
from .lab import Owner
from .others import box, command_in, in_cgroups

ALONE, TWIN, LOWER, UPPER = (digit * 64 for digit in "ab12")
CART = Box("shop", "cart", "app")


class Cases:
    """Clients by name: where each runs, and what must be said of it."""

    def __init__(self, lab):
        self.lab, self.net = lab, box(lab)
        self.main, self.mounts = need_v1()
        self.disk = Disk(lab.temporary / "host")
        self.hierarchies = {}  # port → cgroup.hierarchy, or None
        self.folders = {}  # port → the folder whose inode is cgroup.id

    def v1(self, path, *controllers):
        """A cgroup in v1 hierarchies, by default in all."""
        chosen = {self.mounts[name] for name in controllers or self.mounts}
        return [made_cgroup(self.lab, path, root) for root in sorted(chosen, key=self.is_other)]

    def is_other(self, root):
        """The hierarchy that porttrace looks into comes first."""
        return root != self.mounts[self.main]

    def v2(self, path="/"):
        return made_cgroup(self.lab, path)

    def fail(self, name, owner, folders, hierarchy):
        """`folders`: the cgroup that must be told comes first."""
        client = self.lab.ports(name, self.lab.options.count // 4 + len(self.lab.clients))
        client.owner = owner
        self.hierarchies[client.port] = hierarchy
        self.folders[client.port] = folders[0]
        client.read(json.loads(in_cgroups(folders, command_in(self.lab, self.net, client))))
        return client

    def judge(self):
        """Also the cgroup's whole path, id and hierarchy."""
        judge = Judge(self.lab)
        for event in self.lab.events:
            to = event.get("dst", {})
            client = judge.clients.get((to.get("addr"), to.get("port")))
            if client is None:
                continue
            wanted = {"id": self.folders[client.port].stat().st_ino, "path": client.owner.cgroup}
            wanted |= {"hierarchy": self.hierarchies[client.port]} if self.hierarchies[client.port] else {}
            if event.get("cgroup") != wanted:
                judge.problem(f"{client.name}: cgroup is {event.get('cgroup')}, not {wanted}", event["count"])
        return judge


def docker_owner(identity, path=""):
    runtime = {"name": "docker", "container_id": identity, "image": f"registry.example/{identity[:2]}:1"}
    return Owner(runtime=runtime, cgroup=path or f"/docker/{identity}")


def write_state(disk):
    for identity in (ALONE, TWIN, LOWER, UPPER):
        disk.docker(identity, f"registry.example/{identity[:2]}:1", f"name-{identity[:2]}")
    disk.docker(CART.id, CART.image, f"k8s_app_cart_shop_{CART.uid}_0", CART.labels)


def run_containers(cases):
    """Docker's, alike but for their ids; a pod's; one that is a container in v2 too. Returns the first."""
    main, root = cases.main, cases.v2()
    first = cases.fail("docker", docker_owner(ALONE), [*cases.v1(f"/docker/{ALONE}"), root], main)
    cases.fail("one hierarchy", docker_owner(TWIN), [*cases.v1(f"/docker/{TWIN}", main), root], main)
    pod = Owner(CART.names, CART.runtime("docker"), cgroup=CART.cgroup)
    cases.fail("pod", pod, [*cases.v1(CART.cgroup), root], main)
    below = f"/docker/{LOWER}/init.scope"
    cases.fail("below a container", docker_owner(LOWER, below), [*cases.v1(below), root], main)
    upper = cases.v2(f"/system.slice/docker-{UPPER}.scope")
    both = docker_owner(UPPER, f"/system.slice/docker-{UPPER}.scope")
    cases.fail("both", both, [upper, *cases.v1(f"/docker/{LOWER}")], None)
    return first


def run_others(cases):
    """No containers: wherever they are in v1, v2's path is theirs."""
    cases.fail("bare", Owner(cgroup="/"), [cases.v2()], None)
    own = cases.lab.make_cgroup("own")
    path = f"{cases.lab.cgroup}/own"
    cases.fail("own path", Owner(cgroup=path), [own], None)
    cases.fail("group in v1", Owner(cgroup="/"), [cases.v2(), *cases.v1(f"{cases.lab.cgroup}-group/batch")], None)


def filters(cases):
    """How the first container may be asked for."""
    path = f"/docker/{ALONE}"
    yield path
    for root in sorted({str(mount) for mount in cases.mounts.values()}):
        yield f"{root}{path}"


@case
def v1(lab):
    cases = Cases(lab)
    write_state(cases.disk)
    root = ("--host-root", cases.disk.folder)
    others = {path: lab.start_trace(*root, "--cgroup", path) for path in filters(cases)}
    for trace in others.values():
        trace.await_attached()
    lab.attach(*root)
    first = run_containers(cases)
    run_others(cases)
    lab.detach()
    judge = cases.judge()
    for path, trace in others.items():
        trace.stop()
        passed = trace.events()[-1]["detail"]["totals"]["connect_exhausted"]
        if passed != first.real:
            judge.problem(f"--cgroup {path}: {passed} of {first.real} pass")
    lab.note(f"hierarchy {cases.main}; --cgroup by {len(others)} paths")
    return judge
