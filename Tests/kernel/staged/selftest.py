#!/usr/bin/python3
"""Shows that the Judge can fail: a perfect verdict passes, and each way of being wrong is told. No root, no kernel."""

import copy
import dataclasses
import pathlib
import sys
import types
import unittest
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from staged.commands import is_sound, place_of  # noqa: E402
from staged.judge import Expected, Judge  # noqa: E402
from staged.lab import Verdict  # noqa: E402

POD_INODE, OTHER_INODE = 4026532001, 4026532999
WIDER = 'nsenter -t 41 -n sysctl -w net.ipv4.ip_local_port_range="16000 24000"'


@dataclasses.dataclass(frozen=True)
class Worker:
    name: str
    pid: int
    path: str
    pod: object

    @property
    def comm(self):
        return f"st-{self.name}"


class Net:
    inode = POD_INODE

    def run(self, *command):
        listener = "LISTEN 0 4096 0.0.0.0:{} 0.0.0.0:*\n"
        return "20000\t20099\n" if command[0] == "cat" else listener.format(20050) + listener.format(30080)


def lab(unconfined=False):
    nets = {"p1": Net()}
    options = types.SimpleNamespace(unconfined=unconfined)
    return types.SimpleNamespace(
        options=options, nets=nets, inodes={POD_INODE: "p1"}, workers=[], verdicts=[], notes=[], note=print
    )


@dataclasses.dataclass(frozen=True)
class Pod:
    uid: uuid.UUID = uuid.UUID(int=7)


POD = Pod()
HOG = Worker("hog", 41, "/t/pod7/hog", POD)
VICTIM = Worker("victim", 42, "/t/pod7/victim", POD)


def holder(worker, count, share):
    return {
        "cgroup": {"id": 5, "path": worker.path},
        "k8s": {"pod_uid": str(POD.uid)},
        "proc": {"pid": worker.pid, "comm": worker.comm},
        "count": count,
        "share": share,
    }


def finding():
    return {
        "problem": "port_exhaustion",
        "severity": "failing",
        "resource": {
            "kind": "ports", "netns_id": POD_INODE, "proto": "tcp", "src": {"addr": "10.88.1.2"},
            "dst": {"addr": "198.51.100.10", "port": 443}, "used": 94, "limit": 94,
        },
        "culprits": [holder(HOG, 94, 1.0)],
        "victims": [holder(VICTIM, 300, 1.0)],
        "evidence": ["All 94 of 94 usable ports are in use."],
        "fixes": [
            {"when": "now", "why": "Widens the range of the pod.", "command": WIDER, "risk": "none to speak of"},
            {"when": "later", "why": "Reuse connections in st-hog.", "risk": "none to speak of"},
        ],
    }  # fmt: skip


def document(*findings, status="failing"):
    return {
        "schema": 1, "timestamp": "2023-11-14T22:13:21.000000001Z", "node": "here", "status": status,
        "findings": list(findings), "not_visible": [],
    }  # fmt: skip


def verdict(one, status=20, text="FAILING: out of ports\nst-hog holds 94 of 94\n", text_status=None):
    return Verdict(status, one, status if text_status is None else text_status, text, {})


def wanted(**fields):
    usual = {
        "place": "p1", "proto": "tcp", "src": "10.88.1.2", "dst": ("198.51.100.10", 443), "used": 94, "limit": 94,
        "culprit": HOG, "count": 94, "proc": True, "victims": {VICTIM: 300}, "words": ("usable",),
    }  # fmt: skip
    return Expected("port_exhaustion", **usual | fields)


def problems(one, unconfined=False, **fields):
    judge = Judge(lab(unconfined))
    judge.finds(one if isinstance(one, Verdict) else verdict(one), wanted(**fields))
    return list(judge.problems)


def changed(path, value):
    """The perfect finding with one value changed, or with None taken away."""
    one = finding()
    place = one
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return one


