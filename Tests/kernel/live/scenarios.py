"""Nodes at rest, under load, out of ports; and what each filter leaves."""

import itertools
import time

from harness.node import cgroup2_root
from ports.lab import Truth
from robust.lab import await_that, case, check
from staged.nat import PORT as NAT_PORT
from staged.nat import TO, mappings, masquerade
from staged.stage import FAR, PORT, hold, refused

from .lab import LiveJudge, Top

LOW, HIGH = 20000, 20199
NAT_LOW, NAT_HIGH = 40000, 40015  # porttrace takes sixteen ports side by side for a range
ALL_OF_NAT = "198.51.100.21"
BOUND = [20010, 20011, 20012]
HELD, GUEST_HELD = 1500, 500
HIGH_UNDER_LOAD, HIGH_FAST, LOOKS = 22999, 24999, 8


def furnish(lab, *pods, high=HIGH):
    """Pods with a small range behind a node that tracks connections, and a server outside."""
    lab.build(*pods)
    lab.track()
    for pod in pods:
        lab.range(pod, LOW, high)
    lab.far(PORT)


def entry_count(lab):
    """By conntrack's own listing, not by the figure that it keeps."""
    return len(lab.nets["node"].entries())


def usable(high=HIGH):
    return set(range(LOW, high + 1))


@case
def quiet(lab):
    """Every kind of resource, and nothing moves: all figures equal ss's and conntrack's."""
    furnish(lab, "p1", "p2")
    masquerade(lab, NAT_LOW, NAT_HIGH)
    hog, other = lab.worker("hog", "p1"), lab.worker("other", "p1")
    closer, sender = lab.worker("closer", "p2"), lab.worker("sender", "p2")
    other.all("ok", "bind", "0.0.0.0", BOUND, proto="udp")
    other.all("ok", "bind", "0.0.0.0", BOUND[:2])
    hold(hog, 120)
    other.all("ok", "connect", FAR, PORT, count=30)
    top, judge = Top(lab), LiveJudge(lab)
    closer.all("ok", "connect", FAR, PORT, count=40, keep=False)
    sender.all("ok", "send", TO, NAT_PORT, count=7, keep=True)
    sender.all("ok", "send", ALL_OF_NAT, NAT_PORT, count=NAT_HIGH - NAT_LOW + 1, keep=True)
    pods = [lab.nets[name] for name in ("p1", "p2")]
    await_that(lambda: all(Truth(net).is_settled for net in pods), "rest")
    check(Truth(lab.nets["p2"]).time_wait(), "nothing is in TIME_WAIT")
    snapshot = top.settled()
    judge.line(snapshot)
    for net, bound in zip(pods, (set(BOUND[:2]), set())):
        truth = Truth(net)
        judge.same(snapshot.ports(net), dict(truth.ports(usable(), bound)), f"ports of {net.kind}")
        for row in snapshot.rows(net, "ports"):
            judge.same(row["resource"]["limit"], len(usable() - bound), f"limit of {row['resource']}")
        waiting = snapshot.row(net, "time_wait")["resource"].get("used", 0)
        judge.same(waiting, truth.time_wait(), f"TIME_WAIT of {net.kind}")
        udp = {port for _, port in truth.udp} & usable()
        judge.same(snapshot.row(net, "bind_ports", "udp")["resource"].get("used"), len(udp), f"UDP's ports of {net.kind}")
    table, node = snapshot.row(lab.nets["node"], "conntrack"), lab.nets["node"]
    judge.same(table["resource"].get("used"), int(node.run("conntrack", "-C")), "entries, and conntrack -C")
    judge.same(table["resource"].get("used"), entry_count(lab), "entries, and conntrack -L")
    judge.same(table["resource"].get("limit"), int(lab.limit.path.read_text()), "nf_conntrack_max")
    translations = {row["resource"]["dst"]["addr"]: row["resource"] for row in snapshot.rows(node, "snat")}
    judge.same(
        {to: (one["used"], one.get("limit")) for to, one in translations.items()},
        {to: (mappings(lab, to), NAT_HIGH - NAT_LOW + 1) for to in (TO, ALL_OF_NAT)}, "mappings",
    )  # fmt: skip
    judge.held(snapshot.row(pods[0], "ports", port=PORT), hog, 120, "who has the ports")
    judge.held(snapshot.row(pods[0], "bind_ports", "udp"), other, len(BOUND), "who has bound ports")
    # Under emulation a few end early.
    judge.held(snapshot.row(pods[1], "time_wait"), closer, Truth(pods[1]).time_wait(), "who has closed")
    for row in itertools.chain.from_iterable(snapshot.rows(net) for net in lab.nets.values()):
        judge.same((row["failures_per_s"], row.get("eta_s")), (0, None), f"failures and time of {row['resource']}")
    shares = [
        row["resource"]["used"] / row["resource"]["limit"] for row in snapshot.line["rows"]
        if row["resource"].get("netns_id") in lab.inodes and row["resource"].get("limit")
    ]  # fmt: skip
    judge.same(shares, sorted(shares, reverse=True), "the nearest first")
    return judge


