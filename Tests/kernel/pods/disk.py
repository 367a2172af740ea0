"""The state of containers that are not there, as their runtimes leave it on disk, below a root of a test's own."""

import dataclasses
import hashlib
import json
import pathlib
import uuid

TASKS = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
DOCKER = "var/lib/docker/containers"
STORAGE = "var/lib/containers/storage/overlay-containers"


@dataclasses.dataclass(frozen=True)
class Box:
    """A container by its names; ids follow from them."""

    namespace: str
    pod: str
    container: str
    image: str = "registry.example/app:1"

    @property
    def uid(self):
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.namespace}/{self.pod}"))

    @property
    def id(self):
        return hashlib.sha256(f"{self.namespace}/{self.pod}/{self.container}".encode()).hexdigest()

    @property
    def names(self):
        return {"namespace": self.namespace, "pod": self.pod, "pod_uid": self.uid, "container": self.container}

    @property
    def cgroup(self):
        return f"/kubepods/burstable/pod{self.uid}/{self.id}"

    def runtime(self, name="containerd"):
        return {"name": name, "container_id": self.id, "image": self.image}

    @property
    def annotations(self):
        """What containerd's CRI plugin writes."""
        words = {
            "container-type": "container",
            "container-name": self.container,
            "image-name": self.image,
            "sandbox-id": Box(self.namespace, self.pod, "").id,
            "sandbox-name": self.pod,
            "sandbox-namespace": self.namespace,
            "sandbox-uid": self.uid,
        }
        return {f"io.kubernetes.cri.{key}": value for key, value in words.items()}

    @property
    def labels(self):
        """What kubelet gives to Docker."""
        words = {"pod.namespace": self.namespace, "pod.name": self.pod, "pod.uid": self.uid}
        words |= {"container.name": self.container, "docker.type": "container"}
        return {f"io.kubernetes.{key}": value for key, value in words.items()}


def docker_state(identity, image, name, labels=None):
    """A config.v2.json of Docker's."""
    return json.dumps({"ID": identity, "Name": f"/{name}", "Config": {"Image": image, "Labels": labels or {}}})


class Disk:
    """A folder that porttrace takes for the host's root."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()

    def write(self, path, content):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def containerd(self, box, size=0):
        """A container's config.json, of `size` bytes at least."""
        self.write(f"{TASKS}/{box.id}/config.json", runtime_spec(box.annotations, size))

    def docker(self, identity, image, name, labels=None):
        self.write(f"{DOCKER}/{identity}/config.v2.json", docker_state(identity, image, name, labels))

    def storage(self, identity, annotations):
        """A container of CRI-O or podman."""
        self.write(f"{STORAGE}/{identity}/userdata/config.json", runtime_spec(annotations))


def runtime_spec(annotations, size=0):
    """A config.json of the OCI runtime specification."""
    netns = {"type": "network", "path": "/run/netns/of-nobody"}
    spec = {"ociVersion": "1.0.2-dev", "process": {"env": []}, "annotations": annotations}
    spec["linux"] = {"namespaces": [{"type": "pid"}, netns]}
    missing = size - len(json.dumps(spec))
    spec["process"]["env"] = [f"SERVICE_{number}_PORT=tcp://10.96.7.7:8080" for number in range(missing // 44 + 1)]
    return json.dumps(spec)
