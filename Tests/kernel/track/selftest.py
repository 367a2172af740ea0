#!/usr/bin/python3
"""Shows that the Judge can fail: perfect lines pass, and each way of being wrong is told. No root, no kernel."""

import copy
import pathlib
import sys
import types
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from track.judge import Judge  # noqa: E402
from track.net import COUNTERS  # noqa: E402
from track.senders import Sender  # noqa: E402

NODE, POD = 7, 8
TIERS = {"conntrack": "tracepoint", "evictions": "none (no kprobes)"}
NAT = ("203.0.113.2",)


def refusal(kind="conntrack_table_full", count=10, **fields):
    causes = {"conntrack_table_full": "table_full", "snat_exhausted": "nat_ports"}
    line = {
        "schema": 1,
        "timestamp": "2023-11-14T22:13:21.000000001Z",
        "node": "here",
        "type": kind,
        "cause": causes.get(kind, "race"),
        "count": count,
        "proto": "udp",
        "family": "ipv4",
        "netns_id": NODE,
        "cgroup": {"id": 3, "path": "/t/app"},
        "proc": {"pid": 41, "tid": 41, "comm": "pt-victim", "uid": 0},
        "src": {"addr": "10.88.1.2", "port": 40000},
        "dst": {"addr": "198.51.100.10", "port": 1000},
        "attribution": "socket",
        "probe": "tracepoint",
        "detail": {"direction": "outbound", "limit": 24},
    }
    if kind == "snat_exhausted":
        line["detail"] = {"direction": "outbound", "evidence": "held_before", "limit": 2}
        line["detail"]["nat"] = {"addr": NAT[0], "port": 40001}
    return line | fields


def counted(count, kind="conntrack_table_full"):
    line = refusal(kind, count, probe="counter")
    for name in ("cgroup", "proc", "src", "dst", "attribution"):
        del line[name]
    return line


class Lab:
    """What the Judge reads of a lab; the kernel's counters moved by `drop` and `insert_failed`."""

    def __init__(
        self, lines, drop=10, insert_failed=0, kind="conntrack_table_full", told=None, totals=None, deferred=0,
        place="p1"
    ):
        self.options = types.SimpleNamespace(unconfined=True)
        self.nets = {"node": types.SimpleNamespace(inode=NODE), "p1": types.SimpleNamespace(inode=POD)}
        self.pods = {"p1": types.SimpleNamespace(v4="10.88.1.2", v6="fd88:1::2", uid=7)}
        self.limit = types.SimpleNamespace(value=24)
        self.trace = types.SimpleNamespace(tiers=TIERS)
        self.began_ns, self.ended_ns = 1_700_000_000_000_000_000, 1_700_000_010_000_000_000
        self.mode, self.notes, self.deferred, self.unseen = "auto", [], deferred, 0
        victim = Sender("victim", place, to="198.51.100.10", port=1000, types=(kind,), nat=(NAT, range(40000, 40002)))
        victim.pid, victim.sent, victim.entered, victim.arrived = 41, drop + 2, drop + 2, 2
        victim.errors = {"EPERM": drop} if place == victim.table else {}
        self.senders = [victim]
        self.counters = dict.fromkeys(COUNTERS, 0) | {"drop": drop, "insert_failed": insert_failed}
        kernel = told or {"netns_id": NODE, "drop": drop, "insert_failed": insert_failed, "early_drop": 0}
        sums = {name: 0 for name in ("conntrack_table_full", "snat_exhausted", "conntrack_insert_failed")}
        for line in lines:
            sums[line["type"]] = sums.get(line["type"], 0) + line["count"]
        detail = {"totals": totals or sums, "exact": True, "lost": {"ring": 0, "missed_runs": 0}, "probes": TIERS}
        detail |= {"undecided": {}, "kernel": [kernel]}
        self.events = [*lines, {"schema": 1, "type": "summary", "detail": detail}]

    def moved(self, kind):
        return self.counters if kind == "node" else dict.fromkeys(COUNTERS, 0)

    def path_of(self, sender):
        return "/t/app"

    def source_of(self, sender):
        return "10.88.1.2"


def problems(lines, unowned=0, **options):
    return list(Judge(Lab(lines, **options), unowned=unowned).problems)


