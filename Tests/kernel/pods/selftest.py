#!/usr/bin/python3
"""Shows that the Judge of names can fail: perfect lines pass, and each way of being wrong is told. No root, no kernel."""

import collections
import copy
import pathlib
import sys
import types
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from pods.judge import Judge  # noqa: E402
from pods.lab import Client, Owner  # noqa: E402
from pods.wire import decode, encode, text_map, within  # noqa: E402

ID = "ab" * 32
K8S = {"namespace": "shop", "pod": "cart", "pod_uid": "u-1", "container": "app"}
RUNTIME = {"name": "containerd", "container_id": ID, "image": "localhost/clients:1"}
OWNER = Owner(K8S, RUNTIME, cgroup=f"/podu-1/{ID}")
PORTS, FLOWS, CLOSED = 20_000, 20_001, 20_002


def clients():
    found = [
        Client("ports", "connect_exhausted", [], "198.51.100.10", PORTS),
        Client("flows", "conntrack_table_full", [], "198.51.100.11", FLOWS),
        Client("closed", "conntrack_table_full", [], "198.51.100.12", CLOSED, whole=False),
    ]
    for client in found:
        client.owner, client.attempts, client.real = OWNER, 10, 10
    return found


def line(client, **fields):
    event = {"type": client.type, "count": 10, "timestamp": "2023-11-14T22:13:21.000000001Z"}
    event |= {"dst": {"addr": client.address, "port": client.port}, "k8s": dict(K8S), "runtime": dict(RUNTIME)}
    event |= {"attribution": "socket", "cgroup": {"id": 1, "path": f"/kubepods/podu-1/{ID}"}}
    if not client.whole:
        event["attribution"] = "netns"
        event["k8s"].pop("container")
        del event["runtime"], event["cgroup"]
    return {name: value for name, value in (event | fields).items() if value is not None}


def summary(exact=True, ports=10, flows=20):
    totals = {"connect_exhausted": ports, "conntrack_table_full": flows}
    return {"type": "summary", "detail": {"totals": totals, "exact": exact, "lost": {}}}


def judged(lines, last=None, drop=20, check="names", **options):
    lab = types.SimpleNamespace(clients=clients(), options=types.SimpleNamespace(check=check), trace=True, notes=[])
    lab.events = [*lines, last or summary()]
    lab.moved = lambda _: collections.Counter(drop=drop)
    return Judge(lab, **options)


def perfect():
    return [line(client) for client in clients()]


class JudgeTests(unittest.TestCase):
    def assert_told(self, words, lines, **options):
        problems = " | ".join(judged(lines, **options).problems)
        self.assertIn(words, problems)

    def changed(self, index, **fields):
        lines = perfect()
        lines[index] = line(clients()[index], **fields)
        return lines

    def test_perfect_lines_pass(self):
        judge = judged(perfect())
        self.assertEqual(judge.problems, {})
        self.assertEqual(judge.names(), {"right": 30})

    def test_each_wrong_or_missing_field_of_a_name_is_told(self):
        for group, fields in (("k8s", K8S), ("runtime", RUNTIME)):
            for name in fields:
                for value in ("other", None):
                    wrong = copy.copy(fields) | {name: value}
                    wrong = {key: text for key, text in wrong.items() if text is not None}
                    self.assert_told(f"{group}.{name} is {value!r}", self.changed(0, **{group: wrong}))

    def test_a_name_that_is_not_there_is_told(self):
        self.assert_told("k8s is None", self.changed(1, k8s=None))
        self.assert_told("runtime is None", self.changed(1, runtime=None))
        self.assert_told("no owner", self.changed(1, k8s=None, runtime=None, attribution=None))

    def test_a_container_by_address_is_told(self):
        self.assert_told("k8s.container", self.changed(2, k8s=K8S))
        self.assert_told("runtime is", self.changed(2, runtime=RUNTIME))
        self.assert_told("by netns alone", self.changed(1, attribution="netns"))

    def test_another_cgroup_and_a_unit_are_told(self):
        self.assert_told("cgroup is", self.changed(0, cgroup={"id": 1, "path": "/kubepods/podu-1"}))
        self.assert_told("unit is", self.changed(0, unit="ssh.service"))

    def test_counts_that_differ_are_told(self):
        self.assert_told("10 failures, 9 seen", self.changed(0, count=9), last=summary(ports=9))
        self.assert_told("10 failures, 11 seen", self.changed(1, count=11), last=summary(flows=21))
        self.assert_told("totals.connect_exhausted", perfect(), last=summary(ports=11))
        self.assert_told("exact False", perfect(), last=summary(exact=False))
        self.assert_told("the kernel refused 5", perfect(), drop=5)

    def test_a_stranger_with_a_name_is_told(self):
        stranger = line(clients()[0], dst={"addr": "192.0.2.1", "port": 1})
        self.assert_told("none of the clients, but named", [*perfect(), stranger], last=summary(ports=20))

    def test_packets_without_a_tuple_are_told_unless_few(self):
        last = summary(flows=19)
        last["detail"]["undecided"] = {"conntrack_table_full": 1}
        self.assert_told("1 of 20 refused packets without a tuple", self.changed(1, count=9), last=last)
        self.assertEqual(judged(self.changed(1, count=9), last=last, unowned=0.1).problems, {})

    def test_a_grace_allows_no_name_and_no_wrong_one(self):
        whole = {"graces": {FLOWS: (0, 2**63)}}
        nameless = self.changed(1, k8s=None, runtime=None, attribution=None, cgroup=None)
        self.assertEqual(judged(nameless, **whole).problems, {})
        self.assert_told("k8s.pod is 'former'", self.changed(1, k8s=K8S | {"pod": "former"}), **whole)
        self.assert_told("no owner", nameless, graces={FLOWS: (0, 1)})

    def test_names_may_be_left_out_where_counts_are_asked_for(self):
        self.assertEqual(judged(self.changed(0, k8s=None, runtime=None), check="counts").problems, {})


class WireTests(unittest.TestCase):
    def test_what_was_encoded_is_decoded(self):
        message = {1: "name", 2: 300, 3: {1: "inner"}, 4: ["a", "b"], 5: text_map({"k": "v"}), 6: None, 7: True}
        found = decode(encode(message))
        self.assertEqual(found[1], [b"name"])
        self.assertEqual(found[2], [300])
        self.assertEqual(within(found, 3, 1), b"inner")
        self.assertEqual(found[4], [b"a", b"b"])
        self.assertEqual(decode(found[5][0]), {1: [b"k"], 2: [b"v"]})
        self.assertNotIn(6, found)
        self.assertEqual(found[7], [1])

    def test_known_bytes(self):
        self.assertEqual(encode({1: 150}), b"\x08\x96\x01")  # the encoding's own documentation
        self.assertEqual(encode({2: "testing"}), b"\x12\x07testing")


if __name__ == "__main__":
    unittest.main()
