"""The census of conntrack tables: each figure against what `conntrack -L` lists in the same namespace, when it is quiet."""

import contextlib
import dataclasses
import json
import os
import socket
import struct
import subprocess

from robust.lab import Skip, await_that, case

from . import listing
from .compared import Compared
from .lab import OUTER4, OUTER6

SERVER4, SERVER6 = "198.51.100.80", "2001:db8:51::80"
GONE4, GONE6 = "10.88.200.9", "fd88:200::9"
SERVICE4 = "10.96.0.10"
STATES = ("established", "time_wait", "fin_wait", "close_wait", "last_ack", "close", "syn_recv")
RULES = """table inet nodes {
chain service { type nat hook prerouting priority -100; ip daddr %s udp dport 53 dnat ip to %%s:5353; }
chain out { type nat hook postrouting priority 100;
oifname out ip saddr 10.88.0.0/16 udp dport 6000 masquerade to :40000-40019;
oifname out ip saddr 10.88.0.0/16 udp dport 6001 masquerade to :2000-2009;
oifname out ip saddr 10.88.0.0/16 masquerade; oifname out ip6 saddr fd88::/16 masquerade; }
}
""" % SERVICE4


def read(lab, *arguments):
    """The lines of read-tables."""
    done = subprocess.run([lab.options.reader, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def quiet_read(lab, *nets):
    """The same, from a moment in which those tables did not change, with the entries that they had then."""
    for _ in range(20):
        before = {net: listing.entries(net) for net in nets}
        lines = read(lab, "--tables")
        after = {net: listing.entries(net) for net in nets}
        if all(lasting(before[net]) == lasting(after[net]) for net in nets):
            return lines, after
    raise Skip("the tables do not come to rest")


def lasting(entries):
    """What of them does not pass by itself."""
    return {dataclasses.replace(one, timeout=0) for one in entries}


class Flows:
    """Sockets of this process in the lab's namespaces; open until the scenario's end."""

    def __init__(self, lab):
        self.lab, self.stack = lab, contextlib.ExitStack()
        lab.stack.push(self.stack)

    def inside(self, kind, function):
        return self.lab.nets[kind].inside(function)

    def udp(self, kind, count, to, port, source=""):
        def send():
            for _ in range(count):
                one = self.stack.enter_context(socket.socket(family(to), socket.SOCK_DGRAM))
                one.bind((source, 0))
                one.sendto(b"x", (to, port))

        self.inside(kind, send)

    def echo(self, kind, to, ids):
        def send():
            six = family(to) == socket.AF_INET6
            proto = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
            with socket.socket(family(to), socket.SOCK_RAW, proto) as one:
                for number in ids:
                    kind = 128 if six else 8
                    check = 0 if six else checksum(struct.pack("!BBHHH", kind, 0, 0, number, 1))
                    one.sendto(struct.pack("!BBHHH", kind, 0, check, number, 1), (to, 0))

        self.inside(kind, send)

    def listen(self, kind, to, port):
        def make():
            one = self.stack.enter_context(socket.socket(family(to), socket.SOCK_STREAM))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((to, port))
            one.listen(64)
            return one

        return self.inside(kind, make)

    def connect(self, kind, to, port, blocking=True):
        def make():
            one = self.stack.enter_context(socket.socket(family(to), socket.SOCK_STREAM))
            one.settimeout(5 if blocking else 0)
            one.connect_ex((to, port))
            return one

        return self.inside(kind, make)

    def pair(self, kind, listener, to, port):
        client = self.connect(kind, to, port)
        return client, self.stack.enter_context(listener.accept()[0])


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def connections(flows, kind, to):
    """TCP in the states that two ends can hold it in."""
    server = flows.listen("outside", to, 80)
    for _ in range(3):
        flows.pair(kind, server, to, 80)
    for _ in range(2):  # TIME_WAIT
        client, far = flows.pair(kind, server, to, 80)
        client.close()
        far.close()
    client, _ = flows.pair(kind, server, to, 80)  # CLOSE_WAIT, as the other end has acknowledged
    client.shutdown(socket.SHUT_WR)
    client, far = flows.pair(kind, server, to, 80)  # CLOSE
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    flows.connect(kind, to, 81)  # refused: CLOSE
    for _ in range(2):  # SYN_SENT: nobody there
        flows.connect(kind, "198.51.100.99" if ":" not in to else "2001:db8:51::99", 80, blocking=False)


def prepare(lab, *pods, bridged=(), **options):
    lab.build(*pods, bridged=bridged)
    lab.track()
    node, outside = lab.nets["node"], lab.nets["outside"]
    for name in STATES:
        node.sysctl(f"net/netfilter/nf_conntrack_tcp_timeout_{name}", 3600)
    node.sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", 3600)
    outside.ip(f"addr add {SERVER4}/32 dev lo\naddr add {SERVER6}/128 dev lo nodad")
    # Whoever else is asked for stays silent.
    outside.nft(
        f"table inet silence {{ chain in {{ type filter hook prerouting priority 0;\n"
        f"ip daddr 198.51.100.0/24 ip daddr != {SERVER4} drop\nip6 daddr 2001:db8:51::/48 ip6 daddr != {SERVER6} drop\n}}\n}}\n"
    )
    return Flows(lab)


def owners(lab):
    """Address → namespace. The outside's servers are on its loopback device, which is taken for nobody's here."""
    found = dict.fromkeys(("203.0.113.1", "2001:db8:113::1"), lab.nets["outside"].inode)
    for pod in lab.pods.values():
        found |= {pod.v4: pod.net.inode, pod.v6: pod.net.inode}
    return found


def own(lab):
    """All addresses of the node itself."""
    addresses = {OUTER4, OUTER6}
    for pod in lab.pods.values():
        addresses |= {pod.gateway4, pod.gateway6}
    return addresses


@case
def everything(lab):
    flows = prepare(lab, "p1", "p2", "p3")
    node = lab.nets["node"]
    node.nft(RULES % lab.pods["p3"].v4)
    # One of the NAT range's ports would be kept where it is a flow's own, and shows no choice; and nobody takes another's.
    for pod, ports in (("p1", "41000 45999"), ("p2", "50000 60999"), ("p3", "46000 49999")):
        lab.pods[pod].net.sysctl("net/ipv4/ip_local_port_range", ports)
    for pod, count in (("p1", 70), ("p2", 20), ("p3", 10)):
        flows.udp(pod, count, "198.51.100.10", 53)
        flows.udp(pod, count // 10, "2001:db8:51::10", 53)
    flows.udp("p1", 30, SERVICE4, 53)  # DNAT towards p3
    flows.udp("p2", 20, "198.51.100.10", 6000)  # a range of 20 ports, spent
    flows.udp("p2", 2, "198.51.100.10", 6001)  # another range of the same address, far from it, too little used to be known
    flows.udp("node", 7, "198.51.100.10", 53)
    flows.udp("outside", 5, lab.pods["p2"].v4, 9, SERVER4)  # inbound
    flows.udp("outside", 4, OUTER6, 9, SERVER6)
    flows.udp("outside", 3, lab.pods["p2"].v4, 9)
    flows.echo("p1", "198.51.100.20", range(1, 6))
    flows.echo("p2", "2001:db8:51::20", range(1, 4))
    connections(flows, "p1", SERVER4)
    connections(flows, "p3", SERVER6)
    compared = Compared(lab)
    quiet = quiet_read(lab, node)
    owned = owners(lab) | {address: node.inode for address in own(lab)}
    line = compared.table(node, quiet, owned)
    if line:
        states = len(line["tcp_states"])
        compared.equal("states of TCP, five at least", states >= 5, True)
        spent = [snat for snat in line["snat"] if snat["port"] == 6000]
        compared.equal("the spent range", [(snat["used"], snat["limit"]) for snat in spent], [(20, 20)])
        compared.equal("ranges not known", {snat["limit"] for snat in line["snat"] if snat["port"] != 6000}, {None})
        compared.equal("stale", line["stale"], [])
        compared.equal("buckets", line["buckets"], buckets())
        compared.equal("limit", line["limit"], limit())
    return compared


def buckets():
    with open("/proc/sys/net/netfilter/nf_conntrack_buckets", encoding="ascii") as file:
        return int(file.read())


def limit():
    with open("/proc/sys/net/netfilter/nf_conntrack_max", encoding="ascii") as file:
        return int(file.read()) or None


@case
def gone(lab):
    """A pod that is removed leaves its entries; one that lives beside it and one that is elsewhere do not count."""
    flows = prepare(lab, "p1", bridged=("b1", "b2"))
    node = lab.nets["node"]
    node.nft(RULES % lab.pods["b2"].v4)
    flows.udp("b1", 12, "198.51.100.10", 53)
    flows.udp("b2", 9, "198.51.100.10", 53)
    flows.udp("b2", 5, "198.51.100.11", 53)
    flows.udp("p1", 6, SERVICE4, 53)  # DNAT towards b2
    flows.udp("outside", 4, lab.pods["b1"].v4, 9, SERVER4)
    flows.udp("b1", 3, "fd88:200::77", 9)
    address = lab.pods["b2"].v4
    lines, _ = quiet_read(lab, node)
    compared = Compared(lab)
    line = next(line for line in lines if line["netns"] == node.inode)
    compared.equal("stale while they live", line["stale"], [])
    flows.stack.close()
    lab.pods["b2"].stop()
    lab.nets["b2"].remove()
    removed = lab.pods.pop("b2")
    await_that(lambda: not device(node, "to-b2"), "the end of the pod's link")
    quiet = quiet_read(lab, node)
    owned = owners(lab) | {one: node.inode for one in own(lab) | {removed.gateway4, removed.gateway6}}
    line = compared.table(node, quiet, owned)
    if line:
        stale = {(one["addr"], one["backend"]): one["count"] for one in line["stale"]}
        truth = {(listing.address(address), False): 14, (listing.address(address), True): 6}
        compared.equal("stale", stale, truth)
        left = {one["timeout"] > 3000 for one in line["stale"]}
        compared.equal("seconds left", left, {True})
    return compared


def device(net, name):
    return any(f" {name}@" in line for line in net.run("ip", "-o", "link").splitlines())


@case
def several(lab):
    """Tables of pods, and one of a namespace that only a socket holds."""
    flows = prepare(lab, "p1", "p2")
    lab.track("p1", chains=("output",))
    flows.udp("p1", 5, "198.51.100.10", 53)
    flows.udp("p1", 3, "127.0.0.1", 53)
    flows.udp("p2", 4, "198.51.100.10", 53)
    hidden = lab.net("hidden")
    hidden.ip("addr add 192.0.2.1/32 dev lo\nroute add 192.0.2.9/32 dev lo")
    lab.track("hidden", chains=("output",))
    flows.udp("hidden", 6, "192.0.2.9", 53)
    inode = hidden.inode
    hidden.remove()
    quiet = quiet_read(lab, lab.nets["node"], lab.nets["p1"])
    lines, _ = quiet
    compared = Compared(lab)
    owned = owners(lab) | {address: lab.nets["node"].inode for address in own(lab)}
    compared.table(lab.nets["node"], quiet, owned)
    compared.table(lab.nets["p1"], quiet, owned)
    missing = [line["not_visible"] for line in lines if "not_visible" in line]
    mine = [part for part in missing if f"netns {inode} " in part["what"]]
    compared.equal("the table that nobody can enter", [part["part"] for part in mine], ["conntrack"])
    compared.equal("its size is told", [part["what"].endswith("(6 entries)") for part in mine], [True])
    without = read(lab, "--tables", "--without-bpf")
    for kind in ("node", "p1"):
        net = lab.nets[kind]
        sizes = [line["used"] for line in without if line.get("netns") == net.inode]
        compared.equal(f"{kind} without BPF", sizes, [len(listing.entries(net))])
    return compared


@case
def counters(lab):
    """The kernel's counters of each namespace."""
    flows = prepare(lab, "p1")
    node, pod = lab.nets["node"], lab.nets["p1"]
    node.nft(RULES % "192.0.2.1")
    flows.udp("p1", 50, "198.51.100.10", 6000)  # 30 find no port
    pod.sysctl("net/ipv4/tcp_max_tw_buckets", 2)
    server = flows.listen("outside", SERVER4, 80)
    for _ in range(6):
        client, far = flows.pair("p1", server, SERVER4, 80)
        client.close()
        far.close()
    compared = Compared(lab)
    for net in (node, pod):
        lines = [line["counters"] for line in read(lab, "--counters") if "counters" in line]
        told = [line for line in lines if line["netns"] == net.inode]
        kernel = net.counters()
        wanted = {"drop": kernel["drop"], "insert_failed": kernel["insert_failed"], "early_drop": kernel["early_drop"]}
        wanted |= {"netns": net.inode, "tw_overflow": overflow(net)}
        compared.equal(f"{net.kind}'s counters", told, [wanted])
        compared.real += wanted["drop"] + wanted["tw_overflow"]
        compared.seen += sum(line["drop"] + line["tw_overflow"] for line in told)
    compared.equal("refused, so that there is something to compare", compared.real >= 30, True)
    return compared


def overflow(net):
    text = net.run("nstat", "-asz", "TcpExtTCPTimeWaitOverflow")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("TcpExtTCPTimeWaitOverflow")))


@case
def facts(lab):
    """A process in each namespace, numbered as the host does; what is not there is not claimed."""
    lab.build("p1")
    found = next(line["facts"] for line in read(lab, "--facts") if "facts" in line)
    compared = Compared(lab)
    pid = found["processes"].get(str(lab.nets["p1"].inode))
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        compared.equal("no numbers that are not the host's", found["processes"], {})
    else:
        compared.equal("the pod's process", pid, lab.pods["p1"].pause.pid)
    compared.equal("kube-proxy", found["kube_proxy"], False)
    compared.equal("other data path", found["other"], "")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    compared.equal("memory", found["memory"], memory)
    compared.real = compared.seen = 1
    return compared
