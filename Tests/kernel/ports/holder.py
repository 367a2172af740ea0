#!/usr/bin/python3
"""Holds sockets as it is told: one JSON list [operation, arguments…] a line on standard input, an answer for each."""

import json
import os
import resource
import socket
import sys
import threading
import time

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6, "mapped": socket.AF_INET6}


def address_of(family, address):
    return f"::ffff:{address}" if family == "mapped" else address


class Holder:
    def __init__(self):
        self.held = {}  # name → sockets
        self.accepted = []
        self.stopped = False

    def listen(self, name, family, address, port):
        sock = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
        sock.bind((address, port))
        sock.listen(4096)
        self.held[name] = [sock]
        threading.Thread(target=self.accept, args=(sock,), daemon=True).start()

    def accept(self, listener):
        while True:
            connection = listener.accept()[0]
            if not self.stopped:
                self.accepted.append(connection)

    def connect(self, name, family, source, address, port, count):
        """Waits for nobody: towards nobody the sockets stay in SYN_SENT."""
        sockets = self.held.setdefault(name, [])
        for _ in range(count):
            sock = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
            if source:
                sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
                sock.bind((address_of(family, source), 0))
            sock.setblocking(False)
            sock.connect_ex((address_of(family, address), port))
            sockets.append(sock)

    def bind(self, name, family, address, port, option=""):
        sock = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
        if option:
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        sock.bind((address, port))
        self.held.setdefault(name, []).append(sock)
        return sock.getsockname()[1]

    def udp(self, name, family, address, port, peer="", options=()):
        sock = socket.socket(FAMILIES[family], socket.SOCK_DGRAM)
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
        if family == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        if peer:
            sock.connect((peer, 9))
        self.held.setdefault(name, []).append(sock)
        return sock.getsockname()[1]

    def close(self, name):
        for sock in self.held.pop(name):
            sock.close()

    def close_accepted(self):
        """The other side closes too: what has closed first comes to its second state of TIME_WAIT."""
        for sock in self.accepted:
            sock.close()
        self.accepted = []

    def churn(self, address, port):
        """Connections that come and go, until the end."""

        def body():
            while not self.stopped:
                with socket.socket() as sock:
                    sock.connect((address, port))
                time.sleep(0.002)

        threading.Thread(target=body, daemon=True).start()

    def drop_accepted(self):
        self.stopped = True

    def leave(self, path):
        """Goes to another namespace; the sockets stay where they are."""
        import ctypes

        descriptor = os.open(path, os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(descriptor)


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    holder = Holder()
    print("ready", flush=True)
    for line in sys.stdin:
        operation, *arguments = json.loads(line)
        try:
            answer = getattr(holder, operation)(*arguments)
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
