"""Command lines that cannot be used: exit status 2 and one line that names the argument."""

import re

from .lab import case, check, equal, one_line

BAD_VALUES = {
    "--output": ("", "json", "TEXT", "text,ndjson", "\x1b[31m"),
    "--duration": ("", "0s", "-1s", "1", "s", "1.5s", "1 s", "1d", "1S", "99999999999999999999s", "9999999999h", "+1s"),
    "--interval": ("", "0ms", "1", "ms", "1us", "x", "9223372036854775807s"),
    "--namespace": ("", "a,", "a/b", "a*", "A", "a b", "a" * 64),
    "--pod": ("", "a,", "a/b/c", "/a", "a/", "a*b", "*/a", "A", "a_b", "a" * 254, "a\x1b"),
    "--container": ("", "a,", "a/b", "a*", "a b", "a" * 254),
    "--host-root": ("", "host", "./host"),
    "--names": ("",),
    "--cgroup": ("", "a", "a/b", "/a,", ",/a", "/a/../b", "/a,,/b", "."),
    "--pid": ("", "0", "-1", "x", "1,", "1,x", "99999999999", "1.5", "0x10", "2147483648"),
    "--comm": ("", "a,", ",", "sixteen-bytes-ab"),
    "--dest": (
        *("", "x", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "1.2.3.4:0"),
        *("1.2.3.4:65536", "1.2.3.4:", "1.2.3.4:x", ":", ":0", ":65536", "[::1", "::1]:80", "[::1]80"),
        *("[::1]:", "[]:80", "01.2.3.4"),
        *("[1.2.3.4]:80", "::1/129", "[::1/129]:80", ":::", "1.2.3.4,", "fe80::1%lo", "host.example"),
        *("1.2.3.4/24:80:90", "::ffff:1.2.3.4/95", "1:2:3:4:5:6:7:8:9", "[::1]/64:80", "1.2.3.4/024"),
    ),
    "--kind": ("", "x", "connect", "connect_exhausted,", "CONNECT_EXHAUSTED", "connect_exhausted,x"),
    "--node": ("",),
    "--probe-mode": ("", "x", "AUTO", "raw", "auto,kprobe"),
    "--btf": ("",),
}


def bad_usage(lab, *arguments, names):
    status, output, errors = lab.run(*arguments)
    equal(status, 2, f"exit status of {arguments} ({errors!r})")
    equal(output, "", f"standard output of {arguments}")
    line = one_line(errors)
    check(names in line, f"{names!r} is not named by {line!r}")
    check(not re.search(r"[\x00-\x1f\x7f]", line), f"a raw control character in {line!r}")


@case
def bad_values(lab):
    lab.once()
    count = 0
    for option, values in BAD_VALUES.items():
        for value in values:
            bad_usage(lab, f"{option}={value}", names=option)
            bad_usage(lab, "trace", option, value, names=option)
            count += 2
    for short, option in (("-o", "--output"), ("-d", "--duration")):
        bad_usage(lab, short, "nonsense", names=option)
        bad_usage(lab, f"{short}nonsense", names=option)
    return f"{count + 4} command lines"


@case
def missing_values(lab):
    lab.once()
    for option in (*BAD_VALUES, "-o", "-d", "-n"):
        bad_usage(lab, option, names=option)
        bad_usage(lab, "--each", option, names=option)


@case
def unwanted_values(lab):
    lab.once()
    for option in ("--each", "--verbose", "--help", "--version"):
        bad_usage(lab, f"{option}=1", names=option)


@case
def unknown_words(lab):
    """What comes with later versions is unknown until then."""
    lab.once()
    for arguments, names in (
        (["Check"], "Check"),
        (["check", "trace"], "trace"),
        (["check", "-o", "ndjson"], "--output"),
        (["check", "--each"], "--each"),
        (["--each", "check"], "--each"),
        (["top"], "top"),
        (["Trace"], "Trace"),
        ([""], "''"),
        (["trace", "trace"], "trace"),
        (["trace", "x"], "x"),
        (["--", "top"], "top"),
        (["-x"], "-x"),
        (["-ox"], "--output"),
        (["-"], "-"),
        (["check", "--states"], "--states"),
        (["top", "--states"], "--states"),
        (["check", "--kind", "conntrack_evicted,pressure"], "pressure"),
        (["top", "-o", "ndjson", "--kind", "summary"], "summary"),
        (["--nonsense"], "--nonsense"),
        (["--nonsense=\x1b[31m"], "--nonsense"),
        (["trace", "--help", "--nonsense"], "--nonsense"),
        (["--version", "x"], "x"),
    ):
        bad_usage(lab, *arguments, names=names)


@case
def abbreviations(lab):
    """A shortened option would change its meaning when the next one comes: it is unknown."""
    lab.once()
    for option in ("--dur=1s", "--int=1s", "--verb", "--cg=/", "--ou=text"):
        bad_usage(lab, option, names=option.partition("=")[0])


@case
def good_values(lab):
    """What looks odd and is right: the other side of the bad ones."""
    lab.once()
    for arguments in (
        ["--dest", "10.1.2.3/8:80,[::1]:80,[2001:db8::/32]:443,::1,:53,0.0.0.0/0,::/0,::ffff:1.2.3.4"],
        ["--pid", "1,2147483647"],
        ["--comm", "a,fifteen-bytes-a"],
        ["--cgroup", "/,/a/b/,/sys/fs/cgroup/x"],
        ["-n", "shop,kube-system", "--pod", "web,shop/web-*,shop/*,*", "--container", "app,My_app.1"],
        ["--host-root", "/"],
        ["--kind", "connect_exhausted,connect_conflict,bind_exhausted,lost,summary"],
        ["-ondjson", "--node", "a\x1b\"b"],
        ["--probe-mode", "tracepoint", "--each", "--interval", "1ms"],
        ["trace", "-o", "text"],
    ):
        status, _, errors = lab.run(*arguments, "-d1ms")
        equal(status, 0, f"exit status of {arguments} ({errors!r})")
        check(errors.startswith("porttrace: attached "), errors)
