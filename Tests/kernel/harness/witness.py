"""What happens on the back of process 1, by the kernel's own trace (tracefs).

Some kernels run no BPF program, of any kind, while a certain process is the current one, and count no skipped run: seen on a
6.18 virtual machine whose process 1 is its agent. What interrupts do then is not told either: the tracepoint fires, tracefs
has it, no program runs. That is therefore counted here, one by one, and only that may be missing.
"""

import re
import subprocess

SCRIPT = """
tracing=/sys/kernel/tracing
[ -e $tracing/events ] || mount -t tracefs tracefs $tracing
instance=$tracing/instances/$1
mkdir $instance
trap 'rmdir $instance' EXIT
cd $instance
echo 1024 >buffer_size_kb
ls /proc/1/task >set_event_pid
echo 1 >options/event-fork
[ -z "$3" ] || echo "$3" >events/$2/filter
echo 1 >events/$2/enable
echo ready
read -r line || :
echo 0 >events/$2/enable
cat trace
cd /
"""
HEAD = re.compile(r"# entries-in-buffer/entries-written: (\d+)/(\d+)")


class WitnessError(Exception):
    """The kernel's trace is there, but not whole."""


class Witness:
    """Watches a tracepoint, from its making to stop()."""

    def __init__(self, name, event, condition=""):
        """`event`: GROUP/NAME. `condition`: its filter."""
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", SCRIPT, "sh", name, event, condition],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        self.is_there = self.process.stdout.readline() == "ready\n"

    def stop(self):
        """The kernel's lines; none where there is no tracefs."""
        text, _ = self.process.communicate()
        if not self.is_there:
            return []
        if not (head := HEAD.search(text)) or head[1] != head[2]:
            raise WitnessError(f"the kernel's trace is not whole: {head and head[0]}")
        return [line for line in text.splitlines() if not line.startswith("#")]

    def close(self):
        if self.process.poll() is None:
            self.process.communicate()
