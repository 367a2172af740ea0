"""What is tried. Destinations are documentation addresses, routed to the loopback device of a test's own namespace."""

from harness.scenario import AUTOBIND, BIND_TCP, BIND_UDP, CONFLICT, CONNECT, Client, Scenario

V4, V6 = "10.77.0.1", "fd77::1"  # the namespaces' own addresses, from which connects start


def v4(*ports):
    return tuple(f"198.51.100.{host}:{port}" for port in ports for host in (1, 2))


def v6(*ports):
    return tuple(f"[2001:db8::{host}]:{port}" for port in ports for host in (1, 2))


def mapped(*ports):
    return tuple(f"[::ffff:198.51.100.{host}]:{port}" for port in ports for host in (3, 4))


def connect(name, *options, to, mode="connect", **fields):
    ipv6 = to[0].startswith("[2001")
    fields.setdefault("family", "ipv6" if ipv6 else "ipv4")
    fields.setdefault("source", V6 if ipv6 else V4)
    return Client(f"connect-{name}", (mode, *options), failure=CONNECT, to=to, **fields)


CONNECTS = (
    connect("v4", to=v4(80, 443, 5432)),
    connect("v4-b", to=v4(80, 443), cgroup="b", net="narrow", uid=1234),
    connect("v6", to=v6(80, 443)),
    connect("v6-b", to=v6(80), cgroup="b/deep", net="narrow"),
    connect("mapped", to=mapped(80, 443), cgroup="b"),
    connect("no-port", "--no-port", "--source", f"{V4}:0", to=v4(6379)),
    connect("no-port6", "--no-port", "--source", f"[{V6}]:0", to=v6(6379)),
    connect("range", "--range", "32770-32773", to=v4(81), port_range=(32770, 32773), needs="local_port_range"),
    connect("retry", "--retry", to=v4(82), cgroup="b"),
    connect("retry6", "--retry", to=v6(82), cgroup="b"),
    connect("nonblock", "--nonblock", to=v4(83), uid=65534),
    connect("tfo-send", "--fast-open", "send", to=v4(84)),
    connect("tfo", "--fast-open", "connect", to=v6(84), needs="fast_open_connect"),
    connect("mptcp", "--mptcp", to=v4(85), needs="mptcp"),
    connect("mptcp6", "--mptcp", to=v6(85), needs="mptcp"),
    connect("uring", to=v4(86), mode="uring", needs="io_uring"),
    connect("uring-io", "--io-worker", to=v4(87), mode="uring", needs="io_uring"),
    connect("thread", "--thread", to=v4(88), cgroup="b"),
    connect("32bit", to=v4(89), bits=32, needs="32bit"),
)


def conflict(name, source, to, **fields):
    return Client(
        f"conflict-{name}",
        ("conflict", "--reuse", "--source", source),
        failure=CONFLICT,
        to=to,
        source=source.rpartition(":")[0].strip("[]"),
        source_port=int(source.rpartition(":")[2]),
        net="plain",
        **fields,
    )


CONFLICTS = (
    conflict("v4", "127.0.0.1:20001", ("127.0.0.1:7001", "127.0.0.1:7002")),
    conflict("v4-b", "127.0.0.1:20002", ("127.0.0.1:7003",), cgroup="b", uid=1234),
    conflict("v6", "[::1]:20003", ("[::1]:7004", "[::1]:7005"), family="ipv6"),
)

BINDS = (
    Client("bind-v4", ("bind", "--source", "127.0.0.1:0"), failure=BIND_TCP, source="127.0.0.1"),
    Client("bind-v6", ("bind", "--source", "[::1]:0"), failure=BIND_TCP, source="::1", family="ipv6", cgroup="b"),
    Client("bind-any", ("bind", "--source", "0.0.0.0:0"), failure=BIND_TCP, net="narrow", uid=1234),
    Client("listen-v4", ("listen",), failure=BIND_TCP),
    Client("listen-v6", ("listen", "--source", "[::]:0"), failure=BIND_TCP, family="ipv6", cgroup="b"),
    Client("bind-udp", ("bind", "--udp", "--source", "127.0.0.1:0"), failure=BIND_UDP, source="127.0.0.1"),
    Client("bind-udp6", ("bind", "--udp", "--source", "[::1]:0"), failure=BIND_UDP, source="::1", family="ipv6"),
)


def autobind(mode, name, to, **fields):
    fields.setdefault("family", "ipv6" if to[0].startswith("[2001") else "ipv4")
    return Client(f"{mode}-{name}", (mode,), failure=AUTOBIND, to=to, **fields)


AUTOBINDS = tuple(
    autobind(mode, name, to, cgroup=cgroup)
    for port, mode in enumerate(("udp-connect", "sendto", "sendmsg", "sendmmsg"), 53)
    for name, to, cgroup in (("v4", v4(port, 853), "a"), ("v6", v6(port), "b"), ("mapped", mapped(port), "b/deep"))
) + tuple(
    autobind(mode, "32bit", v4(port), bits=32, needs="32bit", net="narrow", uid=1234)
    for port, mode in enumerate(("udp-connect", "sendto", "sendmsg", "sendmmsg"), 63)
)


