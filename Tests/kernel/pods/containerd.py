"""containerd with its CRI plugin and a CNI bridge, all at its default paths, in the node's namespace."""

import json
import pathlib
import subprocess
import tempfile

from harness.clients import ClientError
from robust.lab import Skip, await_that, end, need_program

from .cri import CRIError, Runtime
from .images import PAUSE, write_images

STATE = pathlib.Path("/run/containerd")
CNI = pathlib.Path("/etc/cni/net.d")
PLUGINS = "/usr/lib/cni"
CONFIG = """
version = 2
root = "/var/lib/containerd"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = {systemd}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"
"""


def cgroupfs_parent(uid):
    return f"/kubepods/burstable/pod{uid}"


def systemd_parent(uid):
    return f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"


class Containerd:
    """Started with the lab and ended with it; every pod is removed first."""

    def __init__(self, lab, addresses, systemd=False):
        """`addresses`: the first and the last that a pod gets, in 10.88.0.0/16."""
        for program in ("containerd", "runc", "ctr", "nsenter"):
            need_program(program)
        if not (pathlib.Path(PLUGINS) / "bridge").exists():
            raise Skip(f"no CNI plugins in {PLUGINS}")
        self.lab, self.systemd = lab, systemd
        self.socket = STATE / "containerd.sock"
        self.write_network(addresses)
        config = lab.temporary / "containerd.toml"
        words = {"state": STATE, "pause": PAUSE, "plugins": PLUGINS, "cni": CNI}
        config.write_text(CONFIG.format(systemd=str(systemd).lower(), **words))
        self.log = tempfile.TemporaryFile()
        command = ["nsenter", f"--net={lab.nets['node'].path}", "containerd", "--config", config]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        lab.stack.callback(self.close)
        await_that(self.is_up, "containerd's socket")
        self.cri = Runtime(self.socket, systemd_parent if systemd else cgroupfs_parent)
        lab.stack.callback(self.cri.close)
        lab.stack.callback(self.remove_pods)
        await_that(self.answers, "an answer of containerd")
        write_images(lab.folder)
        self.load(lab.folder / "pause.tar")
        self.load(lab.folder / "clients.tar")

    def is_up(self):
        if self.process.poll() is not None:
            raise ClientError(f"containerd ended: {self.messages()[-2000:]}")
        return self.socket.exists()

    def answers(self):
        """The socket is there before the server behind it is."""
        try:
            return self.cri.call("Version", {})
        except CRIError:
            return None

    def messages(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def write_network(self, addresses):
        first, last = addresses
        pool = {"subnet": "10.88.0.0/16", "rangeStart": first, "rangeEnd": last, "gateway": "10.88.255.254"}
        ipam = {"type": "host-local", "ranges": [[pool]], "routes": [{"dst": "0.0.0.0/0"}]}
        bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": ipam}
        CNI.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]})
        (CNI / "10-pods.conflist").write_text(text)

    def load(self, archive):
        command = ["ctr", "--address", self.socket, "--namespace", "k8s.io", "images", "import", archive]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)

    @staticmethod
    def pid(identity):
        """The first process of a sandbox or container."""
        return int((STATE / "io.containerd.runtime.v2.task/k8s.io" / identity / "init.pid").read_text())

    def remove_pods(self):
        for sandbox in self.cri.sandboxes():
            self.cri.call("StopPodSandbox", {1: sandbox})
            self.cri.call("RemovePodSandbox", {1: sandbox})

    def close(self):
        self.process.terminate()
        self.process.wait()
        end(self.process)
        self.log.close()
