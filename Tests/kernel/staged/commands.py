"""What a fix's command may be: pasted by root, it holds numbers, addresses, pids and names, and nothing else."""

import re

VALUE = r"""(?:\d+|"\d+(?:[ \t]+\d+)*"|'\d+(?:[ \t]+\d+)*')"""
ADDRESS = r"[0-9a-fA-F.:]+(?:/\d+)?"
OWN_SETTING = rf"sysctl (?:-q )?-w(?: net\.[a-z0-9_.]+={VALUE})+"
SELECTION = rf"-f ipv[46]|-p (?:tcp|udp)|--state [A-Z_]+|(?:-[sdrq]|--(?:orig|reply)?-?(?:src|dst)) {ADDRESS}"
DELETION = rf"conntrack -D(?: (?:{SELECTION}))+"
NAT_RULE = (
    r"nft 'add table ip6? porttrace; add chain ip6? porttrace wider \{ type nat hook postrouting priority \d+ ; \};"
    rf" add rule ip6? porttrace wider ip6? daddr {ADDRESS} (?:tcp|udp) dport \d+"
    rf" snat to \[?{ADDRESS}\]?:\d+-\d+ fully-random'"
)
TABLE_SIZE = (
    rf"sysctl (?:-q )?-w(?: net\.(?:netfilter\.)?nf_conntrack_(?:max|buckets)={VALUE})+"
    r"|echo \d+ ?> ?/sys/module/nf_conntrack/parameters/hashsize"
)
END = rf"\[?{ADDRESS}\]?:\d+"
SOCKETS = rf"ss (?:-K -tan src {END} dst {END}|-H[tu]anp(?: dst {END})?)"
ENTER = r"nsenter (?:-t|--target) (?P<pid>\d+) (?:-n|--net) "
PART = re.compile(rf"(?:{ENTER})?(?P<rest>{TABLE_SIZE}|{OWN_SETTING}|{DELETION}|{NAT_RULE}|{SOCKETS})")
RANGE = re.compile(r"ip_local_port_range=[\"']?(\d+)[ \t]+(\d+)")


def parts_of(command):
    """A match for each part; None where the command is not of the few forms that there are."""
    parts = [PART.fullmatch(text) for text in command.split(" && ")]
    return parts if all(parts) else None


def is_sound(command):
    return parts_of(command) is not None


def place_of(command, pids):
    """`lab`: it acts in namespaces of these processes alone; `machine`: on conntrack's size too; None: elsewhere."""
    parts = parts_of(command)
    if not parts:
        return None
    outside = [part for part in parts if part["pid"] is None or int(part["pid"]) not in pids]
    if any(part["pid"] or not re.fullmatch(TABLE_SIZE, part["rest"]) for part in outside):
        return None
    return "machine" if outside else "lab"


def port_ranges(command):
    """The ranges that it sets."""
    return [(int(low), int(high)) for low, high in RANGE.findall(command)]
