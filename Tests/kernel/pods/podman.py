"""podman's containers, with its state at the default paths."""

import os
import subprocess

from track.net import execute

from .images import CLIENTS, PAUSE

SETTINGS = '[containers]\ndefault_ulimits=["nofile=10000:10000","nproc=4096:4096"]\n'
OPTIONS = ("--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay")


class Podman:
    """Ended with the lab: every container and pod is removed."""

    def __init__(self, lab, net):
        """Its containers live in the namespace `net`."""
        settings = lab.temporary / "containers.conf"
        settings.write_text(SETTINGS)
        self.environment = os.environ | {"CONTAINERS_CONF": str(settings)}
        self.enter = ["nsenter", f"--net={net.path}"]  # pods take no namespace by its path
        lab.stack.callback(self.remove_all)
        for name in ("clients.tar", "pause.tar"):
            self.call("load", "--quiet", "--input", lab.folder / name)

    def call(self, *words):
        command = [*self.enter, "podman", *OPTIONS, *words]
        return execute(list(map(str, command)), env=self.environment, stdin=subprocess.DEVNULL)

    def create_pod(self, name):
        infra = ("--infra-image", PAUSE, "--infra-command", "/pause")
        self.call("pod", "create", "--name", name, "--network", "host", *infra)

    def run(self, name, command, pod=""):
        """Runs a container to its end; returns (its id, what it printed)."""
        place = ["--pod", pod] if pod else ["--network", "host"]
        output = self.call("run", "--name", name, *place, CLIENTS, *command)
        return self.call("inspect", name, "--format", "{{.Id}}").strip(), output

    def remove_all(self):
        self.call("pod", "rm", "--all", "--force", "--time", "0")
        self.call("rm", "--all", "--force", "--time", "0")
