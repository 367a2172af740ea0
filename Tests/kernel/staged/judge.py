"""Compares what porttrace said of a staged node with what was staged."""

import collections
import dataclasses
import re

from .commands import is_sound, port_ranges
from .shape import EXIT, breaches

SCREEN, LONG_SCREEN = 24, 40  # lines for one finding, and for several
NEVER = ("tcp_tw_recycle", "tcp_fin_timeout")
WORDS_OF_STATUS = {"healthy": "healthy", "warning": "warning", "failing": "failing", "unknown": "not checked"}


@dataclasses.dataclass
class Expected:
    """One finding that there must be. Figures may be a number or a range of them; None: not judged."""

    problem: str
    severity: str = "failing"
    place: str = ""  # the resource's namespace
    proto: str | None = None
    src: str | None = None
    dst: tuple | None = None
    used: object = None
    limit: object = None
    culprit: object = None  # a worker
    count: object = None  # the culprit's
    nobody: bool = False  # no culprit may be named
    by_pod: bool = False  # the culprit's pod is enough
    proc: bool = False  # the culprit's process must be named: it has the sockets open
    victims: dict = dataclasses.field(default_factory=dict)  # worker → failures that it counted
    words: tuple = ()  # of evidence and fixes, regular expressions
    now: bool = True  # whether it has a fix for now
    command: bool = True  # whether that has a command


def fits(value, wanted):
    if wanted is None:
        return True
    return value in wanted if isinstance(wanted, range) else value == wanted


