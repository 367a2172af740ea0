"""Namespaces full of sockets."""

import contextlib
import ctypes
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    def __init__(self, number):
        self.name = f"pt-bench-{os.getpid()}-{number}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.path = pathlib.Path("/run/netns") / self.name
        self.inode = self.path.stat().st_ino
        subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)

    def enter(self):
        descriptor = os.open(self.path, os.O_RDONLY)
        if libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(descriptor)

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name], check=True)

    def fill(self, count):
        """Connections from here to here; returns what holds them."""
        self.enter()
        pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("10000 65000")
        listener = socket.create_server(("127.0.0.1", 9000), backlog=4096)
        held = [listener]
        for _ in range(count // 2):  # both ends are sockets
            held += [socket.create_connection(("127.0.0.1", 9000)), listener.accept()[0]]
        return held


def filled(namespace, count):
    """A process that holds them, and has said so: each namespace has its own, as files are limited."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        if os.read(read, 1) != b"+":
            sys.exit("bench: the sockets could not be made")
        os.close(read)
        return child
    held = namespace.fill(count)
    os.write(write, b"+")
    while held:
        time.sleep(60)


@contextlib.contextmanager
def namespaces(count):
    """So many of them, empty."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    made = []
    try:
        for number in range(count):
            made.append(Namespace(number))
        yield made
    finally:
        for namespace in made:
            namespace.remove()


@contextlib.contextmanager
def held(places, count):
    """So many sockets, shared out to the namespaces."""
    children = []
    try:
        for namespace in places:
            children.append(filled(namespace, count // len(places)))
        yield
    finally:
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)
