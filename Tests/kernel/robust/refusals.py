"""What porttrace refuses, or is refused: one clear line with a hint, and the right exit status."""

import os
import pathlib
import re
import shutil
import socket
import struct

from harness.seccomp import seccomp
from harness.tracer import TracerError

from .lab import Skip, case, check, equal, need_program, one_line
from .trace import destination_counts, failures

TYPES = pathlib.Path("/sys/kernel/btf/vmlinux")


def cannot_work(lab, *arguments, words=(), hint=True, **options):
    """Exit 1, one line with these words and a hint; nothing on standard output."""
    status, output, errors = lab.run(*arguments, **options)
    equal(status, 1, f"exit status ({errors!r})")
    equal(output, "", "standard output")
    line = one_line(errors)
    for word in words:
        check(word in line, f"no {word!r} in {line!r}")
    check(not hint or re.search(r"\([^()]+.*\)$", line), f"no hint in {line!r}")
    return line


# ---- rights ----

CAPABILITIES = (
    *("net_admin", "sys_nice", "sys_ptrace", "syslog", "dac_read_search", "dac_override", "sys_resource"),
    *("bpf", "perfmon", "sys_admin"),
)


def with_capabilities(names):
    kept = "".join(f",+{name}" for name in names)
    return ["setpriv", f"--bounding-set=-all{kept}"]


def attaches(lab, names):
    """The tiers that root has with these capabilities alone; None where it cannot work."""
    status, _, errors = lab.run(*with_capabilities(names)[1:], lab.porttrace, "-d", "1ms", program="setpriv")
    check(status in (0, 1), f"exit status {status} with {names}: {errors!r}")
    if status:
        one_line(errors)
        return None
    return re.sub(r" \(.*?\)(?= |$)", "", errors.splitlines()[0].removeprefix("porttrace: attached "))


@case
def not_root(lab):
    need_program("setpriv")
    line = cannot_work(
        lab, "--reuid", "65534", "--regid", "65534", "--clear-groups", copied(lab), "-d", "1ms",
        program="setpriv", words=("CAP_BPF", "CAP_PERFMON"),
    )
    return line


def copied(lab):
    """Where anybody may run it from."""
    lab.temporary.chmod(0o755)
    path = lab.temporary / "porttrace-copy"
    if not path.exists():
        shutil.copy2(lab.porttrace, path)
        path.chmod(0o755)
    return path


def fewest(lab, tiers, among):
    """What is left when each one that is not needed for these tiers has been taken away in turn."""
    kept = list(among)
    for name in among:
        fewer = [other for other in kept if other != name]
        if attaches(lab, fewer) == tiers:
            kept = fewer
    return kept


@case
def capabilities(lab):
    """Which capabilities it needs: what the hint names is enough, and fewer are refused in one line."""
    need_program("setpriv")
    everything = attaches(lab, CAPABILITIES)
    check(everything, "not even all of them are enough")
    check(attaches(lab, ()) is None, "none at all is enough: this tested nothing")
    words = [f"{everything} with {'+'.join(fewest(lab, everything, CAPABILITIES))}"]
    others = tuple(name for name in CAPABILITIES if name != "sys_admin")
    if tiers := attaches(lab, others):
        words.append(f"{tiers} with {'+'.join(fewest(lab, tiers, others))}")
    else:
        words.append("nothing without sys_admin")
    equal(attaches(lab, hinted(lab)), everything, "tiers with what the hint names, as against all")
    return "; ".join(words)


def hinted(lab):
    """The capabilities that the hint of a refusal names."""
    _, _, errors = lab.run(*with_capabilities(())[1:], lab.porttrace, "-d", "1ms", program="setpriv")
    names = [name.lower() for name in re.findall(r"CAP_([A-Z_]+)", errors)]
    check(names, f"no capability in {errors!r}")
    return names


# ---- types ----


def hidden_types(lab, *arguments):
    """The command line of a porttrace whose kernel has no types of its own."""
    empty = lab.temporary / "empty"
    empty.mkdir(exist_ok=True)
    script = f'mount --make-rprivate /; mount --bind {empty} /sys/kernel/btf; exec "$@"'
    return ["unshare", "--mount", "sh", "-ec", script, "sh", lab.porttrace, *arguments]


