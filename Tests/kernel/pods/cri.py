"""Speaks CRI (runtime.v1, by the field numbers of its api.proto) with a container runtime, as the kubelet does."""

import dataclasses
import time
import uuid

from harness.clients import ClientError

from .wire import decode, encode, text_map, within

POD, CONTAINER, NODE = 0, 1, 2  # NamespaceMode
EXITED = 2  # ContainerState
LIMIT = 120  # seconds for a call; far beyond what any machine needs
LOGS = "/var/log/pods"


class CRIError(ClientError):
    """The runtime refused a call; says which and why."""


@dataclasses.dataclass
class PodSpec:
    """A pod that is to be, or is there."""

    namespace: str
    name: str
    port_range: str = ""
    host_network: bool = False
    host_pid: bool = False
    privileged: bool = False
    uid: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    sandbox: str = ""
    address: str = ""

    @property
    def networks(self):
        mode = {1: NODE if self.host_network else POD, 2: NODE if self.host_pid else CONTAINER, 3: POD}
        return {number: value for number, value in mode.items() if value}

    @property
    def labels(self):
        names = {"namespace": self.namespace, "name": self.name, "uid": self.uid}
        return {f"io.kubernetes.pod.{key}": value for key, value in names.items()}

    def config(self, cgroup_parent, logs):
        sysctls = {"net.ipv4.ip_local_port_range": self.port_range, "net.ipv4.tcp_tw_reuse": "0"}
        return {
            1: {1: self.name, 2: self.uid, 3: self.namespace},
            2: None if self.host_network else self.name,
            3: f"{logs}/{self.namespace}_{self.name}_{self.uid}",
            6: text_map(self.labels),
            7: text_map({"kubernetes.io/config.source": "api"}),
            8: {
                1: cgroup_parent,
                2: {1: self.networks, 6: self.privileged or None},
                3: text_map(sysctls if self.port_range else {}),
            },
        }


@dataclasses.dataclass
class ContainerSpec:
    """A container that is to be, or is there."""

    name: str
    image: str
    command: list
    mounts: dict = dataclasses.field(default_factory=dict)  # path inside → path on the node
    capabilities: tuple | None = None  # None: the runtime's own choice
    id: str = ""

    def config(self, pod):
        security = {2: pod.privileged or None, 3: pod.networks}
        if self.capabilities is not None:
            security[1] = {1: list(self.capabilities), 2: ["ALL"]}
        return {
            1: {1: self.name},
            2: {1: self.image},
            3: self.command,
            7: [{1: inside, 2: outside} for inside, outside in self.mounts.items()],
            9: text_map(pod.labels | {"io.kubernetes.container.name": self.name}),
            10: text_map({"io.kubernetes.container.restartCount": "0"}),
            11: f"{self.name}/0.log",
            15: {1: {}, 2: security},
        }


class Runtime:
    """The runtime behind a socket."""

    def __init__(self, socket, cgroup_parent, logs=LOGS):
        """`cgroup_parent` makes the parent cgroup of a pod's containers from its UID."""
        try:
            import grpc  # for real pods alone
        except ImportError:
            raise ClientError("no python3-grpcio: scripts/packages pods") from None
        self.refusal = grpc.RpcError
        self.channel = grpc.insecure_channel(f"unix://{socket}")
        self.cgroup_parent, self.logs = cgroup_parent, logs

    def close(self):
        self.channel.close()

    def call(self, method, message, service="RuntimeService"):
        stub = self.channel.unary_unary(f"/runtime.v1.{service}/{method}")
        try:
            return decode(stub(encode(message), timeout=LIMIT, wait_for_ready=True))
        except self.refusal as error:
            raise CRIError(f"{method}: {error.details()}") from None

    def start_pod(self, pod):
        config = pod.config(self.cgroup_parent(pod.uid), self.logs)
        pod.sandbox = within(self.call("RunPodSandbox", {1: config}), 1).decode()
        status = self.call("PodSandboxStatus", {1: pod.sandbox})
        pod.address = (within(status, 1, 5, 1) or b"").decode()
        return pod

    def start_container(self, pod, container):
        config = pod.config(self.cgroup_parent(pod.uid), self.logs)
        request = {1: pod.sandbox, 2: container.config(pod), 3: config}
        container.id = within(self.call("CreateContainer", request), 1).decode()
        self.call("StartContainer", {1: container.id})
        return container

    def exit_code(self, container):
        """None while it runs."""
        status = self.call("ContainerStatus", {1: container.id})
        return (within(status, 1, 7) or 0) if within(status, 1, 3) == EXITED else None

    def await_exit(self, container, limit=LIMIT):
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if (code := self.exit_code(container)) is not None:
                return code
            time.sleep(0.02)
        raise CRIError(f"{container.name} did not end within {limit} s")

    def stop_container(self, container, grace):
        self.call("StopContainer", {1: container.id, 2: grace})

    def remove_pod(self, pod):
        self.call("StopPodSandbox", {1: pod.sandbox})
        self.call("RemovePodSandbox", {1: pod.sandbox})

    def sandboxes(self):
        return [within(decode(item), 1).decode() for item in self.call("ListPodSandbox", {}).get(1, [])]

    def log(self, pod, container, stream="stdout"):
        """Lines that the container printed; a long one is in parts that are marked P, but for the last."""
        path = f"{self.logs}/{pod.namespace}_{pod.name}_{pod.uid}/{container.name}/0.log"
        begun = ""
        with open(path, errors="backslashreplace") as file:
            for line in file:
                _, source, mark, text = line.rstrip("\n").split(" ", 3)
                if source == stream:
                    begun += text
                    if mark == "F":
                        yield begun
                        begun = ""
