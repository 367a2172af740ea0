"""What the kernel itself says of TIME_WAIT in a namespace, and porttrace's maps, read as they are."""

import collections
import ctypes
import ipaddress
import mmap
import os
import pathlib
import struct
import subprocess
import time

from harness.node import libc
from robust.bpf import SYS_BPF, held_by

LOOKUP, NEXT_KEY, MAP_BY_ID, INFO = 1, 4, 14, 15  # enum bpf_cmd, linux/bpf.h
KEY = struct.Struct("=IHH16s16s")  # struct pt_time_wait_key, bpf/time_wait_owner.bpf.h
OWNER = struct.Struct("=QII16s")  # struct pt_time_wait_owner
SAMPLE = 8 + 168  # the ring buffer's own header and struct pt_sample, pt_wire.h

Owner = collections.namedtuple("Owner", "cgroup pid uid comm")


def inside(namespace, *command):
    return subprocess.run(
        ["ip", "netns", "exec", namespace.name, *command], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def set_sysctl(namespace, name, value):
    inside(namespace, "sysctl", "-qw", f"net.ipv4.{name}={value}")


def counters(namespace):
    """TW, TWKilled and TCPTimeWaitOverflow, and how many TIME_WAIT sockets there are, FIN_WAIT2's included."""
    lines = inside(namespace, "cat", "/proc/net/netstat", "/proc/net/sockstat").splitlines()
    names, values = (line.split() for line in lines if line.startswith("TcpExt:"))
    found = {name: int(value) for name, value in zip(names[1:], values[1:])}
    sockets = next(line.split() for line in lines if line.startswith("TCP:"))
    return {
        "entries": found["TW"] + found["TWKilled"],
        "overflow": found["TCPTimeWaitOverflow"],
        "there": int(sockets[sockets.index("tw") + 1]),
    }


def entries_at_the_end(namespace):
    """TW and TWKilled of a fresh namespace once the last TIME_WAIT socket has gone: also 5.10 has counted them then."""
    while (found := counters(namespace))["there"]:
        time.sleep(1)
    return found["entries"]


def mapped(address):
    address = ipaddress.ip_address(address)
    return b"\0" * 10 + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def time_wait_sockets(namespace):
    """The connection of each, as in the map's key."""
    for line in inside(namespace, "ss", "-Htan", "state", "time-wait").splitlines():
        (local, port), (remote, remote_port) = (field.rsplit(":", 1) for field in line.split()[2:4])
        local, remote = (mapped(address.strip("[]").partition("%")[0]) for address in (local, remote))
        yield local, int(port), remote, int(remote_port)


def call(command, attributes):
    return libc.syscall(SYS_BPF, command, attributes, len(attributes))


def find_map(pid, wanted):
    """A descriptor of the map of that name that the process has open."""
    for number in held_by(pid)["map"]:
        descriptor = call(MAP_BY_ID, ctypes.create_string_buffer(struct.pack("=III", number, 0, 0), 128))
        info = ctypes.create_string_buffer(256)
        attributes = struct.pack("=IIQ", descriptor, len(info), ctypes.addressof(info))
        if call(INFO, ctypes.create_string_buffer(attributes, 128)) == 0:
            if info.raw[24:40].rstrip(b"\0") == wanted[:15].encode():  # struct bpf_map_info.name
                return descriptor
        os.close(descriptor)
    raise RuntimeError(f"no map {wanted}")


def samples_sent(pid):
    """How many records the programs have put into the ring buffer so far, by the kernel's own position in it."""
    descriptor = find_map(pid, "pt_samples")
    with mmap.mmap(descriptor, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=mmap.PAGESIZE) as producer:
        (position,) = struct.unpack_from("=Q", producer)
    os.close(descriptor)
    return position // SAMPLE


def owners(pid):
    """connection → Owner, of every namespace; those that are not in TIME_WAIT yet, or not any more, as well."""
    descriptor = find_map(pid, "pt_time_wait")
    found = {}
    key, after = ctypes.create_string_buffer(KEY.size), ctypes.create_string_buffer(KEY.size)
    value = ctypes.create_string_buffer(OWNER.size)
    first = True
    while True:
        place = 0 if first else ctypes.addressof(key)
        attributes = struct.pack("=IIQQ", descriptor, 0, place, ctypes.addressof(after))
        if call(NEXT_KEY, ctypes.create_string_buffer(attributes, 128)):
            break
        ctypes.memmove(key, after, KEY.size)
        first = False
        attributes = struct.pack("=IIQQQ", descriptor, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
        if call(LOOKUP, ctypes.create_string_buffer(attributes, 128)) == 0:
            _, port, remote_port, local, remote = KEY.unpack(key.raw)
            cgroup, process, uid, comm = OWNER.unpack(value.raw)
            owner = Owner(cgroup, process, uid, comm.split(b"\0")[0].decode())
            found[local, port, remote, int.from_bytes(remote_port.to_bytes(2, "little"), "big")] = owner
    os.close(descriptor)
    return found


def cgroup_id(node, name):
    return pathlib.Path(node.cgroup_folder(f"/{name}")).stat().st_ino
