#!/usr/bin/python3
"""noise.py invalid ADDRESS: sends ICMP errors about flows that nobody has, which conntrack calls invalid, until killed.

noise.py pages DEVICE MAC FROM TO PORT COUNT: sends UDP packets whose every byte behind the link's header lies in pages, as
drivers receive them that copy no headers (a transmit ring of packet(7)).
"""

import ipaddress
import mmap
import socket
import struct
import sys

SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, TPACKET_V2 = 263, 10, 13, 1  # linux/if_packet.h
FRAME, FRAMES, HEADER, SEND_REQUEST = 2048, 2, 32, 1
UNREACHABLE = 3


def checksum(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    words = (words & 0xFFFF) + (words >> 16)
    return ~(words + (words >> 16)) & 0xFFFF


def ip_header(source, to, proto, length):
    start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, proto, 0)
    header = start + ipaddress.ip_address(source).packed + ipaddress.ip_address(to).packed
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:]


def invalid(to):
    about = ip_header(to, "192.0.2.77", socket.IPPROTO_UDP, 8) + struct.pack("!HHHH", 9, 9, 8, 0)
    error = struct.pack("!BBHI", UNREACHABLE, 1, 0, 0) + about
    error = error[:2] + struct.pack("!H", checksum(error)) + error[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        sender.sendto(error, (to, 0))
        print("begun", flush=True)
        while True:
            try:
                sender.sendto(error, (to, 0))
            except OSError:  # its queue is full
                pass


def pages(device, mac, source, to, port, count):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        sender.setsockopt(SOL_PACKET, PACKET_TX_RING, struct.pack("=IIII", FRAME * FRAMES, 1, FRAME, FRAMES))
        sender.bind((device, socket.ntohs(0x0800)))
        own = sender.getsockname()[4]
        ring = mmap.mmap(sender.fileno(), FRAME * FRAMES)
        for number in range(count):
            udp = struct.pack("!HHHH", 1024 + number % 60000, port, 8 + 8, 0) + bytes(8)
            packet = bytes.fromhex(mac.replace(":", "")) + own + b"\x08\x00"
            packet += ip_header(source, to, socket.IPPROTO_UDP, len(udp)) + udp
            frame = number % FRAMES * FRAME
            ring[frame + HEADER : frame + HEADER + len(packet)] = packet
            ring[frame : frame + 12] = struct.pack("=III", SEND_REQUEST, len(packet), 0)
            sender.send(b"")
    print("sent", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "invalid":
        invalid(sys.argv[2])
    else:
        pages(*sys.argv[2:6], int(sys.argv[6]), int(sys.argv[7]))
