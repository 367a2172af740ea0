#!/usr/bin/python3
"""worker.py COMM: a process of a staged node, client or server. Each line of its standard input is one task, each line
of its standard output what came of it: how often which errno, or `ok`. It keeps its sockets until it is told, or ends.
"""

import collections
import ctypes
import errno
import json
import os
import resource
import select
import selectors
import signal
import socket
import struct
import sys
import threading
import time

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # linux/prctl.h
CLONE_NEWNET = 0x40000000
IP_BIND_ADDRESS_NO_PORT, IP_LOCAL_PORT_RANGE = 24, 51  # linux/in.h
ABORT = struct.pack("ii", 1, 0)  # struct linger: close() resets
libc = ctypes.CDLL(None, use_errno=True)
held = []


def outcome(function, *arguments):
    """The name of the errno that a call got, or `ok`."""
    try:
        function(*arguments)
        return "ok"
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


def listed(value):
    return value if isinstance(value, list) else [value]


def open_socket(address, proto="tcp"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)


def told():
    """Whether the next task is there: the end of one that goes on until then."""
    return bool(select.select([0], [], [], 0)[0])


class Server:
    """Accepts on many ports at once, and closes each connection at once, after its peer, or never."""

    def __init__(self, closes, deaf):
        self.closes, self.deaf = closes, deaf
        self.selector = selectors.DefaultSelector()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)

    def accept(self, listener):
        connection, _ = listener.accept()
        if self.closes:
            connection.close()
        elif self.deaf:
            held.append(connection)
        else:
            connection.setblocking(False)
            self.selector.register(connection, selectors.EVENT_READ, self.read)

    def read(self, connection):
        try:
            if connection.recv(4096):
                return
        except OSError:
            pass
        self.selector.unregister(connection)
        connection.close()


def listen(address, port, closes=False, group=False, deaf=False):
    """Listens on each port; with `group` the ports may be shared by SO_REUSEPORT."""
    server, counts = Server(closes, deaf), collections.Counter()
    for number in listed(port):
        listener = open_socket(address)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if group:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        counts[outcome(listener.bind, (address, number))] += 1
        listener.listen(4096)
        server.selector.register(listener, selectors.EVENT_READ, server.accept)
    threading.Thread(target=server.serve, daemon=True).start()
    return counts


def keep_or_close(one, keep, abort):
    if abort:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    if keep:
        held.append(one)
    else:
        one.close()


def attempt(to, port, keep, abort, wait, source, late, nonblocking, own):
    one = open_socket(to)
    if own:
        one.setsockopt(socket.SOL_IP, IP_LOCAL_PORT_RANGE, own[1] << 16 | own[0])
    if late:
        one.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    if source:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(tuple(source))
    one.settimeout(0 if nonblocking else wait)
    result = outcome(one.connect, (to, port))
    result = "ok" if result == "EINPROGRESS" else result
    keep_or_close(one, keep and result == "ok", abort)
    return result


def connect(
    to, port, count=1, keep=True, abort=False, wait=5.0, pause=0, source=None, late=False, nonblocking=False,
    until_told=False, own=None,
):  # fmt: skip
    """Connects to each of the destinations in turn; `until_told`: as long as no further task comes; `own`: within ports of the
    socket's own.
    """
    counts = collections.Counter()
    pairs = [(address, number) for address in listed(to) for number in listed(port)]
    number = 0
    while not told() if until_told else number < count:
        address, target = pairs[number % len(pairs)]
        counts[attempt(address, target, keep, abort, wait, source, late, nonblocking, own)] += 1
        number += 1
        time.sleep(pause)
    return counts


def bind(address, port=0, count=1, keep=True, proto="tcp", group=False):
    """Binds `count` sockets to each port; 0: the kernel's choice."""
    counts = collections.Counter()
    for number in listed(port) * count:
        one = open_socket(address, proto)
        if group:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        result = outcome(one.bind, (address, number))
        counts[result] += 1
        keep_or_close(one, keep and result == "ok", False)
    return counts


def send(to, port, count=1, keep=False, pause=0, until_told=False):
    """A datagram each, from a new socket each."""
    counts = collections.Counter()
    number, ports = 0, listed(port)
    while not told() if until_told else number < count:
        one = open_socket(to, "udp")
        counts[outcome(one.sendto, b"x", (to, ports[number % len(ports)]))] += 1
        keep_or_close(one, keep, False)
        number += 1
        time.sleep(pause)
    return counts


def write(count=1):
    """Writes on each connection that it holds, `count` times."""
    return collections.Counter(outcome(one.send, b"x") for _ in range(count) for one in held)


def drop(abort=False):
    """Closes all that it holds."""
    counts = collections.Counter(ok=len(held))
    while held:
        keep_or_close(held.pop(), False, abort)
    return counts


def leave(namespace):
    """Goes to another network namespace; its sockets stay where they are."""
    with open(namespace) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    return collections.Counter(ok=1)


def fork(to, port, count=1):
    """A child that shares all that is held here and opens more; its number is what the task is answered."""
    ready, done = os.pipe()
    child = os.fork()
    if not child:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.write(done, b"x" if set(connect(to, port, count)) == {"ok"} else b"")
        signal.pause()
    os.close(done)
    return {child: 1} if os.read(ready, 1) else {0: 1}


TASKS = {function.__name__: function for function in (listen, connect, bind, send, write, drop, leave, fork)}


def lines():
    """Byte by byte, so that told() sees the next one."""
    line = b""
    while byte := os.read(0, 1):
        if byte != b"\n":
            line += byte
            continue
        yield line
        line = b""


def main():
    libc.prctl(PR_SET_NAME, ctypes.c_char_p(sys.argv[1].encode()), 0, 0, 0)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("{}", flush=True)
    for line in lines():
        task = json.loads(line)
        if name := task.pop("do"):
            print(json.dumps(TASKS[name](**task)), flush=True)


if __name__ == "__main__":
    main()
