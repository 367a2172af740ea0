"""Filters for system calls, as container runtimes have them (seccomp(2))."""

import ctypes
import platform
import struct

from .node import libc

SECCOMP_ALLOW, SECCOMP_ERRNO = 0x7FFF0000, 0x00050000
EPERM = 1
CALLS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "inotify_init1": 294, "openat2": 437, "socket": 41},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "inotify_init1": 26, "openat2": 437, "socket": 198},
}[platform.machine()]


def seccomp(rules):
    """A filter, as container runtimes have them; rules: (call, its first argument or None for any) that get EPERM."""
    code = []

    def statement(operation, jump_true, jump_false, value):
        code.append(struct.pack("=HBBI", operation, jump_true, jump_false, value))

    for call, argument in rules:
        statement(0x20, 0, 0, 0)  # the call's number
        if argument is None:
            statement(0x15, 0, 1, CALLS[call])
        else:
            statement(0x15, 0, 3, CALLS[call])
            statement(0x20, 0, 0, 16)  # its first argument, the low half
            statement(0x15, 0, 1, argument)
        statement(0x06, 0, 0, SECCOMP_ERRNO | EPERM)
    statement(0x06, 0, 0, SECCOMP_ALLOW)
    program = ctypes.create_string_buffer(b"".join(code))
    header = struct.pack("=HxxxxxxQ", len(code), ctypes.addressof(program))

    def apply():
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0):  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
            raise OSError(ctypes.get_errno(), "seccomp")

    apply.keep = program
    return apply
