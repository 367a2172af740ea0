"""podman's containers, with its state at the default paths."""

import os
import subprocess

from harness.node import cgroup2_root
from track.net import execute

from .images import CLIENTS, PAUSE, write_images

SETTINGS = '[containers]\ndefault_ulimits=["nofile=10000:10000","nproc=4096:4096"]\n'
OPTIONS = ("--runtime", "runc", "--storage-driver", "overlay")


class Podman:
    """Ended with the lab: every container and pod is removed."""

    def __init__(self, lab, net):
        """Its containers live in the namespace `net`."""
        settings = lab.temporary / "containers.conf"
        settings.write_text(SETTINGS)
        self.environment = os.environ | {"CONTAINERS_CONF": str(settings)}
        self.systemd = lab.options.driver == "systemd"
        self.manager = f"--cgroup-manager={lab.options.driver}"
        self.enter = ["nsenter", f"--net={net.path}"]  # pods take no namespace by its path
        lab.stack.callback(self.remove_all)
        write_images(lab.folder)
        for name in ("clients.tar", "pause.tar"):
            self.call("load", "--quiet", "--input", lab.folder / name)

    def call(self, *words):
        command = [*self.enter, "podman", *OPTIONS, self.manager, *words]
        return execute(list(map(str, command)), env=self.environment, stdin=subprocess.DEVNULL)

    def create_pod(self, name):
        infra = ["--infra-image", PAUSE, "--infra-command", "/pause"]
        if not self.systemd and (cgroup2_root() / "cgroup.controllers").read_text().strip():
            infra.append("--share-parent=false")  # podman 4.3 lets nobody use a device below a pod's cgroup of its own in v2
        self.call("pod", "create", "--name", name, "--network", "host", *infra)

    def path_end(self, identity):
        return f"/libpod-{identity}" + (".scope" if self.systemd else "")

    def run(self, name, command, pod=""):
        """Runs a container to its end; returns (its id, what it printed)."""
        place = ["--pod", pod] if pod else ["--network", "host"]
        output = self.call("run", "--name", name, *place, CLIENTS, *command)
        return self.call("inspect", name, "--format", "{{.Id}}").strip(), output

    def remove_all(self):
        self.call("pod", "rm", "--all", "--force", "--time", "0")
        self.call("rm", "--all", "--force", "--time", "0")
