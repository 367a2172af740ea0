"""A kernel thread that runs out of ports: it has no process to name, only the creator of its socket."""

import pathlib
import subprocess
import time

from .lab import LIMIT, Skip, case, check, equal
from .trace import failures

TRACEFS = pathlib.Path("/sys/kernel/tracing")
EVENT = TRACEFS / "events/sunrpc/rpc_socket_connect"
OPTIONS = "addr=127.0.0.1,clientaddr=127.0.0.1,noresvport,proto=tcp,soft,timeo=10,retrans=1"


@case
def nfs_client(lab):
    """An NFS mount in vain, counted by the RPC client's own tracepoint, which has connect()'s result."""
    if subprocess.run(["modprobe", "nfsv4"], stderr=subprocess.DEVNULL).returncode or not EVENT.exists():
        raise Skip("no NFS client or no tracefs here")
    folder = lab.temporary / "nfs"
    folder.mkdir(exist_ok=True)
    (TRACEFS / "buffer_size_kb").write_text("16384")
    (EVENT / "enable").write_text("1")
    trace = lab.attached("-o", "ndjson", "--dest", "127.0.0.1:2049", confined=False)
    # -i: without the helper mount.nfs, which would ask the server first.
    mount = ["timeout", "4", "mount", "-i", "-t", "nfs4", "-o", OPTIONS, "127.0.0.1:/nothing", folder]
    lab.spawn(mount, stderr=subprocess.DEVNULL).wait()
    real = settled_count()
    trace.stop()
    (EVENT / "enable").write_text("0")
    check(real > 0, "the RPC client counted no failure: this tested nothing")
    events = trace.events()
    for event in failures(events):
        equal(event["attribution"], "socket", "attribution")
        check("proc" not in event, f"a process is named: {event}")
        equal(event["cgroup"]["path"], "/", "the cgroup of the kernel's worker")
    equal(events[-1]["detail"]["totals"]["connect_exhausted"], real, "failures of the RPC client")
    return f"{real} = {real}"


def settled_count():
    """The failures, once the retries have ended."""
    deadline = time.monotonic() + LIMIT
    count, before = own_count(), -1
    while count != before:
        check(time.monotonic() < deadline, f"the retries did not end within {LIMIT} s")
        time.sleep(0.5)
        count, before = own_count(), count
    return count


def own_count():
    return sum("error=-99" in line for line in (TRACEFS / "trace").read_text().splitlines())
