"""TCP's changes of state that happen on the back of process 1, see harness/witness.py."""

import collections
import re

from harness import witness

LINE = re.compile(
    r".*inet_sock_set_state: .* sport=(?P<sport>\d+) dport=(?P<dport>\d+) .*oldstate=TCP_(?P<old>\w+) newstate=TCP_(?P<new>\w+)"
)


class Witness(witness.Witness):
    """Watches the changes of sockets with such a port."""

    def __init__(self, name, ports):
        low, high = ports.start, ports.stop - 1
        super().__init__(
            name, "sock/inet_sock_set_state",
            f"protocol == 6 && (sport >= {low} && sport <= {high} || dport >= {low} && dport <= {high})",
        )

    def stop(self):
        """(old, new, source port, destination port) → how often; old and new as in lines."""
        found = filter(None, map(LINE.match, super().stop()))
        return collections.Counter(
            (line["old"], line["new"], int(line["sport"]), int(line["dport"])) for line in found
        )
