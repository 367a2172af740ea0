"""Holds packets back between the choice of a NAT port and the insertion of the entry, by nftables' `queue`: whoever is
held together collides for certain. linux/netfilter/nfnetlink_queue.h"""

import pathlib
import socket
import struct
import threading

from robust.lab import Skip

NETLINK_NETFILTER, SUBSYSTEM = 12, 3
PACKET, VERDICT_BATCH, CONFIG = 0, 3, 2
REQUEST, REQUEST_AND_ACK = 1, 5
BIND, COPY_META, ACCEPT = 1, 1, 1
CFG_CMD, CFG_PARAMS, CFG_MAXLEN = 1, 2, 3
PACKET_HEADER, VERDICT_HEADER = 1, 2
MOST = 8000  # packets held at once
REST = 0.3  # seconds without a further packet after which those held go on


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def message(kind, *attributes, flags=REQUEST):
    body = struct.pack("!BBH", socket.AF_UNSPEC, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), SUBSYSTEM << 8 | kind, flags, 0, 0) + body


class Queue:
    """Queue 0 of a namespace; a thread lets packets go on in batches."""

    def __init__(self, net):
        self.net = net
        self.socket = net.inside(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        self.configure(attribute(CFG_CMD, struct.pack("!BBH", BIND, 0, 0)))
        self.configure(
            attribute(CFG_PARAMS, struct.pack("!IB", 0, COPY_META)), attribute(CFG_MAXLEN, struct.pack("!I", MOST))
        )
        self.socket.settimeout(REST)
        self.held, self.ending = 0, False
        self.batches = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def configure(self, *attributes):
        self.socket.send(message(CONFIG, *attributes, flags=REQUEST_AND_ACK))
        answer = self.socket.recv(4096)
        error = struct.unpack_from("=i", answer, 16)[0]
        if error:
            raise Skip(f"no packet queue here: errno {-error}")

    def serve(self):
        highest = None
        while not self.ending:
            try:
                highest, self.held = self.read(highest), self.held + 1
            except TimeoutError:
                self.release(highest)
                highest = None
                continue
            if self.held == MOST:
                self.release(highest)
                highest = None

    def read(self, highest):
        data = self.socket.recv(65536)
        offset = 20
        while offset < len(data):
            length, kind = struct.unpack_from("=HH", data, offset)
            if kind & 0x7FFF == PACKET_HEADER:
                return struct.unpack_from("!I", data, offset + 4)[0]
            offset += length + -length % 4
        return highest

    def release(self, highest):
        """Every packet up to this one goes on."""
        if highest is not None:
            verdict = attribute(VERDICT_HEADER, struct.pack("!II", ACCEPT, highest))
            self.socket.send(message(VERDICT_BATCH, verdict))
            self.batches.append(self.held)
        self.held = 0

    def waiting(self):
        """Packets that have not gone on yet, by the kernel's own count."""
        path = pathlib.Path("/proc/thread-self/net/netfilter/nfnetlink_queue")
        return sum(int(line.split()[2]) for line in self.net.inside(path.read_text).splitlines())

    def close(self):
        self.ending = True
        self.thread.join()
        self.socket.close()
