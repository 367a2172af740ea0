"""What is tried: see each. All figures are the kernel's own, or the state machine's."""

import collections
import platform
import time

from harness.reconcile import nanoseconds

from . import kernel

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


FAMILIES = (("127.0.0.1", 7001), ("::1", 7002), ("+127.0.0.1", 7003))
# The connects after which a port towards one destination has its next turn are some 3,100 (28,000 ports, by 9 on average,
# inet_hash_connect()): a later one may take the place of a TIME_WAIT socket of the server's.
WITHOUT_REUSE = 2_500
OPENING = (
    ("CLOSE", "SYN_SENT"), ("SYN_SENT", "ESTABLISHED"), ("LISTEN", "SYN_RECV"), ("SYN_RECV", "ESTABLISHED"),
    ("ESTABLISHED", "FIN_WAIT1"), ("FIN_WAIT1", "FIN_WAIT2"), ("ESTABLISHED", "CLOSE_WAIT"),
)
PASSIVE = (("CLOSE_WAIT", "LAST_ACK"), ("LAST_ACK", "CLOSE"))
ABORTED = (("FIN_WAIT2", "CLOSE"), ("CLOSE_WAIT", "CLOSE"))
CALLERS = {
    ("CLOSE", "LISTEN"), ("LISTEN", "CLOSE"), ("CLOSE", "SYN_SENT"), ("ESTABLISHED", "FIN_WAIT1"),
    ("CLOSE_WAIT", "LAST_ACK"),
}


def sees_ends(lab):
    return lab.tiers["states"] in ("fentry", "kprobe")


def expect_entries(lab, moved, changes):
    """Into TIME_WAIT as often as the kernel has counted, and out of it as often as they are fewer."""
    entries, ends = changes[("FIN_WAIT2", "TIME_WAIT")] + changes[("CLOSING", "TIME_WAIT")], changes[("TIME_WAIT", "CLOSE")]
    if kernel_counts_entries():
        counted = moved["entries"]
        unseen = lab.unseen_changes()
        unseen = collections.Counter(entries=unseen["FIN_WAIT2", "TIME_WAIT"] + unseen["CLOSING", "TIME_WAIT"])
        lab.expect_counts("entries of TIME_WAIT", {"entries": entries}, {"entries": counted}, unseen)
    else:  # at their end, and not those that a packet has ended
        counted = kernel.entries_at_the_end(lab.net)
        least = entries - ends if sees_ends(lab) else 0
        if not least <= counted <= entries + lab.missed:
            lab.problems.append(f"{entries} entries of TIME_WAIT, {ends} of them ended, {counted} counted by the kernel")
    lab.notes.append(f"{entries} entries of TIME_WAIT told, {counted} counted by the kernel")
    if not sees_ends(lab):
        lab.expect("ends of TIME_WAIT, which nothing here sees", ends, 0)
    elif not lab.missed and not lab.unseen:
        lab.expect("entries less ends of TIME_WAIT", entries - ends, moved["there"])


def kernel_counts_entries():
    """5.10 counts a TIME_WAIT socket at its end."""
    return not platform.release().startswith("5.")


def check_change(lab, closer_of, event):
    change = (event["detail"]["old"], event["detail"]["new"])
    ports = {event.get("src", {}).get("port"), event.get("dst", {}).get("port")} & set(closer_of)
    closer = closer_of[ports.pop()] if len(ports) == 1 else None
    if not closer:
        return f"{change}: whose is it? {event}"
    if event.get("cgroup", {}).get("path") != f"{lab.node.cgroup}/{closer.cgroup}":
        return f"{change}: cgroup is {event.get('cgroup')}"
    process = event.get("proc", {}).get("pid")
    if process != (closer.process.pid if change in CALLERS else None):
        return f"{change}: pid is {process}"
    if event["attribution"] != "socket" or (event["count"] != 1 and not lab.coalesced):
        return f"{change}: {event}"
    return ""


