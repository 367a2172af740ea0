"""A conntrack table of many entries: how long it takes to add them up, beside `conntrack -L | awk` with the same sums."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import resource
import subprocess
import time

from subjects import SubjectError

LIMIT = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
LOCK = pathlib.Path("/run/porttrace-conntrack.lock")  # whoever changes the limit: Tests/kernel/track/runs.py
ROUNDS = 3
RULES = """table inet bench {
chain out { type filter hook output priority 0; ct state new counter; }
chain nat { type nat hook postrouting priority 100; }
}
"""
# Protocols, states, sources, destinations, flags and NAT addresses: what the census tells, less whose they are.
SUMS = r"""
{ proto[$3]++; if ($3 == "tcp") state[$6]++; n = 0
  for (i = 5; i <= NF; i++) {
    if ($i ~ /^src=/) { if (n++ == 0) source[$i]++; else peer = $i }
    else if ($i ~ /^dst=/) { if (n == 1) to = $i; else nat[$i " " peer]++ }
    else if ($i ~ /^dport=/ && n == 1) destination[$3 " " to " " $i]++
    else if ($i == "[ASSURED]") assured++
    else if ($i == "[UNREPLIED]") unreplied++
  } }
END { for (name in proto) sum += proto[name]; print sum, assured, unreplied }
"""


def load(count):
    """Commands for so many entries of fifty pods towards 3,000 destinations; three in five are TCP and translated."""
    for number in range(count):
        pod, to, port = number % 50, number % 3000, 1024 + number // 50
        flow = f"-s 10.88.{pod}.2 -d 198.18.{to >> 8}.{to & 255} --sport {port} --timeout 36000"
        if number % 5 < 3:
            state = "ESTABLISHED" if number % 2 else "TIME_WAIT"
            nat = f"203.0.113.{number // 60000}:{1024 + number * 7 % 60000}"
            yield f"-A -p tcp {flow} --dport 443 --state {state} -u ASSURED,SEEN_REPLY --src-nat {nat}\n"
        else:
            yield f"-A -p udp {flow} --dport 53\n"


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        raise SubjectError(f"{command[0]}: {done.stderr.strip()[:200]}")
    return done.stdout


def children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(function):
    """(the result, seconds, seconds of CPU of its child processes)"""
    cpu, begun = children(), time.monotonic()
    result = function()
    return result, time.monotonic() - begun, children() - cpu


def census(reader, inode):
    lines = [json.loads(line) for line in run(reader, "--tables").splitlines()]
    table = next((line for line in lines if line.get("netns") == inode), None)
    if not table:
        missing = [line["not_visible"] for line in lines if "not_visible" in line]
        raise SubjectError(f"read-tables does not know the table: {missing}")
    return table, lines[-1]


@contextlib.contextmanager
def table(count, limit):
    """A namespace whose table has so many entries, by its name."""
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        name, former = f"pt-entries-{os.getpid()}", LIMIT.read_text()
        run("ip", "netns", "add", name)
        try:
            run("ip", "netns", "exec", name, "nft", "-f", "-", input=RULES)
            LIMIT.write_text(str(max(int(former), limit)))
            text = "".join(load(count))
            run("ip", "netns", "exec", name, "conntrack", "--load-file", "/proc/self/fd/0", input=text)
            yield name
        finally:
            LIMIT.write_text(former)
            run("ip", "netns", "delete", name)


def measure(reader, count):
    """Figures as a dictionary for Tests/bench/tables.py."""
    with table(count, count + 100_000) as name:
        inode = pathlib.Path("/run/netns", name).stat().st_ino
        listed = f"ip netns exec {name} conntrack -L 2>/dev/null | awk '{SUMS}'"
        ours, theirs = [], []
        for _ in range(ROUNDS):
            (found, costs), *_ = timed(lambda: census(reader, inode))
            sums, seconds, cpu = timed(lambda: run("sh", "-c", listed))
            wanted = [found["used"], found["assured"], found["unreplied"]]
            if list(map(int, re.findall(r"\d+", sums))) != wanted:
                raise SubjectError(f"conntrack -L: {sums.strip()}, read-tables: {wanted}")
            ours.append((costs["cost_ns"] / 1e9, costs["resident_kib"]))
            theirs.append((cpu, seconds))
        return {
            "part": "entries", "kernel": os.uname().release, "entries": found["used"],
            "cpu_s": sorted(cpu for cpu, _ in ours)[ROUNDS // 2], "resident_kib": max(size for _, size in ours),
            "listed_cpu_s": sorted(cpu for cpu, _ in theirs)[ROUNDS // 2],
            "listed_s": sorted(seconds for _, seconds in theirs)[ROUNDS // 2],
        }  # fmt: skip
