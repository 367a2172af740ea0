"""What `conntrack -L -o extended` says of a table, counted: the truth that the census is compared with."""

import collections
import dataclasses
import ipaddress
import re

STATES = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2".split()
ICMP = (1, 58)
FIELD = re.compile(r"(\w+)=(\S+)")


@dataclasses.dataclass(frozen=True)
class Tuple:
    source: str
    destination: str
    source_port: int  # of ICMP: the id
    destination_port: int  # of ICMP: 0


@dataclasses.dataclass(frozen=True)
class Entry:
    proto: int
    timeout: int
    state: str
    original: Tuple
    reply: Tuple
    replied: bool
    assured: bool

    @property
    def source_translated(self):
        return (self.reply.destination, self.nat_port) != (self.original.source, self.original.source_port)

    @property
    def destination_translated(self):
        return self.reply.source != self.original.destination or (
            self.proto not in ICMP and self.reply.source_port != self.original.destination_port
        )

    @property
    def nat_port(self):
        return self.reply.source_port if self.proto in ICMP else self.reply.destination_port

    @property
    def peer_port(self):
        return 0 if self.proto in ICMP else self.reply.source_port


def tuple_of(fields, proto):
    if proto in ICMP:
        return Tuple(fields["src"], fields["dst"], int(fields["id"]), 0)
    return Tuple(fields["src"], fields["dst"], int(fields.get("sport", 0)), int(fields.get("dport", 0)))


def entry(line):
    words = line.split()
    proto = int(words[3])
    timed = words[4].isdecimal()  # a flow that is offloaded has no timeout
    pairs = FIELD.findall(line)
    second = [index for index, (name, _) in enumerate(pairs) if name == "src"][1]
    return Entry(
        proto=proto,
        timeout=int(words[4]) if timed else 0,
        state=words[5] if timed and words[5] in STATES else "",
        original=tuple_of(dict(pairs[:second]), proto),
        reply=tuple_of(dict(reversed(pairs[second:])), proto),
        replied="[UNREPLIED]" not in line,
        assured="[ASSURED]" in line,
    )


def entries(net):
    return [entry(line) for line in net.entries("-o", "extended")]


def address(text):
    """As read-tables prints it."""
    parsed = ipaddress.ip_address(text)
    return f"{int(parsed) | (0xFFFF << 32 if parsed.version == 4 else 0):032x}"


def summary(found, owners, home=0, own=()):
    """The census of these entries; `owners`: address → inode of its namespace, `own`: the host's addresses."""
    count = collections.Counter
    holders, inbound = count(), 0
    for one in found:
        opener, server = one.original.source, one.reply.source
        loopback = ipaddress.ip_address(opener).is_loopback
        owner = home if loopback else owners.get(opener)
        if owner is None and opener not in own:
            owner = owners.get(server)
            inbound += owner is not None or server in own
        if owner:
            holders[owner] += 1
    translations = count((one.proto, address(one.reply.destination), address(one.reply.source), one.peer_port)
                         for one in found if one.source_translated)  # fmt: skip
    destinations = count(map(destination, found))
    unreplied = count(destination(one) for one in found if not one.replied)
    return {
        "used": len(found),
        "assured": sum(one.assured for one in found),
        "unreplied": sum(not one.replied for one in found),
        "inbound": inbound,
        "translated": sum(one.source_translated or one.destination_translated for one in found),
        "protocols": dict(count(str(one.proto) for one in found)),
        "tcp_states": dict(count(str(STATES.index(one.state)) for one in found if one.proto == 6)),
        "holders": dict(holders),
        "destinations": {key: (number, unreplied[key]) for key, number in destinations.items()},
        "snat": dict(translations),
    }


def destination(one):
    return one.proto, address(one.original.destination), one.original.destination_port


def told(line):
    """A line of read-tables in the same shape."""
    names = ("used", "assured", "unreplied", "inbound", "translated", "protocols", "tcp_states")
    return {name: line[name] for name in names} | {
        "holders": {holder["netns"]: holder["count"] for holder in line["holders"]},
        "destinations": {
            (one["proto"], one["addr"], one["port"]): (one["count"], one["unreplied"]) for one in line["destinations"]
        },
        "snat": {(one["proto"], one["nat"], one["addr"], one["port"]): one["used"] for one in line["snat"]},
    }
