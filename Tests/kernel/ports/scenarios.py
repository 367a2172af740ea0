"""What a node's namespaces may hold."""

import contextlib
import pathlib
import time

from robust.lab import Skip, case, check
from track.net import execute

from .judge import Judge
from .lab import Truth

RESERVED = range(40500, 40510)


def three_owners(lab, net):
    return [lab.holder(net, f"owner{number}") for number in range(3)]


def connect_all(owners, target, shares, scale=1):
    """Each owner's connections of each family."""
    for owner, share in zip(owners, shares):
        owner.connect("v4", 4, "10.99.0.1", "10.99.0.1", 8080, 7 * share * scale)
        owner.connect("other", 4, "10.99.0.2", "10.99.0.1", 8080, 2 * share * scale)
        owner.connect("mapped", "mapped", "10.99.0.1", "10.99.0.1", 8081, 3 * share * scale)
        owner.connect("v6", 6, "", "fd99::1", 8080, 4 * share * scale)
        owner.connect("nobody", 4, "10.99.0.1", "198.51.100.7", 443, share * scale)


def serve(server):
    server.listen("v4", 4, "0.0.0.0", 8080)
    server.listen("both", 6, "::", 8081)
    server.listen("v6", 6, "fd99::1", 8080)


@case
def open_sockets(lab):
    """Connections of every family and three owners, listeners with accepted ones inside the range, bound sockets."""
    net = lab.space("open", reserved="40500-40509,41500")
    owners, server = three_owners(lab, net), lab.holder(net, "server")
    serve(server)
    server.listen("inside", 4, "10.99.0.1", 40100)
    bound = {40100, 40200, 40201, 40202, 40505}
    owners[1].bind("bound", 4, "10.99.0.1", 40200)
    owners[1].bind("bound", 4, "0.0.0.0", 40201, "SO_REUSEADDR")
    owners[2].bind("bound", 6, "::", 40202, "SO_REUSEPORT")
    owners[2].bind("bound", 4, "10.99.0.1", 40505)
    bound |= {owners[2].bind("bound", 4, "10.99.0.2", 0) for _ in range(5)}
    connect_all(owners, net, (7, 2, 1))
    owners[0].connect("inbound", 4, "10.99.0.2", "10.99.0.1", 40100, 25)
    lab.settle_sockets([net])
    census, judge = lab.taker().take(), Judge()
    judge.equal(census.gaps, [], "not visible")
    judge.namespace(census, Truth(net), net.inode, 40000, 40999, RESERVED, bound)
    ports = census.ports(net.inode)
    ids = [owner.id for owner in owners]
    for key, count in (
        (("10.99.0.1", "10.99.0.1", 8080), 7),
        (("10.99.0.2", "10.99.0.1", 8080), 2),
        (("10.99.0.1", "10.99.0.1", 8081), 3),
        (("fd99::1", "fd99::1", 8080), 4),
        (("10.99.0.1", "198.51.100.7", 443), 1),
    ):
        judge.holders(ports[key], dict(zip(ids, (7 * count, 2 * count, count))), f"holders of {key}")
    judge.equal(census.one("bind_ports", net.inode)["holders"][0]["cgroup"], ids[0], "most ports")
    judge.equal(sum(each["count"] for each in census.one("bind_ports", net.inode)["holders"]),
                census.one("bind_ports", net.inode)["used"], "ports with an owner")  # fmt: skip
    judge.equal((census.namespaces[net.inode]["below"], census.namespaces[net.inode]["above"]), (8081, 0), "neighbours")
    return judge


@case
def udp_sockets(lab):
    """Connected and not, two families on a port, many sockets on a port."""
    net = lab.space("udp", reserved="40500-40509")
    owners = three_owners(lab, net)
    for _ in range(20):
        owners[2].udp("group", 4, "10.99.0.1", 40777, "", ["SO_REUSEPORT"])
    ports = [owners[0].udp("plain", 4, "0.0.0.0", 0) for _ in range(40)]
    for port in ports[:10]:
        owners[0].udp("v6", 6, "::", port)
    for _ in range(20):
        owners[1].udp("connected", 4, "10.99.0.1", 0, "10.99.0.2")
    owners[2].udp("reserved", 4, "10.99.0.1", 40501)
    owners[2].udp("outside", 4, "10.99.0.1", 53)
    census, judge = lab.taker().take(), Judge()
    truth = Truth(net)
    judge.real, judge.seen = 0, 0
    judge.namespace(census, truth, net.inode, 40000, 40999, RESERVED)
    used = census.one("bind_ports", net.inode, 17)
    judge.equal({each["cgroup"]: each["count"] for each in used["holders"]},
                dict(zip((owner.id for owner in owners), (40, 20, 1))), "holders")  # fmt: skip
    judge.real, judge.seen = 61, used["used"]
    judge.equal(census.namespaces[net.inode]["below"], 53, "the neighbour below")
    return judge


