"""Compares a census with ss, namespace by namespace."""


class Judge:
    """What is shown and kept of a scenario."""

    def __init__(self):
        self.problems, self.notes, self.real, self.seen = [], [], 0, 0

    def result(self):
        return {
            "tiers": {}, "clients": [], "attempts": 0, "real": self.real, "seen": self.seen, "bound": 0, "lines": 0,
            "exact": not self.problems, "skipped": [], "notes": self.notes, "problems": self.problems,
        }  # fmt: skip

    def equal(self, seen, real, what):
        if seen != real:
            self.problems.append(f"{what}: {seen}, not {real}")

    def near(self, seen, real, what, share=0.01):
        if abs(seen - real) > share * real:
            self.problems.append(f"{what}: {seen}, not {real} within {share:.0%}")

    def namespace(self, census, truth, inode, low, high, reserved=(), bound=()):
        """`bound`: ports that bind() or listen() has, as the test knows."""
        usable = set(range(low, high + 1)) - set(reserved)
        taken = usable & set(bound)
        entry = census.namespaces.get(inode)
        if entry is None:
            self.problems.append(f"netns {inode} is not in the census")
            return
        connections, waiting = truth.connections(), truth.time_wait()
        self.equal(entry["range"], [low, high], "range")
        self.equal(entry["reserved"], len(set(reserved) & set(range(low, high + 1))), "reserved")
        self.equal(entry["bound"], len(taken), "bound ports")
        self.equal(entry["usable"], len(usable) - len(taken), "usable ports")
        self.equal(entry["tcp"], len(connections) - waiting, "open TCP sockets")
        self.equal(entry["time_wait"], waiting, "TIME_WAIT sockets")
        self.equal(entry["udp"], len(truth.udp), "UDP sockets")
        expected = truth.ports(usable, set(bound))
        self.real += expected.total()
        found = census.ports(inode)
        self.seen += sum(each["used"] for each in found.values())
        self.equal({key: each["used"] for key, each in found.items()}, dict(expected), "ports")
        for key, each in found.items():
            self.equal(each["limit"], len(usable) - len(taken), f"limit of {key}")
        tcp = {port for _, (_, port), _ in truth.tcp} | set(bound)
        udp = {port for _, port in truth.udp}
        self.bind_ports(census, inode, 6, len(tcp & usable), len(usable))
        self.bind_ports(census, inode, 17, len(udp & usable), len(usable))
        self.equal(census.one("time_wait", inode)["used"], waiting, "time_wait")

    def bind_ports(self, census, inode, proto, used, limit):
        entry = census.one("bind_ports", inode, proto)
        self.equal(entry["used"], used, f"bind_ports of {proto}")
        if used:
            self.equal(entry["limit"], limit, f"limit of bind_ports of {proto}")

    def holders(self, entry, expected, what):
        """`expected`: cgroup id → count."""
        self.equal({each["cgroup"]: each["count"] for each in entry["holders"]}, expected, what)
