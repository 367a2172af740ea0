"""porttrace as it watches a node that holds many sockets and conntrack entries, far from every limit: its share of a core."""

import os
import tempfile
import time

import entries
import sockets
from subjects import Porttrace

SETTLING = 20  # the first looks at the ports and at the table, which are taken at once
SECONDS = 120  # several looks at the ports; the pace of the table's is longer
NAMESPACES = 10
# The same without pressure, so that what the census costs shows.
VARIANTS = {"with pressure": (), "without": ("--kind", "connect_exhausted")}


def measure(program, socket_count, entry_count):
    """Figures as dictionaries for Tests/bench/tables.py, one for each variant: CPU of all threads, of the first looks and then."""
    with entries.table(entry_count, 4 * entry_count), sockets.namespaces(NAMESPACES) as places:
        with sockets.held(places, socket_count):
            for variant, arguments in VARIANTS.items():
                with tempfile.TemporaryFile() as lines, Porttrace(program, *arguments, comm=None, stdout=lines) as subject:
                    start = subject.cpu_ns()
                    time.sleep(SETTLING)
                    before, began = subject.cpu_ns(), time.monotonic()
                    time.sleep(SECONDS)
                    share = (subject.cpu_ns() - before) / 1e9 / (time.monotonic() - began)
                    resident = subject.resident_kib()
                    subject.stop()
                    lines.seek(0)
                    near = lines.read().count(b'"direction":"up"')
                yield {
                    "part": "busy", "kernel": os.uname().release, "variant": variant, "sockets": socket_count,
                    "entries": entry_count, "first_cpu_s": (before - start) / 1e9, "cpu_share": share, "resident_kib": resident,
                    "near": near,
                }  # fmt: skip
