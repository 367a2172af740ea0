"""Runs porttrace under a case's control and reads what it says."""

import collections
import re
import signal
import subprocess
import tempfile
import threading
import time

from harness.tracer import ATTACHED, TracerError, parse_lines, parse_tiers

OTHERS = "porttrace: a pressure event lacks a field that a filter asks for"
START_LIMIT, STOP_LIMIT = 300, 300  # seconds after which it hangs; far beyond what any machine needs


class Trace:
    """One porttrace; standard output goes to a file unless the case has its own use for it."""

    def __init__(self, command, stdout=None, **options):
        self.command = [part if isinstance(part, bytes) else str(part) for part in command]
        self.file = tempfile.TemporaryFile()
        self.errors = tempfile.TemporaryFile()
        self.peak_kib = self.attach_peak_kib = 0
        self.tiers = {}
        output = self.file if stdout is None else stdout
        options = {"stdin": subprocess.DEVNULL} | options
        self.process = subprocess.Popen(self.command, stdout=output, stderr=self.errors, **options)
        self.watcher = threading.Thread(target=self.watch_memory, daemon=True)
        self.watcher.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.watcher.join()
        if self.process.stdout:
            self.process.stdout.close()
        self.file.close()
        self.errors.close()

    @property
    def pid(self):
        return self.process.pid

    def watch_memory(self):
        """Reads the kernel's own high-water mark until the process is gone."""
        pause = 0.001
        while self.process.returncode is None:
            self.peak_kib = max(self.peak_kib, self.memory("VmHWM"))
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)

    def forget_attach_peak(self):
        """libbpf reads all of the kernel's types to attach and frees them: what counts here is what comes after."""
        self.attach_peak_kib = self.memory("VmHWM")
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")
        self.peak_kib = 0

    def memory(self, name):
        """A line of /proc/PID/status in KiB; 0 once there is none."""
        try:
            with open(f"/proc/{self.pid}/status") as file:
                for line in file:
                    if line.startswith(f"{name}:"):
                        return int(line.split()[1])
        except OSError:
            pass
        return 0

    def await_attached(self):
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            for line in self.messages().splitlines(keepends=True):
                if line.startswith(ATTACHED) and line.endswith("\n"):
                    self.tiers = parse_tiers(line[len(ATTACHED) :])
                    self.forget_attach_peak()
                    return self.tiers
            if ended:
                break
            time.sleep(0.02)
        raise TracerError(f"porttrace did not attach (exit {self.process.poll()}): {self.messages().strip()}")

    def send(self, number):
        self.process.send_signal(number)

    def wait(self):
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise TracerError(f"porttrace did not end: {self.messages().strip()}") from None

    def stop(self, number=signal.SIGINT):
        """A clean stop; returns standard output, where it went to the file."""
        self.send(number)
        status = self.wait()
        if status:
            raise TracerError(f"porttrace exited with {status}: {self.messages().strip()}")
        return self.output()

    def output(self):
        self.file.seek(0)
        return self.file.read()

    def messages(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="backslashreplace")

    def message_lines(self):
        """What it said beside the attached lines, and of what others on this machine have near its limit."""
        return [line for line in self.messages().splitlines() if not line.startswith((ATTACHED, OTHERS))]

    def events(self):
        return parse_lines(self.output())


def failures(events):
    return [event for event in events if event["type"] not in ("lost", "pressure", "summary")]


def destination_counts(events):
    """(type, cgroup path, pid, address, port) → failures; folded lines lack the last three."""
    counts = collections.Counter()
    for event in failures(events):
        to = event.get("dst", {})
        path, pid = event.get("cgroup", {}).get("path"), event.get("proc", {}).get("pid")
        counts[event["type"], path, pid, to.get("addr"), to.get("port")] += event["count"]
    return counts


def cgroup_counts(events):
    """(type, cgroup path) → failures."""
    counts = collections.Counter()
    for event in failures(events):
        counts[event["type"], event.get("cgroup", {}).get("path")] += event["count"]
    return counts


def folded_count(events):
    return sum(event["count"] for event in failures(events) if event.get("detail", {}).get("folded"))


def text_total(text, what):
    """A number of the closing line `total: out of ports 12, …`."""
    for line in text.splitlines():
        if line.startswith("total: ") and (found := re.search(rf"{re.escape(what)} (\d+)", line)):
            return int(found[1])
    raise TracerError(f"no total of {what!r} in {text[-300:]!r}")
