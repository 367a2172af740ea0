"""The demo's programs as containers of Kubernetes pods: cgroups, and containerd's state on disk.

Paths and files have the form that kubelet (cgroupfs driver, its root being the demo's own cgroup) and containerd 1.6
give them, which is all that porttrace reads of a pod; no runtime runs. The files lie below a folder that porttrace is
given as --host-root.
"""

import hashlib
import json
import typing
import uuid

from stage import NAME, WORK

NODE = WORK / "node"
STATE = NODE / "run/containerd/io.containerd.runtime.v2.task/k8s.io"


class Container(typing.NamedTuple):
    namespace: str
    pod: str
    name: str

    @property
    def full_pod(self):
        return f"{self.namespace}/{self.pod}"

    @property
    def full_name(self):
        """As porttrace's text has it."""
        return f"{self.full_pod}/{self.name}"

    @property
    def image(self):
        return f"localhost/{self.pod.split('-')[0]}:1"

    @property
    def pod_uid(self):
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.pod}.{self.namespace}"))

    @property
    def id(self):
        return hashlib.sha256(self.full_name.encode()).hexdigest()

    @property
    def sandbox_id(self):
        return hashlib.sha256(self.full_pod.encode()).hexdigest()

    @property
    def pod_cgroup(self):
        """Below kubelet's root."""
        return f"kubepods/burstable/pod{self.pod_uid}"

    @property
    def fields(self):
        """What porttrace's NDJSON lines are to say of it."""
        return {
            "k8s": {
                "namespace": self.namespace,
                "pod": self.pod,
                "pod_uid": self.pod_uid,
                "container": self.name,
            },
            "runtime": {"name": "containerd", "container_id": self.id, "image": self.image},
        }


def add_container(stage, place, container):
    """What a node has of a container whose program is yet to start: its cgroup and, of it and its pod, what is on disk.

    The network namespace of that place is the pod's; the cgroup too goes by the place's name.
    """
    stage.add_cgroup(place, f"{container.pod_cgroup}/{container.id}")
    network = {"type": "network", "path": f"/run/netns/{NAME}-{place}"}
    pod = {
        "sandbox-id": container.sandbox_id,
        "sandbox-name": container.pod,
        "sandbox-namespace": container.namespace,
        "sandbox-uid": container.pod_uid,
    }
    own = {"container-name": container.name, "container-type": "container", "image-name": container.image}
    write_state(container, container.sandbox_id, {"container-type": "sandbox", **pod}, [network])
    write_state(container, container.id, {**own, **pod}, [])


def write_state(container, own_id, annotations, namespaces):
    """The part of an OCI config.json that tells who it is; the program, its mounts and limits are left out."""
    configuration = {
        "ociVersion": "1.0.2-dev",
        "annotations": {f"io.kubernetes.cri.{key}": value for key, value in annotations.items()},
        "linux": {"cgroupsPath": f"/{NAME}/{container.pod_cgroup}/{own_id}", "namespaces": namespaces},
    }
    folder = STATE / own_id
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(configuration))
