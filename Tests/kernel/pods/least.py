"""The least rights of a contained porttrace: a pod that is not privileged, first with all capabilities that might matter,
then without one after the other. What is not missed stays away. A table, not a promise."""

import dataclasses
import pathlib

from robust.lab import case

from .contained import ContainedTrace
from .judge import BY_ADDRESS, BY_SOCKET

# By their numbers in linux/capability.h, the mightiest first: it may stand in for others.
CAPABILITIES = {
    **{"SYS_ADMIN": 21, "SYS_RESOURCE": 24, "DAC_OVERRIDE": 1, "SYS_CHROOT": 18, "NET_ADMIN": 12, "SYSLOG": 34},
    **{"SYS_NICE": 23, "DAC_READ_SEARCH": 2, "SYS_PTRACE": 19, "BPF": 39, "PERFMON": 38},
}
COUNT, PER_SECOND = 20, 40


@dataclasses.dataclass(frozen=True)
class Report:
    """What one set of capabilities was good for."""

    attached: str
    counted: str
    named: str
    words: tuple  # on standard error

    @property
    def columns(self):
        return self.attached, self.counted, self.named


def grantable():
    """Those that this machine itself has to give."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            mask = int(line.split()[1], 16)
            return tuple(name for name, number in CAPABILITIES.items() if mask >> number & 1)


@case
def capabilities(lab):
    lab.start()
    everything = grantable()
    if refused := CAPABILITIES.keys() - set(everything):
        lab.note(f"not to be had here: {', '.join(sorted(refused))}")
    targets = lab.pod("shop", "cart"), lab.pod("shop", "slow")
    lab.trickle(targets[1], PER_SECOND)
    work = {name: clients_of(lab, name) for name in ("", *everything)}
    lab.watch()
    whole = attempt(lab, targets, everything, work[""])
    show(lab, f"with all {len(everything)}", whole, words=True)
    kept = set(everything)
    for name in everything:
        report = attempt(lab, targets, kept - {name}, work[name])
        missed = report.columns != whole.columns
        kept -= set() if missed else {name}
        show(lab, f"{'needs' if missed else 'not'} {name}", report, words=missed)
    lab.unwatch()
    lab.note(f"needed: {', '.join(sorted(kept))}")
    return Table(lab, whole)


def show(lab, title, report, words):
    lab.note(f"{title:<20} {report.attached:<60} counted {report.counted:<8} named {report.named}")
    for line in report.words if words else ():
        lab.note(f"    {line}")


def clients_of(lab, title):
    """The last one's sockets are gone when its packets are refused."""
    flows = [lab.flows(f"{title} flows", COUNT), lab.flows(f"{title} closed", COUNT, held=False, pause_us=0)]
    return [lab.ports(f"{title} ports", COUNT), *flows]


def attempt(lab, targets, names, clients):
    """One contained porttrace with these capabilities, over failures of its own."""
    inside = ContainedTrace(lab, f"least-{clients[0].port}", privileged=False, capabilities=tuple(sorted(names)))
    attached = inside.await_attached()
    lab.run(targets[0], f"app-{clients[0].port}", *clients[:2])
    lab.run(targets[1], f"app-{clients[0].port}", clients[2], linger=2 * COUNT // PER_SECOND + 1)
    lab.finish()
    events = inside.stop() if attached else []
    words = tuple(line for line in inside.messages() if line.startswith("porttrace"))
    lab.cri.remove_pod(inside.pod)
    if not attached:
        return Report("no", "-", "-", words)
    tiers = " ".join(f"{hook}={tier.split()[0]}" for hook, tier in inside.tiers().items())
    mine = [event for event in events if event.get("dst", {}).get("port") in {c.port for c in clients}]
    counted = sum(event["count"] for event in mine)
    named = sum(event["count"] for event in mine if "k8s" in event and event["attribution"] in BY_SOCKET + BY_ADDRESS)
    return Report(tiers, f"{counted}/{COUNT * len(clients)}", f"{named}/{COUNT * len(clients)}", words)


class Table:
    """A judge without a judgement, but for the run that had everything."""

    def __init__(self, lab, whole):
        self.lab, self.whole = lab, whole

    def result(self):
        wanted = f"{3 * COUNT}/{3 * COUNT}"
        problems = []
        if self.whole.counted != wanted:
            problems.append(f"with every capability: counted {self.whole.counted}")
        if self.whole.named != wanted and self.lab.options.check == "names":
            problems.append(f"with every capability: named {self.whole.named}")
        real = sum(client.real for client in self.lab.clients)
        return {
            **{"tiers": {}, "clients": [], "skipped": [], "attempts": real, "real": real, "seen": real},
            **{"exact": True, "bound": 0, "lines": 0, "notes": self.lab.notes, "problems": problems},
        }