@case
def time_wait(lab):
    """Both states of TIME_WAIT, beside open sockets towards the same destination."""
    net = lab.space("closed")
    owner, server = lab.holder(net, "owner"), lab.holder(net, "server")
    serve(server)
    owner.connect("first", 4, "10.99.0.1", "10.99.0.1", 8080, 60)
    owner.connect("first", 6, "", "fd99::1", 8080, 15)
    owner.connect("first", "mapped", "10.99.0.1", "10.99.0.1", 8081, 15)
    lab.settle_sockets([net])
    owner.close("first")
    lab.settle_sockets([net])
    server.close_accepted()
    owner.connect("second", 4, "10.99.0.1", "10.99.0.1", 8080, 40)
    owner.connect("held", 4, "10.99.0.1", "10.99.0.1", 8080, 30)
    lab.settle_sockets([net])
    owner.close("second")  # the other side does not close: the first state
    lab.settle_sockets([net])
    census, judge, truth = lab.taker().take(), Judge(), Truth(net)
    states = {state for state, _, _ in truth.tcp}
    check({"TIME-WAIT", "FIN-WAIT-2", "ESTAB"} <= states, f"not the states that were meant: {states}")
    judge.equal(census.gaps, [], "not visible")
    judge.namespace(census, truth, net.inode, 40000, 40999)
    one = census.ports(net.inode)["10.99.0.1", "10.99.0.1", 8080]
    judge.equal((one["used"], one["time_wait"]), (130, 100), "used, and of it TIME_WAIT")
    judge.holders(one, {owner.id: 30}, "those of before the attach are nobody's")
    return judge


@case
def several_namespaces(lab):
    """The same addresses in several namespaces, each with its own range; one that only sockets hold."""
    elsewhere = str(lab.net("elsewhere").path)
    nets = [lab.space(f"pod{number}", 40000 + 100 * number, 40299 + 100 * number) for number in range(4)]
    for number, net in enumerate(nets):
        server, owner = lab.holder(net, f"server{number}"), lab.holder(net, f"client{number}")
        serve(server)
        connect_all([owner], net, (number + 2,))
        server.leave(elsewhere)
        owner.leave(elsewhere)
    lab.settle_sockets(nets)
    truths = [Truth(net) for net in nets]
    execute(["umount", str(nets[3].path)])  # no mount and no process has it any more
    census, judge = lab.taker().take(), Judge()
    judge.equal(census.gaps, [], "not visible")
    for number, (net, truth) in enumerate(zip(nets, truths)):
        judge.namespace(census, truth, net.inode, 40000 + 100 * number, 40299 + 100 * number)
    return judge


@case
def own_tables(lab):
    """Namespaces with a table of connections, and of UDP ports, of their own, where this kernel has such."""
    parent = lab.net("parent")
    try:
        parent.sysctl("net/ipv4/tcp_child_ehash_entries", 512)
    except FileNotFoundError as error:
        raise Skip(f"this kernel has no {error.filename}") from None
    with contextlib.suppress(FileNotFoundError):  # since v6.2
        parent.sysctl("net/ipv4/udp_child_hash_entries", 128)
    child = lab.child_space("child", parent)
    entries = child.inside(pathlib.Path("/proc/sys/net/ipv4/tcp_ehash_entries").read_text)
    check(int(entries) == 512, f"the table that was asked for has {entries} buckets")
    server, owner = lab.holder(child, "server"), lab.holder(child, "owner")
    serve(server)
    connect_all([owner], child, (10,))
    for _ in range(30):
        owner.udp("udp", 4, "0.0.0.0", 0)
    lab.settle_sockets([child])
    census, judge = lab.taker().take(), Judge()
    judge.equal(census.gaps, [], "not visible")
    judge.namespace(census, Truth(child), child.inode, 40000, 40999)
    return judge


@case
def load(lab):
    """Connections come and go beside those that are held: these are counted within 1 % every time."""
    taker, judge = lab.taker(), Judge()  # first: a starved guest is long about loading the programs
    net = lab.space("busy", 30000, 59999)
    owner, server = lab.holder(net, "owner"), lab.holder(net, "server")
    serve(server)
    count = lab.options.count
    for start in range(0, count, 500):
        owner.connect("held", 4, "10.99.0.1", "10.99.0.1", 8080, min(500, count - start))
    lab.settle_sockets([net])
    churners = [lab.holder(net, f"churn{number}") for number in range(2)]
    server.drop_accepted()
    for churner in churners:
        churner.churn("10.99.0.2", 8081)
    for _ in range(20):
        before = len(Truth(net).connections())
        census = taker.take()
        after = len(Truth(net).connections())
        entry = census.namespaces[net.inode]
        one = census.ports(net.inode)["10.99.0.1", "10.99.0.1", 8080]
        judge.near(one["used"], count, "held")
        total = entry["tcp"] + entry["time_wait"]
        low, high = min(before, after), max(before, after)
        if not low * 0.99 <= total <= high * 1.01:
            judge.problems.append(f"all sockets: {total}, ss before and after: {before}, {after}")
        judge.real, judge.seen = judge.real + count, judge.seen + one["used"]
        time.sleep(0.05)
    judge.notes.append(f"{before} to {after} sockets in the end")
    return judge
