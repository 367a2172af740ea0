"""What several scenarios do: a pod with few ports, and the fix that must end the failures."""

from robust.lab import check, equal

from .judge import Judge
from .workers import await_sockets, sockets

LOW, HIGH = 20000, 20099
FAR, PORT = "198.51.100.10", 443
AFTERWARDS = 20  # attempts that must succeed after a fix


def narrow_pod(lab, *pods, reserved="", **server):
    """Pods with a hundred ports, and a server outside; no conntrack."""
    lab.build(*pods)
    for pod in pods:
        lab.range(pod, LOW, HIGH, reserved)
    lab.far(PORT, **server)


def towards(net, to=FAR, port=PORT):
    """Sockets in the range towards one destination, TIME_WAIT included, by ss."""
    return len(sockets(net, *destination(to, port)))


def destination(to, port):
    """In the words of ss."""
    return "dst", f"[{to}]" if ":" in to else to, "dport", "=", f":{port}"


def hold(worker, count, to=FAR, port=PORT):
    """Open connections, as ss sees them too."""
    worker.all("ok", "connect", to, port, count=count)
    await_sockets(worker.net, count, "state", "established", *destination(to, port))


def conclude(lab, verdict, *wanted, attempt=None):
    """Judges; then applies the first fix for now that has a command: after it each `attempt` must succeed.

    Without porttrace it must not.
    """
    judge = Judge(lab)
    found = judge.finds(verdict, *wanted)
    if attempt and found and found[0]:
        repair(lab, judge, found[0], attempt)
    elif attempt and not verdict:
        counts = attempt()
        check(set(counts) != {"ok"}, f"without any fix the client gets {counts}: this tested nothing")
    return judge


def repair(lab, judge, finding, attempt):
    command = next((fix["command"] for fix in finding["fixes"] if fix["when"] == "now" and "command" in fix), None)
    if command is None:
        lab.note("nothing to be pasted now")
        return
    lab.apply(command)
    counts = attempt()
    if set(counts) != {"ok"}:
        judge.problem(f"after {command!r} the client still gets {counts}")
    judge.not_failing(lab.check())


def refused(worker, error, task, *arguments, **words):
    """Every call must be refused with this errno; how many were."""
    return worker.all(error, task, *arguments, **words)


def check_usable(net, wanted):
    """What the range leaves when reserved ports and those of bind() are taken away, by the kernel's own settings."""
    low, high = map(int, net.run("cat", "/proc/sys/net/ipv4/ip_local_port_range").split())
    usable = set(range(low, high + 1)) - listed(net.run("cat", "/proc/sys/net/ipv4/ip_local_reserved_ports").strip())
    usable -= {int(line.split()[3].rpartition(":")[2]) for line in net.run("ss", "-Hltn").splitlines()}
    equal(len(usable), wanted, "usable ports")


def listed(text):
    """`1-3,7` as a set."""
    ports = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        ports |= set(range(int(low), int(high or low) + 1))
    check(all(0 < port < 65536 for port in ports), f"ports {text!r}")
    return ports
