"""The figures of Tests/bench/run as tables for a person."""


def show(results):
    for title, header, make in TABLES:
        rows = list(make(results))
        if rows:
            print(f"\n{title}")
            print_table([header, *rows])


def print_table(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        first, *rest = (text.ljust(width) if number == 0 else text for number, (text, width) in enumerate(zip(line, widths)))
        print("  ".join([first, *(fit(text, width) for text, width in zip(rest, widths[1:]))]).rstrip())


def fit(text, width):
    """Numbers stand to the right."""
    return text.rjust(width) if text[:1].isdigit() or text[:1] in "+-<" else text.ljust(width)


def of(results, part, place=None):
    return [result for result in results if result["part"] == part and place in (None, result.get("place"))]


def release(result):
    return result.get("kernel", "").split("-")[0].split("+")[0]


def name(result):
    return f"{result['subject']} {result['variant']}".strip()


def ratio(one, other):
    return f"{one / other:.2f}" if one is not None and other else "-"


def failed(result, columns):
    return ["-"] * (columns - 1) + [result["error"][:60]]


# The script that does the same work as a tier: told on its return, with its socket.
PEERS = {"fentry": "kfunc", "kprobe": "kprobe pair", "tracepoint": "kprobe pair"}


def connects(results):
    for kernel in dict.fromkeys(map(release, of(results, "connects"))):
        rows = [result for result in of(results, "connects") if release(result) == kernel]
        bases = [result["ns"] for result in rows if result["subject"] == "nothing" and "ns" in result]
        if not bases:
            continue
        base = sum(bases) / len(bases)
        added = {result["variant"]: result["ns"] - base for result in rows if result["subject"] == "bpftrace" and "ns" in result}
        for result in rows:
            start = [kernel, name(result), result.get("tier", "")]
            if "error" in result:
                yield start + failed(result, 3)
                continue
            peer = added.get(PEERS.get(result.get("tier"), ""))
            more = result["ns"] - base
            yield start + [f"{result['ns']:,}", f"{more:+,.0f}", ratio(more, peer) if "tier" in result else ""]


def failures(results):
    for place in ("icount", "native"):
        for kernel in dict.fromkeys(map(release, of(results, "failures", place))):
            rows = [result for result in of(results, "failures", place) if release(result) == kernel]
            base = next((row["client_cpu_ns"] for row in rows if row["subject"] == "nothing" and "error" not in row), None)
            for result in rows:
                start = [f"{kernel} {place}", name(result), result.get("tier", "")]
                if "error" in result:
                    yield start + failed(result, 4)
                    continue
                cost = result["client_cpu_ns"]
                more = f"{cost - base:+,}" if base is not None and result["subject"] != "nothing" else ""
                own = f"{result['own_ns'] / 1000:.2f}" if "own_ns" in result else ""
                yield start + [f"{cost:,}", more, own, str(result.get("ring_lost", ""))]


def routed(results, part):
    """Each figure beside the one of the same packets without porttrace."""
    rows = of(results, part)
    bases = {(release(row), row["way"]): row["ns"] for row in rows if row["subject"] == "nothing" and "ns" in row}
    for row in rows:
        start = [release(row), row["way"], name(row), row.get("conntrack", ""), row.get("evictions", "")]
        if "error" in row:
            yield row, start + failed(row, 2)
            continue
        base = bases.get((release(row), row["way"]))
        more = f"{row['ns'] - base:+,}" if base is not None and row["subject"] != "nothing" else ""
        yield row, start + [f"{row['ns']:,}", more]


def flows(results):
    for _, columns in routed(results, "flows"):
        yield columns


def drops(results):
    for row, columns in routed(results, "drops"):
        own = f"{row['own_ns'] / 1000:.2f}" if "own_ns" in row else ""
        yield columns + [own, str(row.get("ring_lost", ""))]


def visits(results):
    for result in of(results, "visits"):
        start = [release(result), result["way"]]
        if "error" in result:
            yield start + failed(result, 2)
            continue
        each = {reason: visits / result["count"] for reason, visits in result["visits"].items()}
        reasons = ", ".join(f"{reason} {number:.2f}" for reason, number in each.items())
        yield start + [f"{sum(each.values()):.2f}", reasons]


def pods(results):
    rows = of(results, "pods")
    alone = [row for row in rows if row["subject"] == "nothing" and "error" not in row]
    bases = {(release(row), row["pods"]): row["busy_ns_per_s"] for row in alone}
    for row in rows:
        start = [release(row), str(row["pods"]), name(row), row.get("conntrack", ""), row.get("evictions", "")]
        if "error" in row:
            yield start + failed(row, 4)
            continue
        base = bases.get((release(row), row["pods"]))
        busy = row["busy_ns_per_s"]
        own = f"{row['own_ns_per_s'] / 1e6:.3f}" if "own_ns_per_s" in row else ""
        more = f"{(busy - base) / 1e6:+.3f}" if base is not None and own else ""
        resident = f"{row['resident_kib'] * 1024 / 1e6:.2f}" if own else ""
        yield start + [own, f"{busy / 1e6:.3f}", more, resident]


def startup(results):
    for kernel in dict.fromkeys(map(release, of(results, "startup"))):
        rows = [result for result in of(results, "startup") if release(result) == kernel]
        ours = next((row["seconds"] for row in rows if row["subject"] == "porttrace" and "seconds" in row), None)
        for result in rows:
            start = [kernel, name(result)]
            if "error" in result:
                yield start + failed(result, 4)
                continue
            share = ratio(ours, result["seconds"]) if result["subject"] == "bpftrace" else ""
            yield start + [*(f"{result[key]:.2f}" for key in ("first_s", "seconds", "cpu_s")), share]


def latency(results):
    for result in of(results, "latency"):
        start = [f"{release(result)} {result['place']}", result.get("tier", "")]
        if "error" in result:
            yield start + failed(result, 3)
        else:
            yield start + [f"{result[key]:.2f}" for key in ("median_ms", "p99_ms", "most_ms")]


def stream(results):
    for result in of(results, "stream"):
        spread = f"{result['least_per_s'] / 1e6:.2f} to {result['most_per_s'] / 1e6:.2f}"
        yield [result["subject"], f"{result['events_per_s'] / 1e6:.2f}", spread, f"{result['bytes_per_s'] / 1e9:.2f}",
               str(result["bytes_per_event"])]  # fmt: skip


def ports(results):
    for result in of(results, "ports"):
        yield [release(result), f"{result['sockets']:,}", str(result["namespaces"]), f"{result['census_s'] * 1e3:.1f}",
               f"{result['census_cpu_s'] * 1e3:.1f}", f"{result['ss_s'] * 1e3:.0f}", f"{result['ratio']:.1f}",
               f"{result['empty_s'] * 1e3:.1f}", f"{result['most_resident_kib'] * 1024 / 1e6:.2f}"]  # fmt: skip


def entries(results):
    for result in of(results, "entries"):
        listed = f"{result['listed_cpu_s']:.2f}", f"{result['listed_s']:.2f}"
        yield [release(result), f"{result['entries']:,}", f"{result['cpu_s']:.2f}", *listed,
               ratio(result["listed_cpu_s"], result["cpu_s"]), f"{result['resident_kib'] * 1024 / 1e6:.2f} MB"]  # fmt: skip


def busy(results):
    for result in of(results, "busy"):
        yield [release(result), result["variant"], f"{result['sockets']:,}", f"{result['entries']:,}",
               f"{result['first_cpu_s']:.2f}", f"{result['cpu_share'] * 100:.2f} %",
               f"{result['resident_kib'] * 1024 / 1e6:.2f} MB", str(result["near"])]  # fmt: skip


def small(results):
    for result in of(results, "size"):
        yield ["binary, static and stripped", f"{result['bytes'] / 1e6:.2f} MB"]
    for result in of(results, "idle"):
        where = f"{release(result)} {result['place']}"
        if "error" in result:
            yield [f"idle, {where}", result["error"][:60]]
            continue
        yield [f"resident when idle, {where}", f"{result['resident_kib'] * 1024 / 1e6:.2f} MB"]
        yield [f"CPU when idle, {where}", f"{result['cpu_share'] * 100:.3f} %"]


TABLES = (
    (
        "A conntrack table added up, beside conntrack -L | awk with the same sums (medians; seconds)",
        ("kernel", "entries", "CPU", "CPU of conntrack -L", "elapsed", "ratio of CPU", "resident"),
        entries,
    ),
    (
        "Instructions of one connect, accept and close that works (loopback; medians, -icount)",
        ["kernel", "attached", "tier", "instructions", "added", "to bpftrace's same"],
        connects,
    ),
    (
        "One connect that fails: CPU of the client, and porttrace's own (icount: instructions; native: ns)",
        ["kernel", "attached", "tier", "client", "added", "porttrace, CPU s per million", "ring lost"],
        failures,
    ),
    (
        "From a pod through its node to the outside, with masquerade: instructions of one that works (medians, -icount)",
        ["kernel", "what", "attached", "conntrack", "evictions", "instructions", "added"],
        flows,
    ),
    (
        "Visits of kfree_skb for each of them",
        ["kernel", "what", "visits", "by reason"],
        visits,
    ),
    (
        "A datagram that the node drops: instructions of one (medians, -icount), and porttrace's own",
        ["kernel", "dropped by", "attached", "conntrack", "evictions", "sender", "added", "porttrace, CPU s per million",
         "ring lost"],  # fmt: skip
        drops,
    ),
    (
        "A node where nothing happens, with that many pods of two devices each: CPU ms per second (-icount; 1 CPU)",
        ["kernel", "pods", "attached", "conntrack", "evictions", "porttrace", "all tasks", "added", "resident, MB"],
        pods,
    ),
    (
        "Start-up in a virtual machine, from exec until it says that it is attached, s",
        ["kernel", "what", "first", "median", "CPU", "ours to it"],
        startup,
    ),
    ("From failing connect() to the line read, ms", ["kernel", "tier", "median", "p99", "most"], latency),
    (
        "Record to NDJSON on one core (peers: 0.35)",
        ["record", "million events/s", "least to most", "GB/s", "bytes/event"],
        stream,
    ),
    (
        "The census of ports, ms, beside ss -Htan in each namespace (medians, native)",
        ["kernel", "sockets", "namespaces", "census", "its CPU", "ss", "ss to it", "without sockets", "resident, MB"],
        ports,
    ),
    (
        "porttrace on a node that holds much, far from every limit: share of a core",
        ["kernel", "trace", "sockets", "entries", "first looks, CPU s", "then, of a core", "resident", "of others near a limit"],
        busy,
    ),
    ("Small", ["what", "how much"], small),
)
