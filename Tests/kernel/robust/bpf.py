"""BPF objects, asked of the kernel itself: whose they are, and whether they are still there."""

import ctypes
import os
import pathlib
import platform
import re
import struct

from harness.node import libc

SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
GET_BY_ID = {"prog": 13, "map": 14, "link": 30}  # enum bpf_cmd, linux/bpf.h


def held_by(pid):
    """kind → ids of what a process has open."""
    held = {kind: set() for kind in GET_BY_ID}
    try:
        files = list(pathlib.Path(f"/proc/{pid}/fdinfo").iterdir())
    except OSError:
        return held
    for file in files:
        try:
            text = file.read_text()
        except OSError:
            continue
        for kind, number in re.findall(r"^(prog|map|link)_id:\s+(\d+)$", text, re.MULTILINE):
            held[kind].add(int(number))
    return held


def exists(kind, number):
    attributes = ctypes.create_string_buffer(struct.pack("=III", number, 0, 0), 128)
    descriptor = libc.syscall(SYS_BPF, GET_BY_ID[kind], attributes, len(attributes))
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def alive(held):
    return {kind: left for kind, ids in held.items() if (left := {number for number in ids if exists(kind, number)})}
