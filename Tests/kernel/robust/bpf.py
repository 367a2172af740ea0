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
GET_INFO_BY_FD, MAP_FREEZE = 15, 22


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


def call(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, 128)
    return libc.syscall(SYS_BPF, command, attributes, len(attributes))


def opened(kind, number):
    """A descriptor, negative where there is none."""
    return call(GET_BY_ID[kind], struct.pack("=III", number, 0, 0))


def exists(kind, number):
    descriptor = opened(kind, number)
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def freeze(pid, name):
    """Lets no process change what the maps of a name have that a process has open; whether there was one."""
    frozen = False
    for number in held_by(pid)["map"]:
        descriptor = opened("map", number)
        information = ctypes.create_string_buffer(80)  # struct bpf_map_info: name at 24
        address = ctypes.addressof(information)
        if call(GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, len(information), address)) == 0:
            if information.raw[24:40].rstrip(b"\0") == name[:15].encode():
                frozen = call(MAP_FREEZE, struct.pack("=I", descriptor)) == 0 or frozen
        os.close(descriptor)
    return frozen


def alive(held):
    return {kind: left for kind, ids in held.items() if (left := {number for number in ids if exists(kind, number)})}
