"""What fills at a steady rate, stands near its limit, or swings around it."""

import os
import time

from robust.lab import case, check
from track.lab import OUTER4

from .lab import Judge

ALL = ["0.8up", "0.95up", "0.95down", "0.8down"]
PORTS = 1000  # of the namespaces that fill
ENTRIES = 1000  # nf_conntrack_max meanwhile
NAT = (41000, 41199)
RANGE = NAT[1] - NAT[0] + 1
TABLE = [f"198.51.100.{number}" for number in range(10, 20)]
WAITS = 500  # tcp_max_tw_buckets
RULES = """table ip ranges {{ chain post {{ type nat hook postrouting priority 100;
oifname out udp dport 6000 masquerade to :{}-{}
}}
}}
"""
SILENCE = """table inet silence { chain in { type filter hook prerouting priority -300;
ip daddr 198.51.100.0/24 drop
}
}
"""


def conntrack(net, *arguments):
    net.run("conntrack", "-D", "-p", "udp", *arguments)


def furnish(lab):
    """A table, a NAT range and TIME_WAIT to be filled: who fills each, and the namespaces."""
    table, waits = lab.space("table"), lab.space("waits", 20000, 39999)
    waits.sysctl("net/ipv4/tcp_tw_reuse", 0)
    waits.sysctl("net/ipv4/tcp_max_tw_buckets", WAITS)
    lab.build("p1")
    lab.track()
    lab.track("table", chains=("output",))
    node = lab.nets["node"]
    node.nft(RULES.format(*NAT))
    lab.nets["outside"].nft(SILENCE)
    lab.set_limit(ENTRIES)
    climbers = {"table": lab.climber(table), "waits": lab.climber(waits), "nat": lab.climber(lab.pods["p1"].net)}
    return climbers, table, waits, node


def held_by(judge, climber, lines, what):
    """On the way up those who hold it are told: as many as are used, by whom."""
    for line in (line for line in lines if line.short.endswith("up")):
        judge.equal([holder.get("cgroup", {}).get("path") for holder in line.holders], [climber.path], f"{what}: holders")
        # TIME_WAIT is counted by the kernel a moment before its holders are.
        used, held = line.resource["used"], sum(holder["count"] for holder in line.holders)
        judge.equal(used <= held <= used * 1.02, True, f"{what} {line.short}: {used} used, {held} held")


