"""What is written, to whom: hostile names, terminals, pipes, disks, closed descriptors."""

import errno
import os
import pty
import re
import signal
import subprocess
import time

from harness.node import remove_cgroup
from harness.tracer import parse_lines

from . import bpf
from .lab import await_that, case, check, equal, set_comm
from .trace import cgroup_counts, failures, text_total

EVIL = b'a"\n\x1b[31m\xff'


def evil_failure(lab, tries=3):
    """A process whose name is made to break JSON and terminals."""
    enter = lab.entry("tight", "a")
    pid = os.fork()
    if pid == 0:
        import socket

        status = 1
        try:
            enter()
            set_comm(EVIL)
            codes = {socket.socket().connect_ex(("198.51.100.7", 80)) for _ in range(tries)}
            status = 0 if codes == {errno.EADDRNOTAVAIL} else 1
        finally:
            os._exit(status)
    equal(os.waitpid(pid, 0)[1], 0, "the failing child's status")
    return pid


@case
def hostile_comm_json(lab):
    trace = lab.attached("-o", "ndjson")
    pid = evil_failure(lab)
    raw = trace.stop()
    raw.decode("utf-8", errors="strict")
    check(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw), f"a raw control character in {raw!r}")
    comms = {(event["proc"]["pid"], event["proc"]["comm"]) for event in failures(parse_lines(raw))}
    equal(comms, {(pid, 'a"\n\x1b[31m\ufffd')}, "pid and comm")
    return repr(comms)


@case
def hostile_comm_text(lab):
    lab.once()
    trace = lab.attached()
    evil_failure(lab)
    raw = trace.stop()
    text = raw.decode("utf-8", errors="strict")
    check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), f"a raw control character in {raw!r}")
    shown = 'a"\\n\\x1b[31m\\xff'
    check(shown in text, f"no {shown} in {text!r}")
    equal(text_total(text, "ports exhausted"), 3, "the total")
    return shown


@case
def hostile_comm_terminal(lab):
    """On a terminal: its own colours and line clearing, and nothing of the name's."""
    lab.once()
    primary, secondary = pty.openpty()
    trace = lab.attached(stdout=secondary, env=os.environ | {"TERM": "xterm"})
    os.close(secondary)
    evil_failure(lab)
    trace.send(signal.SIGINT)
    parts = []
    try:
        while part := os.read(primary, 65536):
            parts.append(part)
    except OSError as error:
        equal(error.errno, errno.EIO, "reading the terminal")  # its way to say that nobody writes any more
    os.close(primary)
    equal(trace.wait(), 0, "exit status")
    raw = b"".join(parts)
    check(b"\x1b[" in raw, f"nothing bright on a terminal: {raw!r}")
    own = re.sub(rb"\x1b\[(?:0|1|2|22|39|3[0-79]|9[0-7])?(?:;\d+)*m|\r\n", b"", raw.replace(EVIL, b"\0"))
    check(not re.search(rb"[\x00-\x1f\x7f]", own), f"a control character of the name's in {raw!r}")


@case
def no_colour(lab):
    """NO_COLOR, and a pipe, get plain text."""
    lab.once()
    trace = lab.attached(env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"})
    lab.fail(10)
    check(b"\x1b" not in trace.stop(), "an escape sequence")


@case
def hostile_cgroup(lab):
    """A cgroup's name may have nearly every byte."""
    name = os.fsdecode(b'a/evil"\\\x1b[31m\x7f\xff \xe2\x80\xae')
    folder = lab.node.cgroup_folder(f"/{name}")
    folder.mkdir()
    lab.started.callback(remove_cgroup, folder)
    trace, text = lab.attached("-o", "ndjson"), lab.attached()
    storm = lab.fail(10, cgroup=name)
    raw = trace.stop()
    check(not re.search(rb"[\x00-\x09\x0b-\x1f]", raw), f"a raw control character in {raw!r}")
    (seen,) = cgroup_counts(parse_lines(raw)).items()
    path = lab.path_of('a/evil"\\\x1b[31m\x7f\ufffd \u202e')
    equal(seen, (("connect_exhausted", path), storm.total), "cgroup and count")
    shown = text.stop().decode()
    check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), f"a raw control character in {shown!r}")


@case
def deep_cgroup(lab):
    """A path too deep to be recorded: absent, never wrong, and the failure counts all the same."""
    name = "a"
    for level in range(40):
        name += f"/level-{level}"
        lab.node.cgroup_folder(f"/{name}").mkdir()
        lab.started.callback(remove_cgroup, lab.node.cgroup_folder(f"/{name}"))
    trace = lab.attached("-o", "ndjson", "--comm", "deep", confined=False)
    confined = lab.attached("-o", "ndjson", "--comm", "deep")
    storm = lab.fail(1000, 10, cgroup=name, comm="deep")
    for one in (trace, confined):
        one.stop()
    events = trace.events()
    equal(sum(event["count"] for event in failures(events)), storm.total, "failures")
    inode = lab.node.cgroup_folder(f"/{name}").stat().st_ino
    for event in failures(events):
        equal(event["cgroup"]["id"], inode, "cgroup.id")
        check(event["cgroup"].get("path") in (None, lab.path_of(name)), f"cgroup.path {event['cgroup'].get('path')!r}")
    detail = confined.events()[-1]["detail"]
    undecided = detail.get("undecided", {}).get("connect_exhausted", 0)
    equal(detail["totals"]["connect_exhausted"] + undecided, storm.total, "failures that pass and undecided ones")
    return f"path {'absent' if undecided else 'known'}, {undecided} undecided with --cgroup"


