"""The lab of one scenario: namespaces, pods, cgroups, clients, one porttrace, and the counts before and after it."""

import collections
import contextlib
import ctypes
import os
import pathlib
import subprocess
import time
import uuid

from harness.node import CLONE_NEWNET, cgroup2_root, libc, remove_cgroup
from harness.tracer import parse_lines
from harness.witness import Witness
from robust.lab import Skip, await_that, check
from robust.trace import Trace

from . import senders as clients
from .net import Limit, Net
from .senders import Senders

MINE = "198.51.100.0/24,203.0.113.0/24,10.88.0.0/16,2001:db8::/32,fd88::/16"
TRACKING = "chain at_{0} {{\ntype filter hook {0} priority 0;\nct state new counter\n}}\n"
LEAST_PACKET_NS = 5_000  # that no kernel needs less than for a packet that is forwarded and refused, ten times in a guest
LONG = 3600  # seconds an entry lives without traffic, so that none expires in a test
TIMEOUTS = (
    *("udp_timeout", "icmp_timeout", "icmpv6_timeout", "generic_timeout", "tcp_timeout_syn_sent"),
    *("tcp_timeout_max_retrans", "tcp_timeout_unacknowledged"),  # the kernel takes the lowest of them for a first SYN
)
OPTIONAL_TIMEOUTS = ("sctp_timeout_closed", "gre_timeout")
OUTER4, OUTER6 = "203.0.113.2", "2001:db8:113::2"  # the node's addresses on the outside


class Pod:
    """A network namespace with a process that holds it, and a cgroup for each of its containers."""

    def __init__(self, lab, name, index):
        self.lab, self.name = lab, name
        self.net = lab.net(name)
        self.uid = uuid.uuid4()
        self.v4, self.v6 = f"10.88.{index}.2", f"fd88:{index}::2"
        self.gateway4, self.gateway6 = f"10.88.{index}.1", f"fd88:{index}::1"
        self.paths = {}

    def cgroup(self, container):
        if container not in self.paths:
            folder = f"kubepods/burstable/pod{self.uid}/{uuid.uuid4().hex}{uuid.uuid4().hex}"
            self.paths[container] = self.lab.make_cgroup(folder)
        return self.paths[container]

    def start(self):
        enter, release = self.lab.enter(self.net, self.cgroup("pause"))
        self.pause = subprocess.Popen(["sleep", "infinity"], preexec_fn=enter)
        self.lab.stack.callback(end, self.pause)
        release()

    def stop(self):
        end(self.pause)


def end(process):
    process.kill()
    process.wait()


