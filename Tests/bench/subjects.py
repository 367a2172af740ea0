"""What is measured: porttrace as it runs, and bpftrace's scripts that tell of the same failure."""

import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import threading
import time

ATTACHED = "porttrace: attached"
CLIENT = "bench-client"  # also its comm: on a machine in use others fail too

# Each counts by process; the first tells no destination, as a return probe has no arguments.
SCRIPTS = {
    "kretprobe": """kretprobe:inet_hash_connect /(int32)retval == -99/ { @[pid, comm] = count(); }""",
    "kprobe pair": """kprobe:inet_hash_connect { @sk[tid] = arg1; }
        kretprobe:inet_hash_connect {
            if ((int32)retval == -99) {
                $sk = (struct sock *)@sk[tid];
                @[pid, comm, ntop($sk->__sk_common.skc_daddr), $sk->__sk_common.skc_dport] = count();
            }
            delete(@sk[tid]);
        }""",
    "kfunc": """kretfunc:inet_hash_connect /(int32)retval == -99/ {
            @[pid, comm, ntop(args->sk->__sk_common.skc_daddr), args->sk->__sk_common.skc_dport] = count();
        }""",
}


class SubjectError(Exception):
    """It did not start, or did not do what it should."""


class Subject:
    """A program that attaches to the kernel; seconds tells how long it took from exec until it said so."""

    def __init__(self, command, watched, ready, stdout=None):
        streams = {"stdout": stdout if stdout is not None else subprocess.DEVNULL, "stderr": subprocess.PIPE}
        if watched == "stdout":
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **streams)
        self.lines, self.said = queue.Queue(), []
        stream = getattr(self.process, watched)
        self.reader = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.reader.start()
        try:
            self.ready_line, ended = self.await_line(ready)
        except SubjectError:
            self.close()
            raise
        self.seconds = ended - began

    def read(self, stream):
        for raw in stream:
            line = raw.decode(errors="replace").rstrip("\n")
            self.said.append(line)
            self.lines.put((line, time.monotonic()))
        self.lines.put((None, time.monotonic()))

    # Seconds after which it hangs. Where guest time counts instructions, it leaps while the guest waits for its files.
    patience = 120

    def await_line(self, start):
        deadline = time.monotonic() + self.patience
        while True:
            try:
                line, when = self.lines.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise SubjectError(f"did not say {start!r}: {self.text()}") from None
            if line is None:
                raise SubjectError(self.text() or f"ended with {self.process.wait()}")
            if line.startswith(start):
                return line, when

    def start_cpu_seconds(self):
        """utime and stime, those of children that it waited for included; in clock ticks of 10 ms."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as file:
            ticks = file.read().rsplit(")", 1)[1].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def cpu_ns(self):
        """Time of its threads on a CPU: utime and stime, as exact as the scheduler has them."""
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text(encoding="ascii").split()[0]) for file in threads)

    def text(self):
        return " ".join(" ".join(self.said).split())[:300]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.close()
            raise SubjectError("did not stop after SIGINT") from None
        self.reader.join()
        if status:
            raise SubjectError(f"ended with {status}: {self.text()}")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Porttrace(Subject):
    """`porttrace trace`; its lines go to a file or a pipe."""

    def __init__(self, program, *arguments, stdout=None, comm=CLIENT):
        filters = ["--comm", comm] if comm else []
        super().__init__([program, "trace", "-o", "ndjson", *filters, *arguments], "stderr", ATTACHED, stdout)

    def tier(self):
        return re.search(r"\bconnect=(\w+)", self.ready_line)[1]

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii", errors="replace") as file:
            return int(re.search(r"^VmRSS:\s+(\d+)", file.read(), re.MULTILINE)[1])


class Bpftrace(Subject):
    """One of SCRIPTS; ready when BEGIN's output comes, which is when it reads events."""

    def __init__(self, name):
        script = 'BEGIN { printf("ready\\n"); }\n' + SCRIPTS[name]
        super().__init__(["bpftrace", "-e", script], "stdout", "ready")

    def counted(self):
        """After stop: the sum of what its map holds."""
        return sum(int(found[1]) for line in self.said if (found := re.match(r"@\[.*\]: (\d+)$", line)))


def counted_in(path):
    """The failures that the lines of a finished porttrace tell."""
    total, summary = 0, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            event = json.loads(line)
            if event["type"] == "summary":
                summary = event["detail"]
            elif event["type"] not in ("lost", "pressure"):
                total += event["count"]
    if summary is None:
        raise SubjectError("porttrace wrote no summary")
    return total, summary, os.path.getsize(path)