def innocent(name, outcome, *arguments, to=(), **fields):
    fields.setdefault("net", "plain")
    return Client(name, arguments, outcome=outcome, to=to, **fields)


SILENT = ("198.18.0.1:9", "[2001:db8:5::1]:9", "198.18.0.2:9", "[2001:db8:5::2]:9")  # neither answer nor error

INNOCENTS = (
    innocent("refused-v4", "ECONNREFUSED", "connect", to=("127.0.0.1:1",)),
    innocent("refused-v6", "ECONNREFUSED", "connect", to=("[::1]:1",)),
    innocent("refused-mapped", "ECONNREFUSED", "connect", to=("[::ffff:127.0.0.1]:1",)),
    innocent("refused-again", "ECONNREFUSED", "connect", "--retry", to=("127.0.0.1:1",)),
    innocent("refused-again6", "ECONNREFUSED", "connect", "--retry", to=("[::1]:1",)),
    innocent("refused-bound", "ECONNREFUSED", "connect", "--reuse", "--source", "127.0.0.1:20010", to=("127.0.0.1:1",)),
    innocent("refused-later", "ECONNREFUSED", "connect", "--nonblock", "--await", to=("127.0.0.1:1", "[::1]:1")),
    innocent("refused-tfo", "ECONNREFUSED", "connect", "--fast-open", "send", to=("127.0.0.1:1",)),
    innocent("refused-mptcp", "ECONNREFUSED", "connect", "--mptcp", to=("127.0.0.1:1",), needs="mptcp"),
    innocent("refused-uring", "ECONNREFUSED", "uring", to=("127.0.0.1:1",), needs="io_uring"),
    innocent("no-route", "ENETUNREACH", "connect", to=("192.0.2.1:80", "[2001:db9::1]:80")),
    innocent("no-route-tight", "ENETUNREACH", "connect", to=("192.0.2.1:80",), net="tight"),
    innocent("prohibited", "EACCES", "connect", to=("203.0.113.1:80",)),
    innocent("prohibited-port", "EACCES", "connect", to=("203.0.113.8:80",)),  # once it has its source port
    innocent("unreachable", "EHOSTUNREACH", "connect", to=("203.0.113.2:80",)),
    innocent("blackhole", "EINVAL", "connect", to=("203.0.113.3:80",)),
    innocent("bind-foreign", "EADDRNOTAVAIL", "bind", "--source", "192.0.2.1:0"),
    innocent("bind-foreign6", "EADDRNOTAVAIL", "bind", "--source", "[2001:db9::1]:0", net="tight"),
    innocent("bind-foreign-udp", "EADDRNOTAVAIL", "bind", "--udp", "--source", "192.0.2.1:0", net="tight"),
    innocent("bind-taken", "EADDRINUSE", "bind", "--source", "127.0.0.1:32770", net="tight"),
    innocent("bind-taken6", "EADDRINUSE", "bind", "--source", "[::1]:32770", net="tight"),
    innocent("bind-taken-udp", "EADDRINUSE", "bind", "--udp", "--source", "127.0.0.1:32770", net="tight"),
    innocent("rejected-reset", "ECONNREFUSED", "connect", to=("203.0.113.4:80",), needs="nft"),
    innocent("rejected-icmp", "EINPROGRESS", "connect", "--nonblock", to=("203.0.113.5:80",), needs="nft"),
    innocent("dropped", "EINPROGRESS", "connect", "--nonblock", to=("203.0.113.6:80",), needs="nft"),
    innocent("udp-dropped", "EPERM", "sendto", to=("203.0.113.6:80",), needs="nft"),
    innocent("abandoned", "EINPROGRESS", "connect", "--nonblock", to=SILENT),
    innocent("accepted", "OK", "accepted", to=("127.0.0.1:7010", "[::1]:7010")),
    innocent("udp-sent", "OK", "sendto", to=SILENT),
    innocent("bound", "OK", "bind", "--source", "127.0.0.1:0"),
    innocent("listening", "OK", "listen"),
)

SLOW_INNOCENTS = (
    innocent("timed-out", "ETIMEDOUT", "timeouts", "--nonblock", to=SILENT),
    innocent("interrupted", "EINTR", "interrupted", to=SILENT),
    innocent("killed", "EINTR", "killed", to=SILENT, share=0.1),
)

TOGETHER = (*CONNECTS[:8], *CONFLICTS, *BINDS[:3], *AUTOBINDS[:5], *INNOCENTS[:4], INNOCENTS[26])

CONTENTION = tuple(
    connect(f"c{number}", to=v4(90 + number), cgroup="ab"[number % 2], share=0.4) for number in range(6)
)

SCENARIOS = (
    Scenario("connect", CONNECTS),
    Scenario("conflict", CONFLICTS),
    Scenario("bind", BINDS),
    Scenario("autobind", AUTOBINDS),
    Scenario("together", TOGETHER),
    Scenario("contention", CONTENTION, repeat=5, cpus=2),
    Scenario("innocents", INNOCENTS),
    Scenario("slow-innocents", SLOW_INNOCENTS),
)
