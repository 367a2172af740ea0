"""What comes and goes meanwhile: namespaces, CPUs, the conntrack module, the use of conntrack itself."""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import time

from harness.node import CLONE_NEWNET, libc
from harness.tracer import ATTACHED, parse_tiers
from robust.lab import Skip, await_that, case, check

from .evict import entries_of, set_buckets
from .full import everyone
from .judge import Judge
from .net import COUNTERS, read_counters
from .senders import Sender

SECONDS = 6
RATE, AT_ONCE = 50, 10  # namespaces a second, where the machine can; how many at once
ONE_IN = 10  # of the namespaces uses conntrack itself
LIMIT, REFUSED_THERE = 24, 20
ROOM = 8  # tables
SECOND = 1.5  # in which a guest, too, looks at the counters once
DROPPED = "198.51.100.251"
CHURN_TO = "198.51.100.250"
MODULES = ("nf_", "nft_", "xt_", "ip_tables", "iptable_", "ip6_tables", "ip6table_", "x_tables", "nfnetlink")


class Churn:
    """Namespaces that live for a moment. Some have a table of their own that gets full."""

    def __init__(self):
        self.moved = {}  # inode → counters, of all namespaces that had it
        self.made = 0

    def run(self, seconds):
        began, children = time.monotonic(), []
        while time.monotonic() - began < seconds:
            children.append(self.begin(uses=self.made % ONE_IN == 0))
            self.made += 1
            if len(children) == AT_ONCE:
                self.end(children.pop(0))
            time.sleep(max(0, began + self.made / RATE - time.monotonic()))
        for child in children:
            self.end(child)
        return self.made / (time.monotonic() - began)

    @staticmethod
    def begin(uses):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.write(writing, json.dumps(Churn.live(uses)).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        return pid, reading

    @staticmethod
    def live(uses):
        """In the child: (inode, counters)."""
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        inode = os.stat("/proc/self/ns/net").st_ino
        if not uses:
            return inode, {}
        batch = f"link set lo up\nroute add local {CHURN_TO} dev lo\n"
        rules = "table inet t {\nchain c {\ntype filter hook output priority 0;\nct state new counter\n}\n}\n"
        subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        for _ in range(LIMIT + REFUSED_THERE):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                try:
                    sender.sendto(b"x", (CHURN_TO, 9))
                except PermissionError:
                    pass
        return inode, read_counters()

    def end(self, child):
        pid, reading = child
        with os.fdopen(reading) as report:
            text = report.read()
        os.waitpid(pid, 0)
        check(text, "a short-lived namespace failed")
        inode, counters = json.loads(text)
        sums = self.moved.setdefault(inode, dict.fromkeys(COUNTERS, 0))
        for name, value in counters.items():
            sums[name] += value


@case
def crowded(lab):
    """No room for one more table: what it refuses is told as missed, everything else stays exact."""
    lab.need_porttrace()
    senders = everyone("p1", "node")
    lab.build("p1")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    lab.attach(env=os.environ | {"PORTTRACE_CONNTRACK_TABLES": "1"})
    lab.send(*senders, linger=1.5).close()
    another = Churn()
    another.end(another.begin(uses=True))
    lab.detach()
    judge = Judge(lab, strangers=True)
    refused = sum(sums["drop"] for sums in another.moved.values())
    lab.note(f"{refused} refused in a namespace without room, {judge.bound} missed at most")
    if judge.exact or judge.bound < refused or not refused:
        judge.problem(f"{refused} refused without room, exact is {judge.exact}, {judge.bound} missed at most")
    return judge


@case
def churn(lab):
    """Namespaces come and go at 50 a second while packets are refused; some have refusals of their own."""
    senders = [
        Sender("node", "node", options=("--one", "--seconds", str(SECONDS), "--pause-us", "500")),
        Sender("pod", "p1", options=("--one", "--seconds", str(SECONDS), "--pause-us", "500")),
    ]
    lab.build("p1")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    crowd = lab.crowd(*senders)
    lab.attach()
    crowd.start()
    churning = Churn()
    rate = churning.run(SECONDS)
    crowd.outcomes()
    lab.detach()
    judge = Judge(lab, strangers=True)
    refused = sum(sums["drop"] for sums in churning.moved.values())
    judge.elsewhere = refused + sum(sums["early_drop"] for sums in churning.moved.values())
    lab.note(f"{churning.made} namespaces at {rate:.0f} a second, {refused} refused in them")
    if not refused:
        judge.problem("nothing was refused in the short-lived namespaces")
    if lab.trace:
        check_strangers(judge, churning.moved)
    return judge


def check_strangers(judge, moved):
    """Each inode's counters against the summary's and the lines'."""
    mine = {net.inode for net in judge.lab.nets.values()}
    blind = judge.lab.trace.tiers.get("evictions", "none").startswith("none")
    for inode in moved.keys() | judge.told.keys() - mine:
        counters, told = moved.get(inode, dict.fromkeys(COUNTERS, 0)), judge.told[inode]
        lines = collections.Counter()
        for (netns, kind, cause), count in judge.by_table.items():
            if netns == inode:
                lines["early_drop" if kind == "conntrack_evicted" else "drop"] += count
        for name, seen in (("kernel", told), ("lines", lines)):
            hidden = name == "lines" and not judge.lab.options.unconfined  # a counter's lines are filtered out
            if seen["drop"] != counters["drop"]:
                judge.problem(f"short-lived netns {inode}: {counters['drop']} refused, the {name} have {seen['drop']}")
            # A namespace's last evictions may come after its counters were read; only a hook sees them.
            least = 0 if blind or hidden or seen is told else counters["early_drop"]
            if not least <= seen["early_drop"] <= counters["early_drop"]:
                evicted = counters["early_drop"]
                judge.problem(f"short-lived netns {inode}: {evicted} evicted, the {name} have {seen['early_drop']}")


@case
def dead_tables(lab):
    """Namespaces that have gone make room within seconds, however long the interval."""
    if lab.native:
        raise Skip("others' tables would take the room: in guests only")
    lab.need_porttrace()
    senders = everyone("p1", "node")
    lab.build("p1")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    lab.attach("--interval", "1m", env=os.environ | {"PORTTRACE_CONNTRACK_TABLES": str(ROOM)})
    others = Churn()
    for _ in range(3 * ROOM):
        others.end(others.begin(uses=True))
        time.sleep(0.8)
    lab.send(*senders, linger=1.5).close()
    lab.detach()
    judge = Judge(lab, strangers=True)
    judge.elsewhere = sum(sums["drop"] + sums["early_drop"] for sums in others.moved.values())
    lab.note(f"{3 * ROOM} namespaces in turn, room for {ROOM}")
    check_strangers(judge, others.moved)
    return judge


@case
def offline(lab):
    """A CPU goes away and comes back while packets are refused."""
    switch = pathlib.Path("/sys/devices/system/cpu/cpu1/online")
    if lab.native or not switch.exists():
        raise Skip("no CPU to take away: in guests with two only")
    senders = [
        Sender("node", "node", options=("--one", "--seconds", "6", "--pause-us", "200")),
        Sender("pod", "p1", options=("--one", "--seconds", "6", "--pause-us", "200")),
    ]
    lab.build("p1")
    lab.track()
    lab.count(*senders)
    lab.fill_up()
    crowd = lab.crowd(*senders)
    lab.attach()
    lab.stack.callback(switch.write_text, "1")
    crowd.start()
    for state in "010":
        time.sleep(1.5)
        switch.write_text(state)
    crowd.outcomes()
    lab.detach()  # the second CPU is still away
    return Judge(lab, unowned=0.01)


@case
def idle(lab):
    """Nobody uses conntrack: porttrace says so; then somebody does."""
    if lab.native:
        raise Skip("others may use conntrack here: in guests only")
    senders = everyone("p1", "node")
    lab.build("p1")
    lab.attach()
    first = lab.trace.tiers.get("conntrack", "") if lab.trace else "idle"
    lab.track()
    lab.count(*senders)
    lab.packets_before = lab.packets()
    lab.fill_up()
    lab.send(*senders, linger=1.5).close()
    lab.detach()
    if lab.trace:  # at the end it is in use
        lab.trace.tiers["conntrack"] = "tracepoint"
    judge = Judge(lab)
    if not first.startswith("idle"):
        judge.problem(f"conntrack={first}, and nobody uses it")
    return judge


def loaded():
    """Module → how many use it."""
    rows = (line.split() for line in pathlib.Path("/proc/modules").read_text().splitlines())
    return {row[0]: int(row[2]) for row in rows if row[0].startswith(MODULES)}


def unload():
    """Removes the netfilter modules, as far as nobody uses them."""
    while free := [name for name, users in loaded().items() if not users]:
        done = [subprocess.run(["rmmod", name], stderr=subprocess.DEVNULL).returncode for name in free]
        if all(done):
            break
    return "nf_conntrack" not in loaded()


@case
def late(lab):
    """The conntrack module comes after porttrace: the evictions' hooks attach then, and let it go again if they can."""
    if lab.native or not await_unloaded():
        raise Skip("the conntrack module cannot be taken away here: in guests only")
    lab.need_porttrace()
    senders = [
        Sender("held-1", "p1", options=("--hold", "--connect")),
        Sender("held-2", "p2", options=("--hold", "--connect")),
        Sender("flood", "p1", "tcp", owner="pod", container="other"),
    ]
    lab.build("p1", "p2")
    lab.attach()
    early = lab.trace.tiers["evictions"]
    lab.track()
    set_buckets(lab, 512)
    if early.startswith("none"):
        await_that(lambda: not tiers_now(lab)["evictions"].startswith("none"), "the module's hooks")
    lab.trace.tiers = tiers_now(lab)
    lab.count(*senders)
    lab.packets_before = lab.packets()
    lab.send(*senders[:2], total=2000)
    before = entries_of(lab)
    lab.set_limit(sum(before))
    lab.send(senders[2], total=500)
    lab.detach()
    lab.trace.tiers = tiers_now(lab)  # conntrack may have been idle until the first packets
    gone = [had - has for had, has in zip(before, entries_of(lab))]
    gone[2] += senders[2].arrived
    judge = Judge(lab)
    judge.check_evicted(gone)
    lab.note(f"evictions={early}, with the module {lab.trace.tiers['evictions']}; {sum(gone)} evicted")
    return judge


@case
def unloaded(lab):
    """The conntrack module goes while porttrace is attached, others take the memory of its counters, and it comes back."""
    if lab.native:
        raise Skip("the conntrack module cannot be taken away here: in guests only")
    lab.need_porttrace()
    before, after = everyone("p1", "node"), everyone("p1", "node")
    for sender in after:
        sender.name += "-again"
    lab.build("p1")
    node = lab.nets["node"]
    lab.track()
    lab.count(*before, *after)
    lab.fill_up()
    lab.attach()
    if lab.trace.tiers["evictions"].startswith("fentry"):
        raise Skip("the evictions' fentry keeps the module: in the other modes")
    lab.send(*before, linger=1.5).close()
    time.sleep(2 * SECOND)  # every counter is read
    first = {kind: collections.Counter(net.counters()) for kind, net in lab.nets.items()}
    node.nft("delete table inet tracking")
    check(await_unloaded(), "nf_conntrack is still there")
    take_memory(node)
    time.sleep(2 * SECOND)
    lab.track()
    time.sleep(2 * SECOND)
    lab.trace.tiers = tiers_now(lab)
    lab.before = {
        kind: collections.Counter({name: lab.before[kind][name] - moved for name, moved in counters.items()})
        for kind, counters in first.items()
    }
    lab.fill_up()
    lab.send(*after, linger=1.5).close()
    lab.detach()
    lab.note(f"before it went {first['node']['drop']}, after it came back {lab.after['node']['drop']}")
    return Judge(lab)


def take_memory(node):
    """Counters of nftables, which lie where conntrack's have been, and packets that they count and a rule drops."""
    rules = [f"ip daddr {DROPPED} counter" for _ in range(500)] + [f"ip daddr {DROPPED} drop"]
    chain = "chain out {\ntype filter hook output priority 0;\n" + "\n".join(rules) + "\n}\n"
    node.nft("table inet memory {\n" + chain + "}\n")

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(500):
                with contextlib.suppress(PermissionError):
                    sender.sendto(b"x", (DROPPED, 9))

    node.inside(send)
    node.nft("delete table inet memory")


def await_unloaded():
    """Namespaces of earlier scenarios may take a moment to go."""
    for _ in range(20):
        if unload():
            return True
        time.sleep(0.25)
    return False


def tiers_now(lab):
    """By the last attached line."""
    lines = [line for line in lab.trace.messages().splitlines() if line.startswith(ATTACHED)]
    return parse_tiers(lines[-1].removeprefix(ATTACHED))
