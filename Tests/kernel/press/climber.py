#!/usr/bin/python3
"""Fills a resource at a steady rate, as it is told: one JSON list [operation, arguments…] a line on standard input, for each
an answer: when it began and ended, CLOCK_REALTIME in seconds, and how far it lagged behind at most."""

import json
import resource
import socket
import sys
import time


def steady(count, seconds, step):
    """Calls step(number) at even times."""
    began, lag = time.time(), 0
    for number in range(count):
        due = began + (number + 1) * seconds / count
        time.sleep(max(0, due - time.time()))
        step(number)
        lag = max(lag, time.time() - due)
    return {"began": began, "ended": time.time(), "lag": lag}


class Climber:
    def __init__(self):
        self.held = {}  # address → sockets
        self.listener = None
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def connect(self, address, port, count, seconds):
        """Towards nobody: the sockets stay in SYN_SENT."""
        sockets = self.held.setdefault(address, [])

        def step(_):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((address, port))
            sockets.append(one)

        return steady(count, seconds, step)

    def release(self, address, count, seconds):
        return steady(count, seconds, lambda _: self.held[address].pop().close())

    def saw(self, address, port, teeth, seconds, more, rest):
        """To and fro between what is held and `more`; then no tooth any more for so long."""

        def tooth(_):
            self.connect(address, port, more, 0)
            time.sleep(seconds / 2)
            self.release(address, more, 0)
            time.sleep(seconds / 2)

        answer = steady(teeth, 0, tooth)
        time.sleep(rest)
        return answer

    def wait(self, port, count, seconds):
        """Connections that this side closes first: each leaves a TIME_WAIT socket."""
        if not self.listener:
            self.listener = socket.create_server(("127.0.0.1", port), backlog=64)

        def step(_):
            one = socket.create_connection(("127.0.0.1", port))
            other = self.listener.accept()[0]
            one.close()
            other.close()

        return steady(count, seconds, step)

    def send(self, addresses, count, seconds):
        """A datagram to each address in turn, each to a port of its own: a conntrack entry each."""
        share = count // len(addresses)
        return steady(count, seconds, lambda number: self.sender.sendto(b"x", (addresses[number // share], 1 + number)))

    def sources(self, address, port, first, count, seconds):
        """A datagram from each port from `first` on."""

        def step(number):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.bind(("", first + number))
                one.sendto(b"x", (address, port))

        return steady(count, seconds, step)

    def spread(self, networks, count, port):
        """A connection to each of so many addresses."""
        for number in range(count):
            self.connect(f"{networks}.{number >> 8}.{number & 255}", port, 1, 0)
        return steady(0, 0, None)


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    climber = Climber()
    print("ready", flush=True)
    for line in sys.stdin:
        operation, *arguments = json.loads(line)
        print(json.dumps(getattr(climber, operation)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