def copied_types(lab):
    path = lab.temporary / "types.btf"
    if not path.exists():
        path.write_bytes(TYPES.read_bytes())
    return path


@case
def no_types(lab):
    command = hidden_types(lab, "-d", "1ms")
    return cannot_work(lab, *command[1:], program=command[0], words=("/sys/kernel/btf/vmlinux", "--btf"))


@case
def types_from_file(lab):
    """Without the kernel's own types a file with them serves: the tracepoint tier works, and counts."""
    command = hidden_types(lab, "--btf", copied_types(lab), "-o", "ndjson", "--probe-mode", "tracepoint")
    trace = lab.attached(*command[1:], program=command[0])
    equal(trace.tiers["connect"], "tracepoint", "tier")
    storm = lab.fail(1000, 10)
    trace.stop()
    equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures")
    command = hidden_types(lab, "--btf", copied_types(lab), "-o", "ndjson")
    trace = lab.attached(*command[1:], program=command[0])
    storm = lab.fail(1000, 10)
    trace.stop()
    equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures, auto")
    return f"auto: {trace.tiers}"


@case
def types_given_beside_own(lab):
    trace = lab.attached("--btf", copied_types(lab), "-o", "ndjson")
    storm = lab.fail(1000, 10)
    trace.stop()
    equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures")
    return str(trace.tiers)


@case
def bad_types(lab):
    """Every sort of file that is no kernel's types: refused by its name, never half used."""
    whole = TYPES.read_bytes()
    files = {
        "empty": b"",
        "text": b"these are no types\n" * 1000,
        "zeros": bytes(1 << 20),
        "header": whole[:24],
        "half": whole[: len(whole) // 2],
        "elf": pathlib.Path("/bin/true").read_bytes(),
    }
    words = []
    for name, content in files.items():
        path = lab.temporary / f"bad-{name}"
        path.write_bytes(content)
        line = cannot_work(lab, "--btf", str(path), "-d", "1ms", words=("--btf", str(path)))
        check("Unknown error" not in line, line)
        words.append(f"{name}: {line.partition(str(path))[2]}")
    for path, reason in (
        *(("/nonexistent/file", "No such file"), ("/etc/hostname/x", "Not a directory"), ("/", "")),
        ("/dev/null", ""),
    ):
        words.append(cannot_work(lab, "--btf", path, "-d", "1ms", words=("--btf", path, reason)))
    return "; ".join(words)


def small_types():
    """Valid BTF of a kernel that has nothing: one integer type."""
    strings = b"\0int\0"
    types = struct.pack("=IIII", 1, 1 << 24, 4, 32)
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


@case
def types_of_no_kernel(lab):
    """Types that lack what is needed: refused with a hint at the file, not at the kernel."""
    path = lab.temporary / "another.btf"
    path.write_bytes(small_types())
    return cannot_work(lab, "--btf", str(path), "-d", "1ms", words=("--btf",))


def types_of_vmlinux(path):
    """The .BTF section of an ELF file."""
    data = path.read_bytes()
    (sections,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, sections + index * size) for index in range(count)]
    for name, _, _, _, offset, length in headers:
        start = headers[names][4] + name
        if data[start : data.index(b"\0", start)] == b".BTF":
            return data[offset : offset + length]
    return b""


def other_kernels():
    """The kernels of the virtual machines, where there are any, but for the one that runs."""
    cache = pathlib.Path(os.environ.get("PORTTRACE_KERNELS", "~/.cache/porttrace-kernels")).expanduser()
    for path in sorted(cache.glob("boot/*/vmlinux-*")):
        if not path.name.endswith(os.uname().release) and (types := types_of_vmlinux(path)):
            yield path.name, types