@case
def load(lab):
    """A steady climb of known beginning and end: each figure lies between the kernel's before and after the line."""
    furnish(lab, "p1", high=HIGH_UNDER_LOAD)
    net, node = lab.nets["p1"], lab.nets["node"]
    hog = lab.worker("hog", "p1")
    held = HELD if lab.native else GUEST_HELD
    hold(hog, held)
    top, judge, looks = Top(lab), LiveJudge(lab), []
    judge.line(top.settled())
    # So slow that a figure of two lines before would do: on a busy machine not each line has a look of its own.
    hog.begin("connect", FAR, PORT, pause=0.25 if lab.native else 2, until_told=True)
    for _ in range(LOOKS):
        time.sleep(top.pause)
        before = sockets_and_entries(lab)
        snapshot = top.look()
        after = sockets_and_entries(lab)
        judge.line(snapshot)
        ports, table = snapshot.row(net, "ports", port=PORT), snapshot.row(node, "conntrack")
        judge.between(ports["resource"].get("used"), before[0], after[0], "sockets", 0.01)
        judge.between(table["resource"].get("used"), before[1], after[1], "entries", 0.01)
        looks.append((snapshot.seconds, before[0], after[0], ports))
    counts = hog.end()
    check(list(counts) == ["ok"], f"what the climber got: {counts}")
    steady(judge, looks)
    lab.note(f"{held} sockets and {counts['ok']} more, {looks[-1][3].get('rate_per_s')} a second in the end")
    last = await_that(lambda: resting(top, net), "a line without a time until it is full, of what stands still")
    judge.line(last)
    judge.same(last.row(net, "ports", port=PORT)["resource"]["used"], held + counts["ok"], "sockets that the client has")
    return judge


@case
def fast(lab):
    """Hundreds of connections a second, at the default interval. Each figure lies between what ss says before the line
    before, as a busy machine may skip a look, and after the line; one that belongs to its line, between the two around it."""
    furnish(lab, "p1", high=HIGH_FAST)
    net, hog = lab.nets["p1"], lab.worker("hog", "p1")
    hold(hog, GUEST_HELD)
    top, judge = Top(lab, interval="1s"), LiveJudge(lab)
    judge.line(top.next())
    counts, own, began = [sockets(lab)], 0, time.monotonic()
    hog.begin("connect", FAR, PORT, pause=0.003 if lab.native else 0.1, until_told=True)
    for _ in range(LOOKS):
        counts.append(sockets(lab))
        snapshot = top.next()
        counts.append(sockets(lab))
        judge.line(snapshot)
        used = snapshot.row(net, "ports", port=PORT)["resource"].get("used")
        judge.between(used, counts[-4] if len(counts) > 3 else counts[0], counts[-1], "sockets", 0.01)
        own += counts[-2] * 0.99 <= (used or 0)
    made, seconds = hog.end(), time.monotonic() - began
    check(list(made) == ["ok"], f"what the climber got: {made}")
    rate = made["ok"] / seconds
    lab.note(f"{rate:.0f} connections a second; {own} of {LOOKS} lines within 1 % of ss's looks before and after them")
    judge.same(own > 0, True, "a line has figures of its own")
    return judge


def sockets(lab):
    return Truth(lab.nets["p1"]).ports(usable(HIGH_FAST), set()).total()


def sockets_and_entries(lab):
    return sockets(lab), entry_count(lab)


def steady(judge, looks):
    """A line through several looks is as steep as the flattest and the steepest piece of it, or between them."""
    pieces = [
        ((low - former_high) / (time - former), (high - former_low) / (time - former))
        for (former, former_low, former_high, _), (time, low, high, _) in itertools.pairwise(looks)
    ]
    last = looks[-1][3]
    low, high = min(piece[0] for piece in pieces), max(piece[1] for piece in pieces)
    judge.between(last.get("rate_per_s"), low, high, "sockets a second", 0.02)
    left = last["resource"].get("limit", 0) - last["resource"].get("used", 0)
    judge.between(last.get("eta_s"), left / high - 1, left / low if low > 0 else float("inf"), "seconds until it is full", 0.02)


