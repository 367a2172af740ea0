"""Runs porttrace and reads what it says."""

import json
import re
import signal
import subprocess
import tempfile
import time

from .contract import breaches

ATTACHED = "porttrace: attached"
ATTACH_LIMIT, STOP_LIMIT = 60, 120  # seconds after which it hangs; far beyond what any machine needs


class TracerError(Exception):
    """porttrace did not start, or did not stop as promised."""


class Tracer:
    """One `porttrace trace -o ndjson`, from its start to its summary."""

    def __init__(self, program, mode, filters):
        self.command = [program, "trace", "-o", "ndjson", "--probe-mode", mode, *filters]
        self.output = tempfile.TemporaryFile()
        self.messages = tempfile.TemporaryFile()
        self.began_ns = time.time_ns()
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.messages
        )

    def await_attached(self):
        """Returns the tier of each hook."""
        deadline = time.monotonic() + ATTACH_LIMIT
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if tiers := self.tiers():
                return tiers
            if ended:
                raise TracerError(f"porttrace exited with {self.process.returncode}: {self.message_text().strip()}")
            time.sleep(0.02)
        raise TracerError(f"porttrace did not attach: {self.message_text().strip()}")

    def tiers(self):
        """By the last attached line: conntrack may come into use meanwhile, also by others. None before the first."""
        lines = self.message_text().splitlines(keepends=True)
        attached = [line for line in lines if line.startswith(ATTACHED) and line.endswith("\n")]
        return parse_tiers(attached[-1].removeprefix(ATTACHED)) if attached else None

    def stop(self):
        """Returns the lines as bytes; the exit status must be 0."""
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise TracerError("porttrace did not stop after SIGINT") from None
        self.ended_ns = time.time_ns()
        if status:
            raise TracerError(f"porttrace exited with {status}: {self.message_text().strip()}")
        self.output.seek(0)
        return self.output.read()

    def message_text(self):
        self.messages.seek(0)
        return self.messages.read().decode(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.messages.close()


def parse_tiers(text):
    """`connect=fentry bind=none (why) …` as a table."""
    tiers, pairs = {}, list(re.finditer(r"(?:^|[\s,;])(\w+)=", text))
    for number, pair in enumerate(pairs):
        end = pairs[number + 1].start() if number + 1 < len(pairs) else len(text)
        tiers[pair[1]] = text[pair.end() : end].strip(" ,;\n")
    return tiers


def parse_lines(output, with_pressure=False):
    """Every line as an object; raises where one is no JSON, not whole, or not within the contract.

    Lines of `pressure` are left out unless they are asked for: they tell of all that is near a limit on the machine, by
    whom ever."""
    if output and not output.endswith(b"\n"):
        raise TracerError(f"the last line is not whole: {output[-80:]!r}")
    events = []
    for number, line in enumerate(output.splitlines(), 1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            raise TracerError(f"line {number} is no JSON ({error}): {line[:200]!r}") from None
        for breach in breaches(events[-1]):
            raise TracerError(f"line {number}: {breach}")
    return [event for event in events if with_pressure or event["type"] != "pressure"]
