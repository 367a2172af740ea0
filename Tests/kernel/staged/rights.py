"""What cannot be read is never called healthy."""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess

from robust.lab import Skip, case, equal, need_program

from .judge import Judge
from .shape import breaches
from .stage import narrow_pod
from .tables import fill_udp, tracked

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
MODPROBE = pathlib.Path("/etc/modprobe.d/porttrace-test.conf")


def copied(lab):
    """Where anybody may run it from."""
    folder = pathlib.Path(f"/tmp/{lab.prefix}-program")
    folder.mkdir(mode=0o755)
    lab.stack.callback(shutil.rmtree, folder)
    shutil.copy2(lab.options.porttrace, folder / "porttrace")
    (folder / "porttrace").chmod(0o755)
    return folder / "porttrace"


def run(lab, *command):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


@case
def no_permission(lab):
    """An ordinary user: exit 1, `NOT CHECKED` with the reason, and in the document all that was not visible."""
    need_program("setpriv")
    if lab.options.without_porttrace:
        raise Skip("porttrace alone is tested")
    narrow_pod(lab, "p1")
    program, judge = copied(lab), Judge(lab)
    status, output, errors = run(lab, *NOBODY, program, "check", "-o", "json", "-d", "1s")
    equal(status, 1, f"exit status ({errors!r})")
    document = json.loads(output)
    for text in breaches(document):
        judge.problem(text)
    equal(document["status"], "unknown", "status")
    equal(document["findings"], [], "findings")
    if not document["not_visible"]:
        judge.problem("not_visible is empty")
    status, output, errors = run(lab, *NOBODY, program, "check", "-d", "1s")
    equal(status, 1, f"exit status of the text ({errors!r})")
    first = output.partition("\n")[0]
    if not re.match(r"NOT CHECKED: .+ \(.+\)", first):
        judge.problem(f"the first line is no `NOT CHECKED: … (why)`: {first!r}")
    return judge


@contextlib.contextmanager
def without_netlink():
    """The module that would answer is not there, nor can it be loaded."""
    if subprocess.run(["modprobe", "-r", "nf_conntrack_netlink"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("nf_conntrack_netlink cannot be taken away here")
    MODPROBE.write_text("install nf_conntrack_netlink /bin/false\n")
    try:
        yield
    finally:
        MODPROBE.unlink()


@case
def no_netlink(lab):
    """A conntrack table that cannot be listed: said so, and healthy at most by its count."""
    if lab.native:
        raise Skip("the machine's own modules stay as they are")
    tracked(lab, "p1")
    fill_udp(lab.worker("calm", "p1"), 20)
    with without_netlink():
        verdict = lab.check()
    judge = Judge(lab)
    if not judge.common(verdict):
        return judge
    if not any("conntrack" in line for line in verdict.document["not_visible"]):
        judge.problem(f"not_visible does not name conntrack: {verdict.document['not_visible']}")
    if verdict.document["status"] not in ("unknown", "healthy"):
        judge.problem(f"status {verdict.document['status']}")
    return judge