class Judge:
    """One scenario's verdict: of the node's own namespaces all is judged, of others on this machine nothing."""

    def __init__(self, lab):
        self.lab = lab
        self.problems = collections.Counter()
        self.real = self.seen = 0
        self.foreign = 0

    def problem(self, text):
        self.problems[text] += 1

    # What every verdict keeps to

    def mine(self, verdict):
        return [one for one in verdict.document.get("findings", []) if self.is_mine(one)] if verdict else []

    def is_mine(self, finding):
        return self.lab.options.unconfined or finding.get("resource", {}).get("netns_id") in self.lab.inodes

    def common(self, verdict):
        """The contract's shape; status, exit status and findings agree, and both forms. Whether there is a verdict."""
        if not verdict:
            return False
        for text in breaches(verdict.document):
            self.problem(text)
        status = verdict.document.get("status")
        findings = verdict.document.get("findings", [])
        self.foreign += len(findings) - len(self.mine(verdict))
        worst = {finding.get("severity") for finding in findings}
        whole = "failing" if "failing" in worst else "warning" if worst else None
        if whole and status != whole or not whole and status in ("warning", "failing"):
            self.problem(f"status {status} with findings of severity {sorted(worst)}")
        if verdict.status != EXIT.get(status):
            self.problem(f"exit status {verdict.status} for {status}")
        if verdict.text_status != verdict.status and not self.foreign:
            self.problem(f"exit status {verdict.text_status} for text, {verdict.status} for json")
        first = verdict.text.partition("\n")[0]
        if not first.strip():
            self.problem("text has no first line")
        order = [finding.get("severity") for finding in findings]
        if order != sorted(order):
            self.problem(f"findings are not the worst first: {order}")
        for finding in findings:
            self.fixes_are_sound(finding)
        return True

    def fixes_are_sound(self, finding):
        fixes = finding.get("fixes", [])
        order = [fix.get("when") for fix in fixes]
        if not fixes:
            self.problem(f"{finding.get('problem')} has no fix")
        if order != sorted(order, reverse=True):
            self.problem(f"fixes for later before those for now: {order}")
        for fix in fixes:
            command = fix.get("command")
            if command is not None and not is_sound(command):
                self.problem(f"a command with more than numbers, addresses, pids and names: {command!r}")
            for word in NEVER:
                if word in f"{command} {fix.get('persist')}":
                    self.problem(f"{word} is offered: {fix}")

    # Verdicts

    def healthy(self, verdict, first_line=""):
        if not self.common(verdict):
            return self
        for finding in self.mine(verdict):
            self.problem(f"a false {finding.get('severity')}: {brief(finding)}")
        self.has_status(verdict, "healthy")
        if first_line and not re.search(first_line, verdict.text.partition("\n")[0]):
            self.problem(f"first line {verdict.text.partition(chr(10))[0]!r} is not {first_line!r}")
        return self

    def has_status(self, verdict, wanted):
        if verdict.document.get("status") != wanted and not self.foreign:
            self.problem(f"status {verdict.document.get('status')}, not {wanted}")

    def not_failing(self, verdict):
        """After a fix has been applied."""
        self.common(verdict)
        for finding in self.mine(verdict):
            if finding.get("severity") == "failing":
                self.problem(f"still failing after the fix: {brief(finding)}")

    def finds(self, verdict, *wanted):
        """These findings and no others; returns them in the order asked for, None for one that is missing."""
        if not self.common(verdict):
            return []
        rest = self.mine(verdict)
        found = []
        for one in wanted:
            fitting = [finding for finding in rest if self.is_about(finding, one)]
            found.append(fitting[0] if fitting else None)
            if not fitting:
                others = [brief(finding) for finding in self.mine(verdict)]
                self.problem(f"no {one.problem} of {one.place}, but {others}")
                continue
            rest.remove(fitting[0])
            self.compare(fitting[0], one, verdict)
        for finding in rest:
            self.problem(f"a false finding: {brief(finding)}")
        self.has_status(verdict, "failing" if any(one.severity == "failing" for one in wanted) else "warning")
        self.shows_culprit(verdict)
        return found

    def is_about(self, finding, wanted):
        return (
            finding.get("problem") == wanted.problem
            and finding.get("resource", {}).get("netns_id") == self.lab.nets[wanted.place].inode
        )

    def compare(self, finding, wanted, verdict):
        name = wanted.problem
        resource = finding["resource"]
        where = resource.get("src", {}).get("addr"), resource.get("dst", {})
        pairs = {
            "severity": (finding.get("severity"), wanted.severity),
            "resource.proto": (resource.get("proto"), wanted.proto),
            "resource.src": (where[0], wanted.src),
            "resource.dst": ((where[1].get("addr"), where[1].get("port")), wanted.dst),
            "resource.used": (resource.get("used"), wanted.used),
            "resource.limit": (resource.get("limit"), wanted.limit),
        }
        for part, (value, right) in pairs.items():
            if not fits(value, right):
                self.problem(f"{name}: {part} is {value!r}, not {right!r}")
        self.culprits(finding, wanted)
        self.victims(finding, wanted)
        evidence = finding.get("evidence", [])
        if not any(re.search(r"\d", sentence) for sentence in evidence):
            self.problem(f"{name}: evidence without a number: {evidence}")
        said = " ".join([*evidence, *(str(value) for fix in finding.get("fixes", []) for value in fix.values())])
        for word in wanted.words:
            if not re.search(word, said, re.IGNORECASE):
                self.problem(f"{name}: evidence and fixes do not say {word!r}: {said[:600]}")
        self.ranges(finding, wanted)
        now = [fix for fix in finding.get("fixes", []) if fix.get("when") == "now"]
        if wanted.now and not now:
            self.problem(f"{name}: nothing to do now: {finding.get('fixes')}")
        if wanted.now and wanted.command and not any("command" in fix for fix in now):
            self.problem(f"{name}: no command for now: {now}")

    def culprits(self, finding, wanted):
        if wanted.nobody and finding.get("culprits"):
            self.problem(f"{wanted.problem}: nobody is known to be the culprit, but {finding['culprits']}")
        if wanted.culprit is None:
            return
        if not finding.get("culprits"):
            self.problem(f"{wanted.problem}: no culprits")
            return
        first = finding["culprits"][0]
        if not is_holder(first, wanted.culprit, wanted.by_pod):
            right = f"{wanted.culprit.name} at {wanted.culprit.path}"
            self.problem(f"{wanted.problem}: the culprit is {first}, not {right}")
        process = {"pid": wanted.culprit.pid, "comm": wanted.culprit.comm}
        if wanted.proc and first.get("proc") != process:
            self.problem(f"{wanted.problem}: the culprit's process is {first.get('proc')}, not {process}")
        if not fits(first.get("count"), wanted.count):
            self.problem(f"{wanted.problem}: the culprit has {first.get('count')}, not {wanted.count}")
        used = finding["resource"].get("used")
        if used and abs(first.get("share", 0) - first.get("count", 0) / used) > 0.01:
            self.problem(f"{wanted.problem}: share {first.get('share')} of {used} for {first.get('count')}")

    def victims(self, finding, wanted):
        left = list(finding.get("victims", []))
        for worker, count in wanted.victims.items():
            his = [holder for holder in left if is_holder(holder, worker, by_pod=True)]
            seen = sum(holder.get("count", 0) for holder in his)
            self.real += count
            self.seen += seen
            unknown = sum(holder.get("count", 0) for holder in left if holder.get("unknown"))
            if wanted.problem == "time_wait_overflow" and seen < count == seen + unknown <= 1.05 * seen:
                # What an interrupt has left to user space is counted, without an owner.
                self.lab.note(f"{unknown} of {count} overflows without an owner")
                self.seen += unknown
                left = [holder for holder in left if not holder.get("unknown")]
            elif seen != count:
                self.problem(f"{wanted.problem}: {worker.name} was refused {count} times, {seen} are told: {left}")
            left = [holder for holder in left if holder not in his]
        if wanted.victims and left:
            self.problem(f"{wanted.problem}: victims that nobody refused: {left}")

    def ranges(self, finding, wanted):
        """A wider range stays clear of listeners and, on the node, of NodePorts."""
        if finding.get("problem") not in ("port_exhaustion", "bind_exhaustion"):
            return
        net = self.lab.nets[wanted.place]
        listening = {int(line.split()[3].rpartition(":")[2]) for line in net.run("ss", "-Hltn").splitlines()}
        low, high = map(int, net.run("cat", "/proc/sys/net/ipv4/ip_local_port_range").split())
        for fix in finding.get("fixes", []):
            for new in port_ranges(fix.get("command", "")):
                if not 0 < new[0] <= low <= high <= new[1] <= 65535:
                    self.problem(f"{wanted.problem}: {new} is no wider range than {(low, high)}")
                added = set(range(new[0], new[1] + 1)) - set(range(low, high + 1))
                if added & listening:
                    self.problem(f"{wanted.problem}: {new} takes in the listeners {sorted(added & listening)}")

    # Text

    def shows_culprit(self, verdict):
        """Of the first finding; the two forms are of the same moment."""
        findings = verdict.document.get("findings", [])
        if not findings or not self.is_mine(findings[0]):
            return
        lines = verdict.text.splitlines()
        status = WORDS_OF_STATUS[findings[0]["severity"]]
        if status not in lines[0].lower() and findings[0]["problem"].split("_")[0] not in lines[0].lower():
            self.problem(f"no verdict in the first line {lines[0]!r}")
        culprits = [holder for holder in findings[0].get("culprits", []) if not holder.get("unknown")]
        if culprits and not any(word in line for line in lines[:3] for word in words_of(culprits[0])):
            self.problem(f"the culprit {words_of(culprits[0])} is not in the first three lines: {lines[:3]}")
        # The text may have a finding of somebody else's on this machine, after an empty line.
        if len(lines) > (SCREEN if len(findings) == 1 and "" not in lines else LONG_SCREEN):
            self.problem(f"{len(lines)} lines are more than a screen")

    def result(self):
        """As plain data, see harness/report.py."""
        verdicts = self.lab.verdicts
        if self.foreign:
            self.lab.note(f"{self.foreign} findings in namespaces of others on this machine")
        problems = [f"{text} ({count} times)" if count > 1 else text for text, count in self.problems.items()]
        workers = [{"client": worker.name, "attempts": 0, "real": 0, "seen": 0} for worker in self.lab.workers]
        return {
            "tiers": verdicts[-1].tiers if verdicts else {},
            "clients": workers,
            "skipped": [],
            "attempts": self.real,
            "real": self.real,
            "seen": self.seen,
            "exact": True,
            "bound": 0,
            "lines": len(verdicts),
            "notes": self.lab.notes,
            "problems": problems,
        }


def brief(finding):
    resource = finding.get("resource", {})
    said = " ".join(finding.get("evidence", []))[:300]
    return f"{finding.get('problem')} {finding.get('severity')} {resource} {said}"


def is_holder(holder, worker, by_pod=False):
    """Whether a holder is this worker: all that is said of it is right, and it is enough."""
    proc, path = holder.get("proc"), holder.get("cgroup", {}).get("path")
    if holder.get("unknown") or proc and proc.get("pid") != worker.pid or path and path != worker.path:
        return False
    if worker.pod:
        uid = holder.get("k8s", {}).get("pod_uid")
        return path is not None or by_pod and uid == str(worker.pod.uid)
    return path is not None or proc is not None


def words_of(holder):
    """How a holder may be called in text: any of these."""
    words = []
    if "proc" in holder:
        words += [holder["proc"].get("comm", ""), str(holder["proc"].get("pid"))]
    words += [part[:12] for part in holder.get("cgroup", {}).get("path", "").split("/")[-1:]]
    names = holder.get("k8s", {})
    words += [f"{names['namespace']}/{names['pod']}"] if "pod" in names else [names.get("pod_uid", "")]
    words += [holder.get("unit", "")]
    return [word for word in words if word]