class Lab:
    def __init__(self, options, mode, folder):
        self.options, self.mode, self.folder = options, mode, folder
        self.native = not pathlib.Path("/run/share").is_mount()
        self.prefix = f"ptrack-{os.getpid()}"
        self.nets, self.pods, self.services = {}, {}, {}
        self.senders, self.notes = [], []
        self.limit = Limit()
        self.trace = self.witness = None
        self.events = []
        self.unseen = 0  # packets refused where this kernel runs no program
        self.began_ns = self.ended_ns = 0
        self.floor = self.before = self.after = self.ceiling = {}  # the counters around porttrace, see attach()
        self.packets_before = {}
        self.stack = contextlib.ExitStack()
        self.stack.callback(self.limit.restore)
        self.cgroup_root, self.cgroups = cgroup2_root(), []
        self.stack.callback(self.remove_cgroups)
        self.cgroup = "/" + self.make_cgroup("").relative_to(self.cgroup_root).as_posix()

    def close(self):
        self.stack.close()

    def need_porttrace(self):
        """For a scenario that shows nothing by itself."""
        if self.options.without_porttrace:
            raise Skip("nothing to be seen without porttrace")

    # Parts

    def make_cgroup(self, name):
        folder = self.cgroup_root / self.prefix
        for part in ("", *filter(None, name.split("/"))):
            folder = folder / part
            if folder not in self.cgroups:
                folder.mkdir()
                self.cgroups.append(folder)
        return folder

    def remove_cgroups(self):
        for folder in reversed(self.cgroups):
            remove_cgroup(folder)

    def net(self, kind):
        net = self.nets[kind] = Net(self.prefix, kind)
        self.stack.callback(net.remove)
        return net

    def build(self, *pods, bridged=(), node="node", outside="outside"):
        """A node with the outside and the pods named, each behind a link of its own or all `bridged` behind one."""
        self.net(node)
        self.net(outside)
        self.link(node, "out", outside, "node")
        near, far = self.nets[node], self.nets[outside]
        near.sysctl("net/ipv4/ip_forward", 1)
        near.sysctl("net/ipv6/conf/all/forwarding", 1)
        near.ip(
            f"addr add {OUTER4}/24 dev out\naddr add {OUTER6}/64 dev out nodad\n"
            "route add default via 203.0.113.1\nroute add ::/0 via 2001:db8:113::1\n"
            + neighbours("out", "203.0.113.1", "2001:db8:113::1", self.mac(outside, "node"))
        )
        far.ip(
            "addr add 203.0.113.1/24 dev node\naddr add 2001:db8:113::1/64 dev node nodad\n"
            f"route add 10.88.0.0/16 via {OUTER4}\nroute add fd88::/16 via {OUTER6}\n"
            + neighbours("node", OUTER4, OUTER6, self.mac(node, "out"))
        )
        if bridged:
            near.ip(f"link add br0 address {self.mac(node, 'br0')} type bridge mcast_snooping 0\nlink set br0 up")
        for index, name in enumerate((*pods, *bridged), 1):
            self.add_pod(name, index if name in pods else 200, node, name in bridged, index)
        for name in (*pods, *bridged):
            self.pods[name].start()

    def add_pod(self, name, subnet, node="node", bridged=False, host=2):
        pod = self.pods[name] = Pod(self, name, subnet)
        near, far = self.nets[node], pod.net
        device = f"to-{name}"
        self.link(node, device, name, "eth0")
        if bridged:
            pod.v4, pod.v6 = f"10.88.{subnet}.{host + 1}", f"fd88:{subnet}::{host + 1:x}"
            near.ip(f"link set {device} master br0")
            device = "br0"
        address = f"addr add {pod.gateway4}/24 dev {device}\naddr add {pod.gateway6}/64 dev {device} nodad\n"
        if not bridged or not any(pod.gateway4 in line for line in near.run("ip", "-o", "addr").splitlines()):
            near.ip(address)
        near.ip(neighbours(device, pod.v4, pod.v6, self.mac(name, "eth0")))
        mac = near.run("cat", f"/sys/class/net/{device}/address").strip()
        far.ip(
            f"addr add {pod.v4}/24 dev eth0\naddr add {pod.v6}/64 dev eth0 nodad\n"
            f"route add default via {pod.gateway4}\nroute add ::/0 via {pod.gateway6}\n"
            + neighbours("eth0", pod.gateway4, pod.gateway6, mac)
        )

    def link(self, one, device, other, peer):
        left, right = self.nets[one], self.nets[other]
        line = f"link add {device} netns {left.name} address {self.mac(one, device)} type veth"
        line += f" peer name {peer} netns {right.name} address {self.mac(other, peer)}"
        subprocess.run(["ip", "-batch", "-"], input=line, text=True, check=True)
        left.ip(f"link set {device} up")
        right.ip(f"link set {peer} up")

    def mac(self, kind, device):
        return "02:" + uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}/{device}").bytes[:5].hex(":")

    # Conntrack

    def track(self, *kinds, chains=("forward", "input", "output")):
        """Conntrack is used in these namespaces, and no entry expires by itself."""
        for kind in kinds or ("node",):
            net = self.nets[kind]
            net.nft("table inet tracking {\n" + "".join(map(TRACKING.format, chains)) + "}\n")
            for name in TIMEOUTS:
                net.sysctl(f"net/netfilter/nf_conntrack_{name}", LONG)
            for name in OPTIONAL_TIMEOUTS:
                with contextlib.suppress(FileNotFoundError):
                    net.sysctl(f"net/netfilter/nf_conntrack_{name}", LONG)

    def fill(self, count=24, kind="node"):
        """Entries that early_drop() does not evict: assured ones."""
        entry = "-A -p tcp -s 192.0.2.1 -d 192.0.2.2 --sport %d --dport 9 --state ESTABLISHED"
        entry += " --timeout 3600 -u ASSURED,SEEN_REPLY\n"
        text = "".join(entry % port for port in range(1, count + 1))
        self.nets[kind].run("conntrack", "--load-file", "/proc/self/fd/0", input=text)

    def set_limit(self, value):
        self.limit.set(value, {net.inode for net in self.nets.values()})

    def fill_up(self, room=0, kinds=("node",)):
        """No new flow is let in, but for the first `room` in each namespace."""
        for kind in kinds:
            self.fill(24, kind)
        self.set_limit(24 + room)

    # Clients

    def enter(self, net, cgroup):
        """(what a child does before it becomes the client, what the parent does afterwards)"""
        namespace = os.open(net.path, os.O_RDONLY | os.O_CLOEXEC)
        procs = os.open(cgroup / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

        def enter():
            os.write(procs, b"0")
            if libc.setns(namespace, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        def release():
            os.close(namespace)
            os.close(procs)

        return enter, release

    def entry(self, sender):
        return self.enter(self.nets[sender.place], self.cgroup_folder(sender))

    def cgroup_folder(self, sender):
        if sender.place in self.pods:
            return self.pods[sender.place].cgroup(sender.container)
        return self.make_cgroup(f"{sender.place}.slice/{sender.container}.service")

    def path_of(self, sender):
        return "/" + self.cgroup_folder(sender).relative_to(self.cgroup_root).as_posix()

    def source_of(self, sender):
        """Its source address."""
        if sender.source:
            return sender.source
        if sender.place in self.pods:
            pod = self.pods[sender.place]
            return pod.v4 if sender.family == 4 else pod.v6
        if sender.place == "node":
            return OUTER4 if sender.family == 4 else OUTER6
        return "203.0.113.1" if sender.family == 4 else "2001:db8:113::1"

    def count(self, *senders):
        """Counts each one's packets before the node's conntrack and behind it."""
        for sender in senders:
            index = len(self.senders)
            self.senders.append(sender)
            sender.address(index)
            sender.enters = sender.enters or (sender.table, "out" if sender.place == sender.table else "pre")
            sender.leaves = sender.leaves or ("outside", "pre")
            word = "ip saddr" if sender.family == 4 else "ip6 saddr"
            net, chain = sender.enters
            self.nets[net].count(f"enters_{index}", chain, f"{word} {self.source_of(sender)} {sender.match()}")
            net, chain = sender.leaves
            self.nets[net].count(f"leaves_{index}", chain, sender.match(*sender.backend))
        for net in self.nets.values():
            net.place_counters()

    def crowd(self, *senders, total=None):
        """The clients, waiting for start(); of `total` packets each has its share."""
        crowd = Senders(self)
        self.stack.callback(crowd.close)
        total = self.options.count if total is None else total
        shares = sum(sender.share for sender in senders)
        for sender in senders:
            crowd.add(sender, sender.count or max(1, round(total * sender.share / shares)))
        crowd.await_ready()
        return crowd

    def send(self, *senders, total=None, linger=0):
        """They all send what they have to, and those that hold their sockets keep them for `linger` seconds."""
        crowd = self.crowd(*senders, total=total)
        crowd.start()
        crowd.outcomes()
        if linger:
            time.sleep(linger)
        return crowd

    def refuse(self, *senders, tables=("node",), total=None, linger=0):
        """They all send into full tables, from the attach to the end of what is watched."""
        self.track(*tables)
        self.count(*senders)
        self.fill_up(kinds=tables)
        self.attach()
        crowd = self.send(*senders, total=total, linger=linger)
        if linger:
            crowd.close()
        self.detach()

    def spawn(self, command, net, cgroup):
        """A process beside the clients, ended with the scenario; it has said a line."""
        enter, release = self.enter(net, cgroup)
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=enter
        )
        release()
        self.stack.callback(process.stdout.close)
        self.stack.callback(end, process)
        check(process.stdout.readline(), f"{command} could not set itself up")
        return process

    # porttrace and the counts

    def start_trace(self, *arguments, confined=True, **options):
        command = [self.options.porttrace, "trace", "-o", "ndjson", "--probe-mode", self.mode, *arguments]
        if confined and not self.options.unconfined:
            command += ["--dest", MINE]
        # An exhausted range is told by the conntrack table. In a starved guest the first look at it, for which the
        # kernel loads a module, may take more than the interval that a line waits.
        if not self.native and any("snat_exhausted" in sender.types for sender in self.senders):
            command += ["--interval", "5s"]
        return self.stack.enter_context(Trace(command, **options))

    def attach(self, *arguments, **options):
        """From here on everything counts: `floor` is what the kernel had counted before, `before` what afterwards."""
        self.began_ns = time.time_ns()
        self.floor = self.counters()
        if not self.options.without_porttrace:
            has_module = pathlib.Path("/sys/module/nf_conntrack").exists()
            self.trace = self.start_trace(*arguments, **options)
            self.trace.await_attached()
            if not self.native and has_module and self.mode != "tracepoint":  # in Debian's kernels they can
                check(not self.trace.tiers["evictions"].startswith("none"), f"the hooks: {self.trace.tiers}")
            if self.native:
                self.witness = Witness(self.prefix, "skb/kfree_skb")
                self.stack.callback(self.witness.close)
        self.before = self.counters()
        self.packets_before = self.packets()
        self.ksoftirqd_before = ksoftirqd_nanoseconds()
        for sender in self.senders:
            sender.sent, sender.errors = 0, {}

    def counters(self):
        return {kind: collections.Counter(net.counters()) for kind, net in self.nets.items()}

    def packets(self):
        return {kind: net.packets() for kind, net in self.nets.items()}

    def settle(self):
        """Waits until nothing moves any more."""
        last = []

        def still():
            last.append((self.counters(), self.packets()))
            time.sleep(0.2)
            return len(last) > 1 and last[-1] == last[-2]

        await_that(still, "rest")

    def detach(self, settled=True):
        """`after` is what the kernel has counted before porttrace is stopped, `ceiling` what afterwards."""
        if settled:
            self.settle()
        self.after = self.counters()
        packets = self.packets()
        for index, sender in enumerate(self.senders):
            for name, (kind, _) in (("enters", sender.enters), ("leaves", sender.leaves)):
                counter = f"{name}_{index}"
                moved = packets[kind][counter] - self.packets_before[kind].get(counter, 0)
                setattr(sender, "entered" if name == "enters" else "arrived", moved)
        self.unseen = sum("NETFILTER_DROP" in line for line in self.witness.stop()) if self.witness else 0
        if self.unseen:
            self.note(f"{self.unseen} packets refused while process 1 ran")
        if self.trace:
            self.events = parse_lines(self.trace.stop())
        self.ceiling = self.counters()
        self.ended_ns = time.time_ns()
        least = LEAST_PACKET_NS * (1 if self.native else 10)
        self.deferred = (ksoftirqd_nanoseconds() - self.ksoftirqd_before) // least

    def moved(self, kind):
        """How far a namespace's counters moved while porttrace was attached."""
        return difference(self.before[kind], self.after[kind])

    def may_have_moved(self, kind):
        """The same, with what was counted while it attached and while it stopped."""
        return difference(self.floor[kind], self.ceiling[kind])

    def note(self, text):
        self.notes.append(text)


def difference(one, other):
    return {name: (other[name] - one.get(name, 0)) % 2**32 for name in other}


def ksoftirqd_nanoseconds():
    """How long the threads that handle packets in their senders' place have run."""
    threads = [comm.parent for comm in pathlib.Path("/proc").glob("[0-9]*/comm") if is_ksoftirqd(comm)]
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


def is_ksoftirqd(comm):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return comm.read_text().startswith("ksoftirqd/")


def neighbours(device, v4, v6, mac):
    """No packet waits for an answer of ARP or neighbour discovery."""
    return "".join(f"neigh replace {address} lladdr {mac} dev {device} nud permanent\n" for address in (v4, v6))


def build_clients(folder):
    clients.build(folder)