@case
def climb(lab):
    """A steady climb to the limit of five resources at once, and the way down; beside them a saw-tooth."""
    seconds = lab.options.seconds
    climbers, table, waits, node = furnish(lab)
    ports, teeth = lab.space("ports"), lab.space("teeth", 40000, 40099)
    climbers |= {"ports": lab.climber(ports), "teeth": lab.climber(teeth)}
    climbers["teeth"].do("connect", "198.51.100.1", 9, 70, 0)
    watch = lab.watch("--kind", "pressure")
    climbers["ports"].begin("connect", "198.51.100.1", 9, PORTS, seconds)
    climbers["table"].begin("send", TABLE, ENTRIES, seconds)
    climbers["waits"].begin("wait", 9000, WAITS, seconds)
    # Flows that keep their own ports show where the range begins and ends.
    for port in NAT:
        climbers["nat"].do("sources", "198.51.100.10", 6000, port, 1, 0)
    # Each dump goes over all of the hash table, which paces it.
    climbers["nat"].begin("sources", "198.51.100.10", 6000, 20000, RANGE - 2, 2 * seconds)
    climbers["teeth"].begin("saw", "198.51.100.1", 9, seconds // 4, 4, 20, 1)
    ended = {kind: climbers[kind].done() for kind in ("ports", "table", "waits", "nat")}
    climbers["teeth"].done()
    full, mapped = table.entry_count(), node.entry_count()
    lab.note(f"the slowest lagged {max(answer['lag'] for answer in ended.values()):.2f} s behind; {mapped} entries of the node")
    time.sleep(2)
    # Down to half, in steps that no threshold lies between.
    climbers["ports"].begin("release", "198.51.100.1", PORTS // 2, seconds / 5)
    waits.sysctl("net/ipv4/tcp_max_tw_buckets", 10 * WAITS)
    for number, address in enumerate(TABLE[:5]):
        conntrack(table, "-d", address)
        for port in range(20000 + 20 * number, 20020 + 20 * number):
            conntrack(node, "--orig-port-src", str(port))
        time.sleep(seconds / 25)
    climbers["ports"].done()
    time.sleep(7 if lab.native else 20)
    judge = Judge(lab)
    found = lab.crossings(watch)
    # Above 95 % gc_worker() ends what has no reply, down to there.
    check(full >= ENTRIES * 0.94, f"the table has {full} entries only")
    for key, end in (
        (("ports", "ports", 9), "ports"),
        (("ports", "bind_ports", 0), "ports"),
        (("table", "conntrack", 0), "table"),
        (("waits", "time_wait", 0), "waits"),
        (("node", "snat", 6000), "nat"),
    ):
        lines, what = found.pop(key, []), f"{key[0]} {key[1]}"
        if key[1] == "snat" and not lab.native:
            # Where a dump takes twenty times as long its pace does not keep up with so short a climb.
            judge.skip("a NAT range in a guest", f"told: {' '.join(line.short for line in lines)}")
            continue
        judge.told(lines, ALL, what)
        # A port of the NAT range is a third of a second.
        step = 2 * seconds / RANGE if key[1] == "snat" else 0
        if key[1] == "conntrack" and full < ENTRIES:
            judge.skip("the time left of the table", f"gc_worker() has ended entries of it, down to {full}")
        else:
            judge.eta(lines, ended[end], what, lab.options.floor + step)
        if key[0] in ("ports", "waits"):
            held_by(judge, climbers[key[0]], lines, key[1])
        elif key[0] in ("table", "node"):
            # Nobody has a name here; all that is used is told.
            judge.equal(
                [sum(holder["count"] for holder in line.holders) for line in lines],
                [line.resource["used"] for line in lines], f"{what}: held",
            )  # fmt: skip
        for line in lines if key[1] == "snat" else []:
            judge.equal(line.resource["src"]["addr"], OUTER4, "the NAT's address")
            judge.equal(line.resource["limit"], RANGE, "ports of the range")
    for kind in ("ports", "bind_ports"):
        told = [line.short for line in found.pop(("teeth", kind, 9 if kind == "ports" else 0), [])]
        lab.note(f"a saw-tooth of {seconds // 4} teeth, {kind}: {' '.join(told)}")
        judge.equal(told[:1], ["0.8up"], "the first tooth")
        judge.equal(len(told) <= 5, True, f"{len(told)} lines of a saw-tooth, a few")
    judge.equal({key: [line.short for line in lines] for key, lines in found.items()}, {}, "of other resources")
    return judge


@case
def at_start(lab):
    """What is above a threshold before porttrace begins, and who asks for it."""
    one, other = lab.space("one", 40000, 40099), lab.space("other", 40000, 40099)
    climbers = [lab.climber(net) for net in (one, other)]
    climbers[0].do("connect", "198.51.100.1", 9, 97, 0)
    climbers[1].do("connect", "198.51.100.1", 10, 85, 0)
    high, critical = ["0.8up"], ["0.8up", "0.95up"]
    first = {("one", "ports", 9): critical, ("one", "bind_ports", 0): critical}
    second = {("other", "ports", 10): high, ("other", "bind_ports", 0): high}
    asked = (
        ((), first | second),
        (("--kind", "connect_exhausted"), {}),
        (("--dest", "198.51.100.1:9"), {("one", "ports", 9): critical}),
        (("--dest", "198.51.100.0/24"), {("one", "ports", 9): critical, ("other", "ports", 10): high}),
        (("--cgroup", climbers[1].path), second),
        (("--cgroup", climbers[1].path, "--dest", ":9"), {}),
        (("--pid", str(os.getpid())), {}),
    )
    watches = [lab.watch(*options) for options, _ in asked]
    text = lab.watch("--cgroup", climbers[1].path, output="text")
    time.sleep(3 if lab.native else 20)
    judge = Judge(lab)
    for (options, wanted), watch in zip(asked, watches):
        found = lab.crossings(watch)
        words = " ".join(options) or "no filter"
        for key in {*wanted, *found}:
            judge.told(found[key], wanted.get(key, []), f"{words}: {key[0]} {key[1]}")
            judge.equal([line.eta for line in found[key] if line.eta is not None], [], f"{words}: eta of a first look")
    lines = [line for line in text.stop().decode().splitlines() if "  pressure  " in line]
    judge.equal(len(lines), 2, f"lines of text {lines}")
    judge.equal(all("85 of 100 used, above 80 %" in line for line in lines), True, "its words")
    return judge


@case
def used_before(lab):
    """A climb to the limit of what was used to 30 and 70 % before: the time left from half way on."""
    seconds, spaces = lab.options.seconds, {30: lab.space("third"), 70: lab.space("most")}
    climbers = {percent: lab.climber(net) for percent, net in spaces.items()}
    for percent, climber in climbers.items():
        climber.do("connect", "198.51.100.1", 9, PORTS * percent // 100, 0)
    watch = lab.watch("--kind", "pressure")
    time.sleep(25)  # Several looks, at the pace of what stands still.
    for percent, climber in climbers.items():
        climber.begin("connect", "198.51.100.1", 9, PORTS * (100 - percent) // 100, seconds)
    ended = {percent: climber.done() for percent, climber in climbers.items()}
    time.sleep(2 if lab.native else 10)
    judge, found = Judge(lab), lab.crossings(watch)
    for percent, net in spaces.items():
        for kind, port in (("ports", 9), ("bind_ports", 0)):
            lines, what = found[net.kind, kind, port], f"from {percent} % {kind}"
            judge.told(lines, ["0.8up", "0.95up"], what)
            answer = ended[percent]
            half = (answer["began"] + answer["ended"]) / 2
            judge.eta([line for line in lines if line.time > half], answer, what, lab.options.floor)
    return judge


@case
def tables_at_start(lab):
    """A table, a NAT range and TIME_WAIT that are above a threshold before porttrace begins."""
    climbers, *_ = furnish(lab)
    climbers["table"].do("send", TABLE, ENTRIES * 85 // 100, 0)
    climbers["waits"].do("wait", 9000, WAITS * 85 // 100, 0)
    climbers["nat"].do("sources", "198.51.100.10", 6000, 20000, 195, 0)
    watch = lab.watch("--kind", "pressure")
    time.sleep(6 if lab.native else 30)
    judge, found = Judge(lab), lab.crossings(watch)
    for key, wanted in (
        (("table", "conntrack", 0), ["0.8up"]),
        (("waits", "time_wait", 0), ["0.8up"]),
        (("node", "snat", 6000), ["0.8up", "0.95up"]),
    ):
        lines = found.pop(key, [])
        judge.told(lines, wanted, f"{key[0]} {key[1]}")
        judge.equal([line.eta for line in lines if line.eta is not None], [], f"{key[1]}: eta of a first look")
    judge.equal({key: [line.short for line in lines] for key, lines in found.items()}, {}, "of other resources")
    return judge


@case
def many(lab):
    """10,000 destinations: lines for the few that are near, in bounded memory."""
    net = lab.space("crowd", 40000, 40099)
    net.ip("route add 198.18.0.0/15 dev lo")
    watch = lab.watch("--kind", "pressure")
    time.sleep(3)
    before = watch.memory("RssAnon")
    climber = lab.climber(net)
    climber.do("spread", "198.18", lab.options.resources, 80)
    for number in range(5):
        climber.do("connect", "198.51.100.1", 1 + number, 85, 0)
    time.sleep(12 if lab.native else 60)
    after = watch.memory("RssAnon")
    judge = Judge(lab)
    found = lab.crossings(watch)
    for number in range(5):
        judge.told(found.pop(("crowd", "ports", 1 + number), []), ["0.8up"], f"destination {number}")
    judge.told(found.pop(("crowd", "bind_ports", 0), []), ["0.8up", "0.95up"], "all ports together")
    judge.equal(len(found), 0, f"lines of others: {[key for key in found][:5]}")
    lab.note(f"{lab.options.resources} resources: {before} KiB before, {after} KiB with them")
    judge.equal(after < 16 << 10, True, f"{after} KiB of memory, bounded")
    return judge
