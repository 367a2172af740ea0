"""The words in which scenarios are written."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Failure:
    """What porttrace must say about one sort of failure."""

    hook: str
    type: str
    cause: str
    error: str
    error_raw: int
    proto: str


CONNECT = Failure("connect", "connect_exhausted", "port_range", "EADDRNOTAVAIL", 99, "tcp")
CONFLICT = Failure("connect", "connect_conflict", "tuple_taken", "EADDRNOTAVAIL", 99, "tcp")
BIND_TCP = Failure("bind", "bind_exhausted", "port_range", "EADDRINUSE", 98, "tcp")
BIND_UDP = Failure("bind", "bind_exhausted", "port_range", "EADDRINUSE", 98, "udp")
AUTOBIND = Failure("bind", "bind_exhausted", "port_range", "EAGAIN", 11, "udp")

TYPES_OF_HOOK = {"connect": ("connect_exhausted", "connect_conflict"), "bind": ("bind_exhausted",)}


@dataclasses.dataclass(frozen=True)
class Client:
    """One run of the failing client. Every attempt must end as `outcome`, else the test itself is broken."""

    name: str
    arguments: tuple
    outcome: str = ""
    failure: Failure | None = None  # None: an innocent
    to: tuple = ()
    net: str = "tight"
    cgroup: str = "a"
    share: float = 1  # of the count asked for
    family: str = "ipv4"
    source: str = ""  # src.addr, where it is known beforehand
    source_port: int = 0  # 0: none assigned
    port_range: tuple = ()  # () : the namespace's
    uid: int = 0
    bits: int = 64
    needs: str = ""

    @property
    def expected_outcome(self):
        return self.outcome or self.failure.error

    @property
    def comm(self):
        return f"pt-{self.name}"[:15]

    @property
    def threaded(self):
        return "--thread" in self.arguments

    @property
    def by_io_worker(self):
        return "--io-worker" in self.arguments


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Clients that run at once under one porttrace."""

    name: str
    clients: tuple
    repeat: int = 1
    cpus: int = 0  # 0: all of the machine's
