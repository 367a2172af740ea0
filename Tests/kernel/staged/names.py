"""The names of a staged node's pods, as containerd leaves them on disk, in a folder taken for the host's root."""

import json

from pods.disk import TASKS, Disk

NAMESPACE = "shop"


class Names:
    def __init__(self, folder):
        self.disk = Disk(folder)
        self.tells_network = True  # whether a record has the path of its pod's network namespace

    @property
    def root(self):
        return self.disk.folder

    def sandbox(self, pod):
        """What holds the pod's network namespace."""
        self.write(pod, "pause", pod.cgroup("pause").name, {"container-type": "sandbox"})

    def container(self, pod, name):
        words = {"container-type": "container", "container-name": name, "image-name": "registry.example/app:1"}
        self.write(pod, name, pod.cgroup(name).name, words)

    def write(self, pod, name, identity, words):
        words |= {"sandbox-id": pod.cgroup("pause").name, "sandbox-name": pod.name}
        words |= {"sandbox-namespace": NAMESPACE, "sandbox-uid": str(pod.uid)}
        network = {"type": "network"} | ({"path": str(pod.net.path)} if self.tells_network else {})
        spec = {
            "ociVersion": "1.0.2-dev",
            "annotations": {f"io.kubernetes.cri.{key}": value for key, value in words.items()},
            "linux": {"namespaces": [{"type": "pid"}, network]},
        }
        self.disk.write(f"{TASKS}/{identity}/config.json", json.dumps(spec))
