"""TCP's changes of state as the kernel's own trace (tracefs) has them, with the task on whose back each happened.

Some kernels run no BPF program, of any kind, while a certain task is the current one, and count no skipped run: seen on a 6.18
virtual machine whose process 1 is its agent. An interrupt's changes are not told then either: the tracepoint fires, tracefs has
it, no program runs. What happened on process 1's back is therefore counted here, one by one, and only that may be missing.
"""

import collections
import pathlib
import re
import subprocess

TASKS = pathlib.Path("/proc/1/task")
EVENT = "events/sock/inet_sock_set_state"
RECORD_BYTES = 96  # of one change; a connection over the loopback has eight
SCRIPT = f"""
tracing=/sys/kernel/tracing
[ -e $tracing/{EVENT} ] || mount -t tracefs tracefs $tracing
instance=$tracing/instances/$0
mkdir $instance
trap 'rmdir $instance' EXIT
cd $instance
echo $1 >buffer_size_kb
echo "protocol == 6 && (sport >= $2 && sport <= $3 || dport >= $2 && dport <= $3)" >{EVENT}/filter
echo 1 >{EVENT}/enable
echo ready
read -r line || :
echo 0 >{EVENT}/enable
cat trace
cd /
"""
HEAD = re.compile(r"# entries-in-buffer/entries-written: (\d+)/(\d+)")
LINE = re.compile(
    r".*-(?P<task>\d+)\s+\[\d+\].*inet_sock_set_state: .* sport=(?P<sport>\d+) dport=(?P<dport>\d+) "
    r".*oldstate=TCP_(?P<old>\w+) newstate=TCP_(?P<new>\w+)"
)


class WitnessError(Exception):
    """The kernel's trace is there, but not whole."""


class Witness:
    """Watches the changes of sockets with such a port, from its making to stop()."""

    def __init__(self, name, ports, connections):
        size = max(1024, connections * 8 * RECORD_BYTES // 1024)  # in KiB, for each CPU: one may have all
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", SCRIPT, name, str(size), str(ports.start), str(ports.stop - 1)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        self.is_there = self.process.stdout.readline() == "ready\n"

    def stop(self):
        """(old, new, source port, destination port) → how often on the back of process 1; old and new as in lines."""
        text, _ = self.process.communicate()
        if not self.is_there:
            return collections.Counter()
        if not (head := HEAD.search(text)) or head[1] != head[2]:
            raise WitnessError(f"the kernel's trace is not whole: {head and head[0]}")
        own = {task.name for task in TASKS.iterdir()}
        found = (LINE.match(line) for line in text.splitlines())
        return collections.Counter(
            (line["old"], line["new"], int(line["sport"]), int(line["dport"]))
            for line in found
            if line and line["task"] in own
        )

    def close(self):
        if self.process.poll() is None:
            self.process.communicate()