class Comparison(unittest.TestCase):
    def test_perfect_lines_pass(self):
        self.assertEqual(problems([refusal(count=1), refusal(count=9)]), [])
        self.assertEqual(problems([refusal("snat_exhausted")], insert_failed=10, kind="snat_exhausted"), [])
        race = refusal("conntrack_insert_failed", detail={"direction": "outbound"})
        self.assertEqual(problems([race], insert_failed=10, kind="conntrack_insert_failed"), [])

    def test_wrong_counts_are_told(self):
        for count in (9, 11):
            with self.subTest(count=count):
                self.assertTrue(problems([refusal(count=count)]))

    def test_counters_that_the_summary_has_wrong_are_told(self):
        for name in ("drop", "insert_failed", "early_drop"):
            kernel = {"netns_id": NODE, "drop": 10, "insert_failed": 0, "early_drop": 0}
            with self.subTest(counter=name):
                self.assertTrue(problems([refusal()], told=kernel | {name: 3}))
        self.assertTrue(problems([refusal()], told={"netns_id": POD, "drop": 10}))

    def test_totals_that_differ_from_the_lines_are_told(self):
        self.assertTrue(problems([refusal()], totals={"conntrack_table_full": 11}))

    def test_one_type_for_another_is_told(self):
        self.assertTrue(problems([refusal("snat_exhausted")]))
        self.assertTrue(problems([refusal()], insert_failed=10, kind="snat_exhausted"))
        race = refusal("conntrack_insert_failed", detail={"direction": "outbound"})
        self.assertTrue(problems([race], insert_failed=10, kind="snat_exhausted"))

    def test_lines_without_owner_pass_within_their_share(self):
        lines = [refusal(count=9), counted(1)]
        self.assertEqual(problems(lines, unowned=0.1), [])
        self.assertTrue(problems(lines))
        self.assertTrue(problems([refusal(count=9), refusal(count=1, probe="counter")], unowned=0.1))

    def test_another_owner_is_told(self):
        for fields in ({"cgroup": {"id": 3, "path": "/t/b"}}, {"proc": {"pid": 42}}, {"attribution": "netns"}):
            with self.subTest(**fields):
                self.assertTrue(problems([refusal(**fields)]))

    def test_another_pod_is_told(self):
        self.assertEqual(problems([refusal(k8s={"pod_uid": "7"})]), [])
        self.assertTrue(problems([refusal(k8s={"pod_uid": "8"})]))
        self.assertTrue(problems([refusal(k8s={"pod_uid": "7", "pod": "web"})]))
        self.assertTrue(problems([refusal(k8s={"pod_uid": "7"}, error="EPERM", error_raw=1)], place="node"))

    def test_too_few_owners_are_told(self):
        pod_only = refusal(count=1, attribution="netns")
        del pod_only["cgroup"], pod_only["proc"]
        lines = [refusal(count=9), pod_only]
        self.assertTrue(problems(lines))
        self.assertEqual(problems(lines, deferred=1), [])
        nobody = {name: value for name, value in pod_only.items() if name != "attribution"}
        self.assertTrue(problems([refusal(count=9), nobody], deferred=1))
        more = pod_only | {"count": 2}
        self.assertTrue(problems([refusal(count=8), more], deferred=1))
        self.assertEqual(problems([refusal(count=8), more], deferred=2), [])

    def test_an_errno_is_the_callers_alone(self):
        self.assertTrue(problems([refusal(error="EPERM", error_raw=1)]))
        self.assertTrue(problems([refusal()], place="node"))
        self.assertTrue(problems([refusal(error="EPERM", error_raw=2)], place="node"))
        self.assertEqual(problems([refusal(error="EPERM", error_raw=1)], place="node"), [])

    def test_no_summary_is_told(self):
        lab = Lab([refusal()])
        lab.events.pop()
        self.assertTrue(Judge(lab).problems)

    def test_each_wrong_field_is_told(self):
        changes = {
            "schema": 2, "timestamp": "2023-11-14T22:13:09.000000001Z", "last_timestamp": "yesterday", "node": None,
            "cause": "race", "count": 0, "proto": "tcp", "family": "ipv6", "netns_id": POD, "probe": "fentry",
            "src": {"addr": "10.88.1.3"}, "dst": {"addr": "198.51.100.10", "port": 1001},
        }  # fmt: skip
        for field, value in changes.items():
            with self.subTest(field=field):
                self.assertTrue(problems([copy.deepcopy(refusal()) | {field: value}]))

    def test_each_wrong_detail_is_told(self):
        for kind, field, value in (
            ("conntrack_table_full", "limit", 25),
            ("conntrack_table_full", "direction", "inbound"),
            ("snat_exhausted", "zone", 3),
            ("snat_exhausted", "limit", 3),
            ("snat_exhausted", "nat", {"addr": NAT[0], "port": 40002}),
            ("snat_exhausted", "nat", {"addr": "203.0.113.3", "port": 40001}),
            ("snat_exhausted", "evidence", None),
        ):
            with self.subTest(kind=kind, field=field, value=value):
                line = refusal(kind)
                line["detail"][field] = value
                self.assertTrue(problems([line], insert_failed=10 if kind == "snat_exhausted" else 0, kind=kind))


if __name__ == "__main__":
    unittest.main()