@case
def types_of_another_kernel(lab):
    """Another kernel's types: refused with a hint, or exact all the same; never wrong without a word."""
    words = []
    for name, types in other_kernels():
        path = lab.temporary / "another.btf"
        path.write_bytes(types)
        trace = lab.trace("-o", "ndjson", "--btf", path)
        storm = lab.storm(1000, 10)
        try:
            trace.await_attached()
        except TracerError:
            equal(trace.wait(), 1, f"exit status with the types of {name}")
            check("--btf" in one_line(trace.messages()), f"{trace.messages()!r}")
            words.append(f"{name} refused")
            continue
        storm.start()
        storm.finish()
        trace.stop()
        seen = destination_counts(trace.events())
        check(seen, f"with the types of {name} it attached, without a word, and saw 0 of {storm.total} failures")
        wanted = {
            ("connect_exhausted", lab.path_of("a"), storm.pid, *storm.destination(index)): count
            for index, count in enumerate(storm.counts)
        }
        equal(dict(seen), wanted, f"with the types of {name}, failures")
        words.append(f"{name} exact")
    if not words:
        raise Skip("no other kernel's image here")
    return ", ".join(words)


# ---- a kernel that refuses ----

PROG_LOAD, RAW_TRACEPOINT_OPEN, LINK_CREATE = 5, 17, 28  # enum bpf_cmd, linux/bpf.h


@case
def all_hooks_refused(lab):
    """A container's seccomp profile that lets programs be loaded and none be attached."""
    apply = seccomp([("perf_event_open", None), ("bpf", RAW_TRACEPOINT_OPEN), ("bpf", LINK_CREATE)])
    line = cannot_work(lab, "-d", "1ms", words=("no hook can be attached",), preexec_fn=apply)
    check("5.10" not in line, f"it is not the kernel's age: {line!r}")
    return line


@case
def no_bpf_call(lab):
    """No bpf() at all, as in Docker's default profile."""
    return cannot_work(lab, "-d", "1ms", words=("CAP_",), preexec_fn=seccomp([("bpf", None)]))


@case
def no_sockets(lab):
    """No socket to learn from where the kernel has its tables."""
    apply = seccomp([("socket", socket.AF_INET)])
    return cannot_work(lab, "-d", "1ms", words=("IPv4 socket",), preexec_fn=apply)


@case
def one_hook_refused(lab):
    """A hook that the kernel refuses is named with the reason, and the other one counts."""
    trace = lab.attached("-o", "ndjson", "--probe-mode", "tracepoint")
    bind = trace.tiers["bind"]
    check(re.fullmatch(r"none \(.+\)", bind), f"bind={bind}")
    storm = lab.fail(1000, 10)
    trace.stop()
    events = trace.events()
    equal(sum(event["count"] for event in failures(events)), storm.total, "failures")
    equal(events[-1]["detail"]["probes"], trace.tiers, "summary.detail.probes")
    check("bind_exhausted" not in events[-1]["detail"]["totals"], "a total of a hook that does not stand")
    return f"bind={bind}"


@case
def without_perf_events(lab):
    """No perf_event_open: kprobes and classic tracepoints are refused, and what is left is used."""
    trace = lab.trace("-o", "ndjson", preexec_fn=seccomp([("perf_event_open", None)]))
    trace.await_attached()
    storm = lab.fail(1000, 10)
    trace.stop()
    equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures")
    return str(trace.tiers)


@case
def without_raw_tracepoints(lab):
    """No BPF_RAW_TRACEPOINT_OPEN, which fexit needs too."""
    trace = lab.trace("-o", "ndjson", preexec_fn=seccomp([("bpf", RAW_TRACEPOINT_OPEN), ("bpf", LINK_CREATE)]))
    trace.await_attached()
    storm = lab.fail(1000, 10)
    trace.stop()
    equal(sum(event["count"] for event in failures(trace.events())), storm.total, "failures")
    return str(trace.tiers)


@case
def every_probe_mode(lab):
    words = []
    for mode in ("auto", "fentry", "kprobe", "tracepoint"):
        trace = lab.attached("-o", "ndjson", "--probe-mode", mode)
        storm = lab.fail(1000, 10)
        trace.stop()
        equal(sum(event["count"] for event in failures(trace.events())), storm.total, f"failures with {mode}")
        words.append(f"{mode}: {trace.tiers['connect']}")
    return ", ".join(words)