@scenario
def states(lab):
    """Every way to close, over IPv4, IPv6 and mapped, all at once: each change of state, whose it is, and TIME_WAIT."""
    lab.trace_with("--states")
    ways = ("client", "server", "half", "unread", "linger", "linger2", "after")
    each = max(lab.options.count // (len(ways) * len(FAMILIES)), 10)
    closers = [
        lab.closer(way, address, port + 10 * number, each, "ab"[number % 2])
        for number, way in enumerate(ways)
        for address, port in FAMILIES
    ]
    moved = lab.run(*closers)
    lab.stop()
    closer_of = {closer.port: closer for closer in closers}
    expect_entries(lab, moved, lab.changes())
    all_found, all_wanted = collections.Counter(), collections.Counter()
    for closer in closers:
        found = lab.changes(dst=closer.port) + lab.changes(src=closer.port)
        for change in (("CLOSE", "LISTEN"), ("LISTEN", "CLOSE")):
            found.pop(change, None)
        wanted = dict.fromkeys(OPENING, closer.count)
        if closer.way == "after":
            aborted = found[("FIN_WAIT2", "CLOSE")]
            lab.notes.append(f"after: {aborted} of {closer.count} aborted before TIME_WAIT")
            wanted |= {("FIN_WAIT2", "CLOSE"): aborted, ("FIN_WAIT2", "TIME_WAIT"): closer.count - aborted}
            wanted |= {("CLOSE_WAIT", "CLOSE"): closer.count}
        elif closer.way in ("unread", "linger", "linger2"):
            wanted |= dict.fromkeys(ABORTED, closer.count)
        else:
            wanted |= dict.fromkeys([*PASSIVE, ("FIN_WAIT2", "TIME_WAIT")], closer.count)
        found.pop(("TIME_WAIT", "CLOSE"), None)
        all_found, all_wanted = all_found + found, all_wanted + collections.Counter(wanted)
        if not lab.coalesced:  # else the port in a line is the first one's
            lab.expect_counts(f"{closer.way} {closer.port}", found, wanted, lab.unseen_changes(closer.port))
    lab.expect_counts("all ways", all_found, all_wanted, lab.unseen_changes())
    wrong = collections.Counter()
    for event in lab.events:
        if event["type"] == "tcp_state" and "LISTEN" not in event["detail"].values():
            if problem := check_change(lab, closer_of, event):
                if ("TIME_WAIT", "CLOSE") != (event["detail"]["old"], event["detail"]["new"]):
                    wrong[problem] += 1
    lab.problems += [f"{problem} ({count} times)" for problem, count in wrong.most_common(5)]
    return sum(all_wanted.values()), sum(all_found.values())


@scenario
def owners(lab):
    """Three owners make their shares of TIME_WAIT sockets at once, in a namespace: the map says whose each is."""
    return make_owners(lab, 0)


@scenario
def owners_reuse(lab):
    """The same under tcp_tw_reuse, with fewer ports than connections: of those that are there each is its maker's."""
    kernel.set_sysctl(lab.net, "tcp_tw_reuse", 1)
    ports = max(lab.options.count // 4, 200)
    kernel.set_sysctl(lab.net, "ip_local_port_range", f"20000 {20000 + ports}")
    return make_owners(lab, ports)


def make_owners(lab, ports):
    lab.trace_with()
    count = lab.options.count
    shares = {"a": count * 7 // 10, "b": count * 2 // 10, "b/deep": count // 10}
    rounds = 3 if ports else 1
    if ports:  # each has as many ports towards its own destination
        shares = {cgroup: min(share, ports * 9 // 10) for cgroup, share in shares.items()}
    closers = []
    for turn in range(rounds):
        # The server's side pays in turns; its port is then the one that is kept.
        new = [
            lab.closer("client", "127.0.0.1", 7101 + number, share, cgroup)
            for number, (cgroup, share) in enumerate(shares.items())
        ]
        lab.run(*new)
        closers = new + closers
        if turn + 1 < rounds:
            time.sleep(2.1)  # a port can be used again a second after, as tcp_tw_reuse has it
    sockets = list(kernel.time_wait_sockets(lab.net))
    known = kernel.owners(lab.trace.process.pid)
    lab.stop()
    cgroups = {kernel.cgroup_id(lab.node, name): name for name in shares}
    pids = {closer.process.pid: closer.cgroup for closer in closers}
    truth, found = collections.Counter(), collections.Counter()
    for socket in sockets:
        truth[list(shares)[socket[3] - 7101]] += 1
        owner = known.get(socket)
        name = cgroups.get(owner.cgroup) if owner else None
        if name and pids.get(owner.pid) != name:
            lab.problems.append(f"{socket}: of {name}, the process of {pids.get(owner.pid)}")
        found[name] += 1
    # What the kernel skips leaves a socket without an owner, never with another's.
    unknown = found.pop(None, 0)
    if unknown > lab.missed + sum(lab.unseen.values()):
        lab.problems.append(f"{unknown} of {len(sockets)} have no owner")
    wrong = {name: count for name, count in found.items() if count > truth[name]}
    lab.expect("sockets with another's owner", wrong, {})
    lab.expect("some of each", sorted(truth), sorted(shares))
    if not ports:
        lab.expect("shares", dict(truth), shares)
    lab.notes.append(f"{len(sockets)} in TIME_WAIT: " + ", ".join(f"{name} {n}" for name, n in found.items()) + f", unknown {unknown}")
    return sum(truth.values()), sum(n for name, n in found.items() if name)


@scenario
def holders(lab):
    """Three owners take all ports towards one destination: a failure's holders are these, seen, in their shares."""
    return exhaust(lab, before=0)


@scenario
def holders_before(lab):
    """The same with half of the TIME_WAIT sockets from before the attach: these are shared out, and that is marked."""
    return exhaust(lab, before=1)


def exhaust(lab, before):
    """The same shares `before` times before the attach and once after it; then connects that find no port."""
    part = min(lab.options.count, 20_000) // 20 // (1 + before)
    shares = {"a": 14 * part, "b": 4 * part, "b/deep": 2 * part}
    kernel.set_sysctl(lab.net, "ip_local_port_range", f"20000 {20000 + 20 * part * (1 + before) - 1}")

    def close():
        for cgroup, count in shares.items():
            lab.run(lab.closer("client", "127.0.0.1", 7101, count, cgroup))

    for _ in range(before):
        close()
    lab.trace_with()
    close()
    # They live for a minute: until after the last line.
    sockets = sum(7101 in socket for socket in kernel.time_wait_sockets(lab.net))
    lab.refuse("a", 7101, seconds=8)
    lab.stop()
    refused = [event for event in lab.events if event["type"] == "connect_exhausted"]
    start = nanoseconds(refused[0]["timestamp"])
    # Looks are paced: the one that the first failures have may be of a moment before.
    late = [event for event in refused if nanoseconds(event["timestamp"]) > start + 4_000_000_000]
    wanted = [(f"{lab.node.cgroup}/{cgroup}", count * (1 + before), bool(before)) for cgroup, count in shares.items()]
    unseen = lab.missed + sum(lab.unseen.values())
    lab.expect("TIME_WAIT sockets", sockets, sum(shares.values()) * (1 + before))
    lab.expect("lines after the first seconds", bool(late), True)
    told = []
    for event in late:
        found = event["detail"].get("holders", [])
        lab.expect("sum of the holders", sum(holder["count"] for holder in found), sockets)
        named = [holder for holder in found if not holder.get("unknown")]
        told = [(holder["cgroup"]["path"], holder["count"], "inferred" in holder) for holder in named]
        lab.expect("holders", [(path, inferred) for path, _, inferred in told], [(path, inferred) for path, _, inferred in wanted])
        # What the kernel skips has no owner, and is shared out or nobody's.
        if any(abs(count - right) > 2 * unseen for (_, count, _), (_, right, _) in zip(told, wanted)):
            lab.problems.append(f"holders: {told}, not {wanted}")
        if any(abs(holder["share"] - holder["count"] / sockets) > 0.0001 for holder in found):
            lab.problems.append(f"shares: {found}")
    lab.notes.append(f"{len(late)} of {len(refused)} lines: {told}, {sockets} in TIME_WAIT")
    return sockets, sum(count for _, count, _ in told)


@scenario
def aborts(lab):
    """Connections that are aborted in FIN_WAIT2, also before and after others with the same ports: none has an owner."""
    lab.trace_with("--states")
    closers = [
        lab.closer(way, "127.0.0.1", 7201 + number, max(lab.options.count // 10, 10))
        for number, way in enumerate(("unread", "linger", "linger2"))
    ]
    moved = lab.run(*closers)
    known = [key for key in kernel.owners(lab.trace.process.pid) if {key[1], key[3]} & {7201, 7202, 7203}]
    lab.stop()
    if len(known) > lab.missed + sum(lab.unseen.values()):
        lab.problems.append(f"{len(known)} owners left behind")
    lab.expect("entries of TIME_WAIT, says the kernel", moved["there"], 0)
    expect_entries(lab, moved, lab.changes())
    lab.expect("overflows", dict(lab.overflows()), {})
    wanted = sum(closer.count for closer in closers)
    abort = ("FIN_WAIT2", "CLOSE")
    lab.expect_counts("aborts", {abort: lab.changes()[abort]}, {abort: wanted}, lab.unseen_changes())
    return wanted, lab.changes()[("FIN_WAIT2", "CLOSE")]


@scenario
def overflow(lab):
    """More closes than tcp_max_tw_buckets, by several at once, aborts between them: as many as TCPTimeWaitOverflow."""
    each = min(max(lab.options.count // 5, 10), WITHOUT_REUSE)
    kernel.set_sysctl(lab.net, "tcp_max_tw_buckets", each * 5 // 4)
    lab.trace_with()
    closers = [
        lab.closer(way, address, 7301 + number, each, cgroup)
        for number, (way, address, cgroup) in enumerate(
            (("client", "127.0.0.1", "a"), ("client", "::1", "b"), ("server", "+127.0.0.1", "b"),
             ("half", "127.0.0.1", "b/deep"), ("linger", "127.0.0.1", "a"), ("client", "127.0.0.1", "a")))
    ]
    moved = lab.run(*closers)
    known = kernel.owners(lab.trace.process.pid)
    there = collections.Counter(
        next(closer.process.pid for closer in closers if closer.port in (key[1], key[3]))
        for key, owner in known.items()
        if {key[1], key[3]} & {closer.port for closer in closers}
    )
    lab.stop()
    found = lab.overflows()
    wanted = {
        (f"{lab.node.cgroup}/{closer.cgroup}", closer.process.pid, "tw_buckets", "tracepoint"):
            closer.count - there[closer.process.pid]
        for closer in closers if closer.way != "linger"
    }
    # Where no program may have run the counter alone knows, which has no cgroup, or the next one on that CPU takes it for its own.
    unseen = lab.unseen_changes()["FIN_WAIT2", "CLOSE"]
    for key in {*found, *wanted}:
        if abs(found[key] - wanted.get(key, 0)) > unseen:
            lab.problems.append(f"overflows of {key}: {found[key]}, not {wanted.get(key, 0)}, {unseen} unseen")
    ownerless = lab.summary["undecided"].get("time_wait_overflow", 0)
    lab.expect("few without an owner", ownerless <= unseen, True)
    lab.expect("overflows", sum(found.values()) + ownerless, moved["overflow"])
    movement = [row for row in lab.summary["kernel"] if row.get("netns_id") == lab.net.inode]
    lab.expect("summary.kernel", [row["tw_overflow"] for row in movement], [moved["overflow"]])
    return moved["overflow"], sum(found.values())


@scenario
def filtered(lab):
    """Options that the kernel applies: what passes is what they ask for, and the programs send little else."""
    lab.trace_with("--states", "--kind", "tcp_state", "--dest", ":7401")
    closers = [lab.closer("client", "127.0.0.1", 7401 + n, max(lab.options.count // 10, 10)) for n in range(2)]
    before = kernel.samples_sent(lab.trace.process.pid)
    lab.run(*closers)
    sent = kernel.samples_sent(lab.trace.process.pid) - before
    lab.stop()
    # Not asked for are five changes of each connection's server and ten of each of the other client's. Listeners' have no
    # destination, which user space rejects, and others on this machine fail.
    told = sum(lab.changes().values())
    lab.expect("few samples of what is not asked for", sent - told < 4 * closers[0].count, True)
    lab.notes.append(f"{sent} samples sent, {told} told")
    ports = collections.Counter(event["dst"]["port"] for event in lab.events if "dst" in event)
    lab.expect("destinations", list(ports), [7401])
    lab.expect("connects", lab.changes()[("CLOSE", "SYN_SENT")], closers[0].count)
    lab.expect("other events", {event["type"] for event in lab.events} - {"tcp_state"}, set())
    return closers[0].count, lab.changes()[("CLOSE", "SYN_SENT")]


@scenario
def unasked(lab):
    """Without --states, and with --kind that leaves them out: nothing of it stands."""
    lab.trace_with("--states", "--kind", "time_wait_overflow")
    lab.run(lab.closer("client", count=10))
    lab.stop()
    lab.expect("states", lab.tiers["states"], "none (not asked for)")
    lab.expect("totals", "tcp_state" in lab.summary["totals"], False)
    return 0, sum(lab.changes().values())