class Findings(unittest.TestCase):
    def test_a_perfect_verdict_passes(self):
        self.assertEqual(problems(document(finding())), [])

    def test_each_wrong_value_is_told(self):
        for path, value in (
            (("problem",), "bind_exhaustion"),
            (("severity",), "warning"),
            (("resource", "kind"), "snat"),
            (("resource", "proto"), "udp"),
            (("resource", "src"), {"addr": "10.88.1.3"}),
            (("resource", "dst"), {"addr": "198.51.100.10", "port": 444}),
            (("resource", "used"), 93),
            (("resource", "limit"), 100),
            (("resource", "limit"), None),
            (("culprits",), []),
            (("culprits", 0), holder(VICTIM, 94, 1.0)),
            (("culprits", 0, "count"), 90),
            (("culprits", 0, "share"), 0.5),
            (("culprits", 0, "proc"), {"pid": 43, "comm": "st-hog"}),
            (("culprits", 0, "proc"), {"pid": 41, "comm": "st-victim"}),
            (("culprits", 0, "proc"), None),
            (("culprits", 0), {"unknown": True, "count": 94, "share": 1.0}),
            (("victims",), []),
            (("victims", 0, "count"), 299),
            (("victims", 0, "cgroup"), {"id": 5, "path": "/t/pod7/other"}),
            (("evidence",), []),
            (("evidence",), ["All usable ports are in use."]),
            (("evidence",), ["All 94 ports are in use."]),
            (("fixes",), []),
            (("fixes", 0), finding()["fixes"][1]),
            (("fixes", 0, "command"), None),
            (("fixes", 0, "risk"), None),
            (("fixes", 0, "when"), "soon"),
            (("fixes", 0, "command"), "sysctl -w net.ipv4.ip_local_port_range=$(reboot)"),
            (("fixes", 0, "command"), 'nsenter -t 41 -n sysctl -w net.ipv4.ip_local_port_range="20000 20050"'),
            (("fixes", 0, "command"), 'nsenter -t 41 -n sysctl -w net.ipv4.ip_local_port_range="20000 40000"'),
            (("fixes", 1, "persist"), "net.ipv4.tcp_tw_recycle=1"),
            (("another",), "field"),
        ):
            with self.subTest(path=path, value=value):
                self.assertTrue(problems(document(changed(path, value))))

    def test_a_culprit_where_nobody_is_known_is_told(self):
        self.assertTrue(problems(document(finding()), culprit=None, nobody=True))
        nobody = changed(("culprits",), [])
        self.assertEqual(problems(document(nobody), culprit=None, nobody=True), [])

    def test_few_overflows_may_have_no_owner(self):
        def overflow(owned, unknown):
            one = changed(("resource", "kind"), "time_wait") | {"problem": "time_wait_overflow"}
            one["victims"] = [holder(VICTIM, owned, 0.9), {"unknown": True, "count": unknown, "share": 0.1}]
            judge = Judge(lab())
            judge.finds(verdict(document(one)), dataclasses.replace(wanted(), problem="time_wait_overflow"))
            return list(judge.problems)

        self.assertEqual(overflow(290, 10), [])
        self.assertTrue(overflow(290, 9))
        self.assertTrue(overflow(250, 50))

    def test_a_false_finding_is_told(self):
        other = changed(("resource", "kind"), "snat") | {"problem": "snat_exhaustion"}
        self.assertTrue(problems(document(finding(), other)))

    def test_findings_of_others_are_left_out_unless_nobody_else_is_here(self):
        other = changed(("resource", "netns_id"), OTHER_INODE)
        self.assertEqual(problems(document(finding(), other)), [])
        self.assertTrue(problems(document(finding(), other), unconfined=True))

    def test_findings_in_another_order_than_severity_are_told(self):
        mild = changed(("severity",), "warning")
        mild["resource"]["netns_id"] = OTHER_INODE
        self.assertEqual(problems(document(finding(), mild)), [])
        self.assertTrue(problems(document(mild, finding())))


