"""Who holds the entries of a full table, as the lines of the packets say that it refuses."""

import socket
import sys
import time

from harness.reconcile import nanoseconds
from robust.lab import case

from .compared import Compared

SERVER4 = "198.51.100.80"
HELD = {"hog": 200, "small": 40}  # by services of the node itself
STRANGERS = 60  # entries of an address that nobody here has
CONNECTOR = """
import socket, sys, time
held = [socket.create_connection((sys.argv[1], 80)) for _ in range(int(sys.argv[2]))]
print("ready", flush=True)
time.sleep(3600)
"""


def knock(seconds):
    """A packet that opens a flow, ten times a second; returns how many."""
    for _ in range(10 * seconds):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"x", ("198.51.100.10", 53))
        time.sleep(0.1)
    return 10 * seconds


@case
def host_hog(lab):
    """The host itself fills the table: its services are named by their sockets. porttrace takes the node for the host here."""
    lab.build("p1")
    lab.track()
    node, outside = lab.nets["node"], lab.nets["outside"]
    outside.ip(f"addr add {SERVER4}/32 dev lo")
    lab.stack.enter_context(outside.inside(lambda: socket.create_server((SERVER4, 80), backlog=sum(HELD.values()))))
    folders = {name: lab.make_cgroup(f"node.slice/{name}.service") for name in HELD}

    def connect(name):
        lab.spawn([sys.executable, "-c", CONNECTOR, SERVER4, HELD[name]], node, folders[name])

    connect("small")
    lab.fill(STRANGERS)
    lab.set_limit(sum(HELD.values()) + STRANGERS)
    enter, release = lab.enter(node, lab.make_cgroup("porttrace"))
    trace = lab.start_trace(preexec_fn=enter)
    release()
    trace.await_attached()
    time.sleep(3)  # so that the first look at the sockets is past, and the next of those for pressure far
    connect("hog")
    seconds = 6 if lab.native else 40  # looks are paced by their cost
    sent = lab.nets["p1"].inside(lambda: knock(seconds))
    trace.stop()
    compared = Compared(lab)
    total = node.entry_count()
    compared.equal("entries", total, sum(HELD.values()) + STRANGERS)
    paths = ["/" + folder.relative_to(lab.cgroup_root).as_posix() for folder in folders.values()]
    counts = zip((*paths, None), (*HELD.values(), STRANGERS))
    wanted = tuple((path, count, round(count / total, 4)) for path, count in counts)
    refused = [
        event
        for event in trace.events()
        if event["type"] == "conntrack_table_full" and event["netns_id"] == node.inode
    ]
    # The first lines may come before table and sockets were looked at again.
    half = nanoseconds(refused[-1]["timestamp"]) - seconds * 500_000_000
    late = [event["detail"] for event in refused if nanoseconds(event["timestamp"]) > half]
    told = {
        tuple((one.get("cgroup", {}).get("path"), one["count"], one["share"]) for one in detail.get("holders", []))
        for detail in late
    }
    compared.equal("holders", told, {wanted})
    compared.real, compared.seen = sent, sum(event["count"] for event in refused)
    compared.equal("refused", compared.seen, compared.real)
    return compared
