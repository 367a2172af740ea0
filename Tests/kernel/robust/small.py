"""One static file, small on disk and in memory, which needs /proc, and /sys to trace, and nothing else."""

import contextlib
import os
import re
import subprocess
import time

from .lab import Skip, case, check, equal
from .trace import failures

MOST_BYTES = 10 << 20
MOST_IDLE = 6 << 10  # KiB


def stripped(lab):
    """What `make dist` hands out."""
    path = lab.temporary / "porttrace-stripped"
    if not path.exists():
        done = subprocess.run(["strip", "-o", path, lab.porttrace], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise Skip(f"no strip here: {done.stderr.strip()}")
        forget_pages(path)
    return path


def forget_pages(path):
    """Pages just written lie in the cache in large pieces, which are mapped whole; let them be read as any file's."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


@case
def static_and_small(lab):
    lab.once()
    path = stripped(lab)
    size = path.stat().st_size
    check(size < MOST_BYTES, f"{size} bytes")
    header = subprocess.run(["readelf", "-lW", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    check("INTERP" not in header and "DYNAMIC" not in header, "it is linked dynamically")
    return f"{size / 1e6:.2f} MB"


@case
def idle_memory(lab):
    path = stripped(lab)
    forget_pages(path)
    trace = lab.attached("-o", "ndjson", program=path)
    time.sleep(1.5)  # a flush or two
    resident = trace.memory("VmRSS")
    parts = {name: trace.memory(name) for name in ("RssAnon", "RssFile", "RssShmem")}
    trace.stop()
    words = f"{resident} KiB resident, of it {parts}; {trace.attach_peak_kib} at most while attaching"
    check(resident < MOST_IDLE, words)
    return words


@contextlib.contextmanager
def root_folder(lab, *mounts):
    """A folder with the binary and these file systems alone; its mounts are gone when the user of it ends."""
    folder = lab.temporary / "root"
    folder.mkdir(exist_ok=True)
    binary = folder / "porttrace"
    if not binary.exists():
        binary.write_bytes(stripped(lab).read_bytes())
        binary.chmod(0o755)
    for name in ("proc", "sys"):
        (folder / name).mkdir(exist_ok=True)
    steps = ["mount --make-rprivate /"]
    if "proc" in mounts:
        steps.append(f"mount -t proc proc {folder}/proc")
    if "sys" in mounts:
        steps.append(f"mount --rbind /sys {folder}/sys")
    script = "; ".join(steps) + f'; exec chroot {folder} /porttrace "$@"'
    yield ["unshare", "--mount", "sh", "-ec", script, "porttrace"]


def in_chroot(lab, *mounts, arguments):
    with root_folder(lab, *mounts) as command:
        return lab.run(*command[1:], *arguments, program=command[0], env={})


@case
def help_with_proc_alone(lab):
    lab.once()
    status, output, errors = in_chroot(lab, "proc", arguments=["--help"])
    equal((status, errors), (0, ""), "exit status and standard error")
    check("--probe-mode" in output, f"no help in {output!r}")


@case
def trace_with_proc_and_sys(lab):
    with root_folder(lab, "proc", "sys") as command:
        trace = lab.attached(*command[1:], "-o", "ndjson", program=command[0], env={})
        storm = lab.fail(1000, 10)
        trace.stop()
    equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures")
    return str(trace.tiers)


def refused(lab, *mounts, word):
    """One line with a hint, exit 1."""
    status, output, errors = in_chroot(lab, *mounts, arguments=["-d", "300ms"])
    equal(status, 1, f"exit status ({errors!r})")
    equal(output, "", "standard output")
    lines = errors.splitlines()
    equal(len(lines), 1, f"lines on standard error: {errors!r}")
    check(lines[0].startswith("porttrace: ") and re.search(r"\(.+\)$", lines[0]), f"no hint in {lines[0]!r}")
    check(word in lines[0], f"no {word} in {lines[0]!r}")
    return lines[0]


@case
def trace_without_sys(lab):
    return refused(lab, "proc", word="/sys")


@case
def trace_without_proc(lab):
    lab.once()
    return refused(lab, "sys", word="/proc")


@case
def trace_without_both(lab):
    lab.once()
    return refused(lab, word="/proc")
