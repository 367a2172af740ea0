"""A scenario's result where it is no Judge's: figures beside their truth."""

from . import listing


class Compared:
    """A scenario's result in the form of the others."""

    def __init__(self, lab):
        self.lab, self.problems, self.real, self.seen = lab, [], 0, 0

    def equal(self, what, told, truth):
        if told != truth:
            self.problems.append(f"{what}: {told}, not {truth}")

    def table(self, net, quiet, owners, own=()):
        """Compares the census of a namespace's table with what was listed right after it."""
        lines, listed = quiet
        line = next((line for line in lines if line.get("netns") == net.inode), None)
        if line is None:
            self.problems.append(f"{net.kind}: no census")
            return None
        truth = listing.summary(listed[net], owners, net.inode, own)
        told = listing.told(line)
        for name, value in truth.items():
            self.equal(f"{net.kind} {name}", told[name], value)
        self.real += truth["used"]
        self.seen += told["used"]
        return line

    def result(self):
        lab = self.lab
        rows = [{"client": "entries", "attempts": self.real, "real": self.real, "seen": self.seen}]
        return {
            "tiers": {}, "clients": rows, "skipped": [], "attempts": self.real, "real": self.real, "seen": self.seen,
            "exact": not self.problems, "bound": 0, "lines": self.seen, "notes": lab.notes, "problems": self.problems,
        }  # fmt: skip