def resting(top, net):
    snapshot = top.fresh()
    row = snapshot.row(net, "ports", port=PORT)
    return snapshot if "eta_s" not in row and row["resource"] else None


@case
def failures(lab):
    """The failures of a line are those that the client has counted since the line before."""
    furnish(lab, "p1", high=LOW + 49)
    net = lab.nets["p1"]
    hog, victim = lab.worker("hog", "p1"), lab.worker("victim", "p1")
    hold(hog, 50)
    top, judge = Top(lab), LiveJudge(lab)
    former = top.settled()
    for count in (lab.options.count, 1, 0, 7):
        if count:
            refused(victim, "EADDRNOTAVAIL", "connect", FAR, PORT, count=count)
        snapshot = top.fresh()
        judge.line(snapshot)
        row = snapshot.row(net, "ports", port=PORT)
        seconds = snapshot.seconds - former.seconds
        # Where the maps are full of others' failures, these have no destination. A line has tenths.
        told = sum(each["failures_per_s"] for each in snapshot.rows(net, "ports"))
        judge.between(told * seconds, count - 0.05 * seconds, count + 0.05 * seconds, "failures", 0.005)
        judge.same((row["resource"]["used"], row["resource"]["limit"]), (50, 50), "used and limit")
        judge.held(row, hog, 50, "who has the ports")
        mine = [each["resource"] for each in snapshot.line["rows"] if each["resource"].get("netns_id") in lab.inodes]
        judge.same((mine[0]["kind"], mine[0]["netns_id"]), ("ports", net.inode), "what has failed comes first")
        former = snapshot
    return judge


@case
def filters(lab):
    """Each filter option leaves what it asks for: the kinds of the rows of each namespace."""
    furnish(lab, "p1", "p2")
    masquerade(lab, NAT_LOW, NAT_HIGH)
    web, other, local = lab.worker("web", "p1"), lab.worker("other", "p2"), lab.worker("local", "node")
    hold(web, 20)
    hold(other, 20)
    other.all("ok", "send", TO, NAT_PORT, count=5, keep=True)
    local.all("ok", "bind", "0.0.0.0", 0, proto="udp")
    p1, p2 = {"p1": {"ports", "bind_ports"}}, {"p2": {"ports", "bind_ports", "time_wait"}}
    # Entries are told by pod; of an open socket no process is known, of one in TIME_WAIT who has closed it.
    pod1, pod2 = p1 | {"node": {"conntrack"}}, p2 | {"node": {"conntrack", "snat"}}
    # In a namespace of its own a service's sockets may be containers' where those are in cgroup v1: nobody is named.
    service = {"node": {"bind_ports"}} if str(cgroup2_root()) == "/sys/fs/cgroup" else {}
    wanted = {
        (): p1 | p2 | {"node": {"conntrack", "snat", "bind_ports"}},
        ("-n", "shop"): pod1 | pod2,
        ("-n", "nowhere"): {},
        ("--pod", "p1"): pod1,
        ("--pod", "shop/p2"): pod2,
        ("--container", "web"): p1,
        ("--cgroup", web.path): p1,
        ("--cgroup", lab.cgroup): p1 | p2 | service,
        ("--pid", str(other.pid)): p2,
        ("--comm", "st-other"): p2,
        ("--dest", f"{FAR}:{PORT}"): {"p1": {"ports"}, "p2": {"ports"}},
        ("--dest", f"{TO}/32"): {"node": {"snat"}},
        ("--kind", "snat_exhausted"): {"node": {"snat"}},
        ("--kind", "connect_exhausted", "--pod", "p2"): {"p2": {"ports"}},
    }
    tops, judge = [Top(lab, *arguments) for arguments in wanted], LiveJudge(lab)
    other.all("ok", "connect", FAR, PORT, count=5, keep=False)
    await_that(lambda: Truth(lab.nets["p2"]).time_wait(), "TIME_WAIT")
    for top in tops:
        top.look()
    time.sleep(tops[0].pause)
    for top, (arguments, left) in zip(tops, wanted.items()):
        snapshot = top.look()
        judge.line(snapshot)
        found = {name: {row["resource"]["kind"] for row in snapshot.rows(net)} for name, net in lab.nets.items()}
        judge.same({name: kinds for name, kinds in found.items() if kinds and name != "outside"}, left, " ".join(arguments))
        top.trace.stop()
    return judge