@case
def hostile_comm_filter(lab):
    """--comm takes the very bytes, and finds them."""
    lab.once()
    trace = lab.attached("-o", "ndjson", "--comm", EVIL)
    evil_failure(lab)
    lab.fail(10)
    trace.stop()
    equal(trace.events()[-1]["detail"]["totals"]["connect_exhausted"], 3, "failures that pass")


@case
def closed_pipe(lab):
    """`| head -1`: a quiet, clean stop."""
    lab.once()
    reading, writing = os.pipe()
    trace = lab.attached("-o", "ndjson", stdout=writing)
    os.close(writing)
    head = subprocess.Popen(["head", "-1"], stdin=reading, stdout=subprocess.PIPE)
    os.close(reading)
    lab.fail(1000, 500)
    line, _ = head.communicate(timeout=120)
    equal(len(parse_lines(line, with_pressure=True)), 1, "lines that head had")
    equal(trace.wait(), 0, "exit status")
    equal(trace.message_lines(), [], "words on standard error")


@case
def closed_pipe_idle(lab):
    """The reader goes while nothing fails: it ends all the same."""
    lab.once()
    reading, writing = os.pipe()
    trace = lab.attached("-o", "ndjson", stdout=writing)
    os.close(writing)
    os.close(reading)
    equal(trace.wait(), 0, "exit status")
    equal(trace.message_lines(), [], "words on standard error")


@case
def full_disk(lab):
    lab.once()
    with open("/dev/full", "wb") as full:
        trace = lab.attached("-o", "ndjson", stdout=full)
    lab.fail(100, 10)
    equal(trace.wait(), 1, "exit status")
    equal(len(trace.message_lines()), 1, f"lines on standard error: {trace.messages()!r}")
    check("No space left" in trace.messages(), trace.messages())
    return trace.message_lines()[0]


@case
def full_disk_file(lab):
    """A file on a full file system, which takes a part of a write."""
    lab.once()
    folder = lab.temporary / "small-disk"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], check=True)
    lab.started.callback(subprocess.run, ["umount", folder], check=True)
    with open(folder / "out", "wb") as file:
        trace = lab.attached("-o", "ndjson", stdout=file)
    lab.fail(1000, 500)
    equal(trace.wait(), 1, "exit status")
    equal(len(trace.message_lines()), 1, f"lines on standard error: {trace.messages()!r}")
    written = (folder / "out").read_bytes()
    check(written and written.endswith(b"\n"), f"half a line at the end: {written[-80:]!r}")
    parse_lines(written)
    return trace.message_lines()[0]


@case
def blocked_pipe(lab):
    """SIGTERM while nobody reads: it gives up, and says how much was not written, down to the summary."""
    lab.once()
    reading, writing = os.pipe()
    lab.started.callback(os.close, reading)
    trace = lab.attached("-o", "ndjson", "--each", "--kind", "connect_exhausted", stdout=writing)
    os.close(writing)
    storm = lab.fail(1000, 500)
    trace.send(signal.SIGTERM)
    equal(trace.wait(), 1, "exit status")
    words = trace.message_lines()
    equal(len(words), 1, f"lines on standard error: {words}")
    found = re.search(r"(\d+) lines \((\d+) bytes\)", words[0])
    check(found and int(found[1]) > 0 and int(found[2]) > 0, f"no number of what was not written: {words[0]}")
    os.set_blocking(reading, False)
    taken = b""
    while part := os.read(reading, 65536):
        taken += part
    lines = taken.count(b"\n")
    whole = parse_lines(taken[: taken.rfind(b"\n") + 1])
    check(sum(event["count"] for event in whole) <= storm.total, "more in the pipe than there were")
    equal(lines + int(found[1]), storm.total + 1, "lines read and not written, the summary among them")
    return f"{lines} lines in the pipe; {words[0]}"


@case
def slow_reader(lab):
    """A reader that takes a little at a time, and goes on after the stop: nothing is lost."""
    lab.once()
    reading, writing = os.pipe()
    lab.started.callback(os.close, reading)
    trace = lab.attached("-o", "ndjson", stdout=writing)
    os.close(writing)
    storm = lab.fail(1000, 300)
    trace.send(signal.SIGINT)
    parts = []
    while part := os.read(reading, 8192):
        parts.append(part)
        time.sleep(0.05)
    equal(trace.wait(), 0, "exit status")
    events = parse_lines(b"".join(parts))
    equal(sum(event["count"] for event in failures(events)), storm.total, "failures")
    equal(events[-1]["type"], "summary", "the last line")


def closed_descriptors(lab, *numbers):
    def close():
        for number in numbers:
            os.close(number)

    return lab.trace("-o", "ndjson", preexec_fn=close)


@case
def closed_descriptors_at_start(lab):
    """`>&-` and its like: what it opens must not take their place; it ends cleanly."""
    for numbers in ((1,), (0,), (0, 1), (2,), (0, 1, 2)):
        trace = closed_descriptors(lab, *numbers)
        if 2 in numbers:
            await_that(lambda: bpf.held_by(trace.pid)["prog"], "its programs")
        else:
            trace.await_attached()
        for number in numbers:
            target = os.readlink(f"/proc/{trace.pid}/fd/{number}")
            equal(target, "/dev/null", f"descriptor {number} of one started without {numbers}")
        storm = lab.fail(100)
        trace.send(signal.SIGINT)
        equal(trace.wait(), 0, f"exit status without {numbers}")
        if 1 not in numbers:
            equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures")
            continue
        equal(trace.output(), b"", "what is in a file that it was not given")