class Statuses(unittest.TestCase):
    def test_each_wrong_status_is_told(self):
        good = document(finding())
        self.assertTrue(problems(verdict(good, status=10)))
        self.assertTrue(problems(verdict(good, text_status=0)))
        for status in ("warning", "healthy", "unknown", "bad"):
            with self.subTest(status=status):
                self.assertTrue(problems(verdict(document(finding(), status=status))))

    def healthy(self, one, **options):
        judge = Judge(lab())
        judge.healthy(verdict(one, **options), "^HEALTHY")
        return list(judge.problems)

    def test_healthy(self):
        calm = document(status="healthy")
        self.assertEqual(self.healthy(calm, status=0, text="HEALTHY: nothing\n"), [])
        self.assertTrue(self.healthy(calm, status=0, text="all is well\n"))
        self.assertTrue(self.healthy(calm, status=1, text="HEALTHY: nothing\n"))
        self.assertTrue(self.healthy(document(status="unknown"), status=1, text="HEALTHY: nothing\n"))
        self.assertTrue(self.healthy(document(finding()), text="HEALTHY: nothing\n"))

    def test_after_a_fix(self):
        for severity, status, good in (("warning", 10, True), ("failing", 20, False)):
            judge = Judge(lab())
            judge.not_failing(verdict(document(changed(("severity",), severity), status=severity), status=status))
            with self.subTest(severity=severity):
                self.assertEqual(not judge.problems, good)

    def test_each_missing_field_of_a_document_is_told(self):
        for name in document():
            one = document(finding())
            del one[name]
            with self.subTest(name=name):
                judge = Judge(lab())
                judge.common(verdict(one))
                self.assertTrue(judge.problems)


class Text(unittest.TestCase):
    def test_text_without_verdict_or_culprit_is_told(self):
        good = document(finding())
        for text in ("\n", "FAILING: ports\n\n\nst-hog\n", "st-hog: all is well\n", "FAILING st-hog\n" + "line\n" * 30,
                     "FAILING st-hog\n\n" + "line\n" * 40):
            with self.subTest(text=text):
                self.assertTrue(problems(verdict(copy.deepcopy(good), text=text)))


class Commands(unittest.TestCase):
    def test_sound_commands_pass(self):
        for command in (
            WIDER,
            "sysctl -w net.netfilter.nf_conntrack_max=524288",
            "sysctl -w net.netfilter.nf_conntrack_max=8 && echo 2 > /sys/module/nf_conntrack/parameters/hashsize",
            "conntrack -D -s 10.88.3.2",
            "nsenter -t 7 -n conntrack -D -f ipv6 -s fd88:3::2",
            "conntrack -D -p tcp --reply-src 198.51.100.9 --reply-dst 203.0.113.2 --state TIME_WAIT",
            "nft 'add table ip porttrace; add chain ip porttrace wider { type nat hook postrouting priority 90 ; };"
            " add rule ip porttrace wider ip daddr 198.51.100.9 udp dport 53 snat to 203.0.113.2:1024-65535"
            " fully-random'",
            "nsenter -t 7 -n ss -K -tan src 10.88.1.2:30001 dst [2001:db8::9]:443",
            "ss -Htanp dst 198.51.100.10:443",
        ):
            with self.subTest(command=command):
                self.assertTrue(is_sound(command))

    def test_others_do_not(self):
        for command in (
            "", "reboot", "sysctl -w net.ipv4.tcp_tw_reuse=1; reboot", "sysctl -w net.ipv4.x=`reboot`",
            'sysctl -w net.ipv4.ip_local_port_range="1 $(reboot)"', "conntrack -D -s 10.88.3.2 | sh",
            "nft 'flush ruleset'", "sysctl -w kernel.panic=1", "nsenter -t 41 -m -n sysctl -w net.ipv4.tcp_tw_reuse=1",
            "conntrack -D", "conntrack -F", "ss -K -tan", "ss -K -tan dst 198.51.100.10:443", "sysctl -w net.ipv4.tcp_tw_reuse=1\nreboot",
        ):  # fmt: skip
            with self.subTest(command=command):
                self.assertFalse(is_sound(command))

    def test_where_a_command_acts(self):
        self.assertEqual(place_of(WIDER, {41}), "lab")
        self.assertIsNone(place_of(WIDER, {42}))
        self.assertIsNone(place_of('sysctl -w net.ipv4.ip_local_port_range="1 2"', {41}))
        self.assertIsNone(place_of("conntrack -D -s 10.88.3.2", {41}))
        self.assertEqual(place_of("sysctl -w net.netfilter.nf_conntrack_max=8", {41}), "machine")


if __name__ == "__main__":
    unittest.main()
