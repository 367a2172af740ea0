"""The scenes of Tests/screen/run. Each gives a note, raises Failed, or Skipped."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from ends import ended
from stage import Skipped, expect, need_product
from tmux import Terminal
from unread import Unread

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "kernel"))
from robust.bpf import freeze  # noqa: E402

GOLDENS = pathlib.Path(__file__).parent / "goldens"

# What stands on the screen when the replayed node is shown.
HEAD = "porttrace top"
# The twelfth second, for good.
STILL = "--from 12 --to 12"


def plain(screen):
    """The lines without spaces at their ends, and without empty lines at the end."""
    return "\n".join(line.rstrip() for line in screen.splitlines()).rstrip("\n")


def scene_goldens(stage):
    for name in ["60x20", "80x24", "120x40", "200x60"]:
        columns, rows = map(int, name.split("x"))
        golden = plain((GOLDENS / f"{name}.txt").read_text(encoding="utf-8"))
        with Terminal(columns, rows) as terminal:
            terminal.type(f"{stage.replay} {STILL}")
            terminal.wait(lambda screen: plain(screen) == golden, f"the golden {name}")


def scene_keys(stage):
    with Terminal(120, 40) as terminal:
        terminal.type(f"{stage.replay} --hostile --from 12 --tick 100")
        terminal.wait_for("failures")
        terminal.press("p")
        paused = terminal.wait_for("PAUSED")
        time.sleep(0.5)
        expect(terminal.screen() == paused, "a paused screen moves")
        terminal.press("p")
        terminal.wait_without("PAUSED")
        terminal.press("s")
        terminal.wait_for("s sort: failures")
        terminal.press("s", "s", "s")
        terminal.wait_for("s sort: nearness")
        terminal.press("?")
        terminal.wait_for("ports for bind() to port 0")
        terminal.press("Escape")
        terminal.wait_for("RESOURCE")
        terminal.press("Down", "Enter")
        terminal.wait_for("holders")
        expect("203.0.113.10:443" in terminal.screen(), "the second row's details are another's")
        terminal.press("Escape")
        terminal.wait_for("RESOURCE")
        terminal.press("/")
        terminal._tmux("send-keys", "-l", "日本")
        screen = terminal.wait_for("filter: 日本_")
        expect("NAT tcp" not in screen, "a row without the text stays")
        terminal.press("BSpace", "BSpace", "Enter", "k", "j", "Home", "End", "PageUp", "PageDown")
        terminal.wait_for("/ filter")
        terminal.press("q")
        terminal.wait_without(HEAD)


def scene_latency(stage):
    """Keys act within a frame: while nothing else changes, and pictures are a minute apart."""
    slowest = 0.0
    with Terminal(120, 40) as terminal:
        terminal.type(f"{stage.replay} {STILL}")
        terminal.wait_for("s sort: nearness")
        for word in ["failures", "rate", "use", "nearness"]:
            start = time.monotonic()
            terminal.press("s")
            terminal.wait_for(f"s sort: {word}")
            slowest = max(slowest, time.monotonic() - start)
    return f"slowest key {slowest * 1000:.0f} ms, tmux and the looking included"


def scene_resize(stage):
    with Terminal(80, 24) as terminal:
        terminal.type(f"{stage.replay} {STILL}")
        terminal.wait_for(HEAD)
        for name in ["200x60", "60x20", "120x40", "80x24"]:
            golden = plain((GOLDENS / f"{name}.txt").read_text(encoding="utf-8"))
            terminal.resize(*map(int, name.split("x")))
            terminal.wait(lambda screen: plain(screen) == golden, f"the golden {name}, resized")
        terminal.resize(40, 5)
        terminal.wait_for("too small: porttrace top needs 60")
        terminal.resize(80, 24)
        terminal.wait_for("RESOURCE")


def scene_hostile(stage):
    with Terminal(200, 40) as terminal:
        title = terminal.variable("pane_title")
        terminal.type(f"{stage.replay} --hostile {STILL}")
        terminal.wait_for(r"evil/a\u202eb\x1b")
        expect(terminal.variable("pane_title") == title, "a name has changed the title")


def scene_colours(stage):
    for environment, coloured in [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]:
        with Terminal(environment=environment) as terminal:
            terminal.type(f"{stage.replay} {STILL}")
            terminal.wait_for("RESOURCE")
            found = re.search(r"\x1b\[[0-9;]*3[123][;m]", terminal.screen(styled=True)) is not None
            expect(found == coloured, f"{environment}: colours {found}")


def scene_flicker(stage):
    """After the first picture nothing is cleared, and a new one writes what has changed."""
    path = stage.folder / "output"
    with Terminal() as terminal:
        terminal.wait_for("$")
        terminal.record(path)
        terminal.type(f"{stage.replay} --from 2 --to 22 --tick 50 --end time; echo status=$?")
        terminal.wait_for("status=0")
    written = path.read_bytes()
    clears = len(re.findall(rb"\x1b\[2J|\x1b\[H\x1b\[J|\x1b\[J|\x1bc", written))
    expect(clears <= 2, f"the screen was cleared {clears} times")
    expect(len(written) < 20 * 600 + 4096, f"{len(written)} bytes for 20 pictures")
    return f"{len(written)} bytes for 21 pictures, cleared {clears} times"


def bare_root(stage, name, program):
    """A root that has nothing but a program, /proc and /sys; gives what enters it."""
    if os.geteuid() != 0:
        raise Skipped("not root")
    root = stage.folder / name
    for folder in ["proc", "sys"]:
        (root / folder).mkdir(parents=True)
    shutil.copy(program, root / "program")
    return (f"unshare --mount sh -c 'mount -t proc proc {root}/proc && mount -t sysfs sysfs {root}/sys && "
            f"exec chroot {root} /program \"$@\"' sh")


def scene_bare(stage):
    """In a root that has nothing but /proc and /sys: neither terminal descriptions nor locales."""
    enter = bare_root(stage, "replayed", stage.replay)
    golden = plain((GOLDENS / "80x24-ascii.txt").read_text())
    for term in ["xterm", "xterm-256color", "screen", "screen-256color", "tmux-256color", "linux"]:
        with Terminal(term=term) as terminal:
            terminal.type(f"{enter} --hostile {STILL}; echo status=$?")
            terminal.wait(lambda screen: plain(screen) == golden, f"the screen as {term}")
            terminal.press("q")
            # A console has no other screen to go back to.
            terminal.wait_for("status=0")
    return "6 terminals"


def scene_many(stage):
    """10,000 resources: CPU time of a picture, with its drawing."""
    path = stage.folder / "report"
    with Terminal(120, 40) as terminal:
        terminal.type(f"{stage.replay} --resources 10000 --to 20 --tick 100 --end time --report {path}; echo status=$?")
        terminal.wait_for("status=0")
    milliseconds = int(path.read_text()) / 1000
    expect(milliseconds < 100, f"{milliseconds:.1f} ms of CPU time a picture")
    return f"{milliseconds:.1f} ms of CPU time a picture"


# The command itself.


def product(stage, *arguments, environment=None, **options):
    if not stage.product:
        raise Skipped("no --product")
    return subprocess.run([stage.product, "top", *arguments], capture_output=True, text=True, env=environment, **options)


def scene_product_refuses(stage):
    done = product(stage, stdin=subprocess.DEVNULL)
    expect((done.returncode, done.stdout) == (2, "") and "needs a terminal" in done.stderr, f"no terminal: {done}")
    expect(done.stderr.count("\n") == 1, f"no terminal: {done}")
    for option, status in [("--each", 2), ("--nonsense", 2), ("word", 2)]:
        done = product(stage, option)
        expect((done.returncode, done.stdout) == (status, ""), f"{option}: {done}")
    path = stage.folder / "refusal"
    with Terminal() as terminal:
        # One of them alone is none.
        for name, redirected in [("input", "</dev/null"), ("output", "| cat")]:
            terminal.type(f"clear; ({stage.product} top; echo {name}=$? >&2) 2> {path} {redirected}")
            terminal.type("clear; echo over")
            terminal.wait_for("over")
            said = path.read_text()
            expect(f"{name}=2" in said and "needs a terminal" in said and said.count("\n") == 2, f"no {name}: {said!r}")
        terminal.type(f"clear; env -u TERM {stage.product} top 2> {path}; echo status=$?")
        terminal.wait_for("status=1")
        expect("TERM is not set" in path.read_text(), f"no TERM: {path.read_text()!r}")
    for term, words in [("nonsense", "'nonsense' (TERM) is not known"), ("", "TERM is not set"), ("dumb", "cannot place")]:
        with Terminal(term=term) as terminal:
            terminal.type(f"{stage.product} top 2> {path}; echo status=$?")
            terminal.wait_for("status=1")
            said = path.read_text()
            expect(words in said and said.count("\n") == 1, f"TERM={term}: {said!r}")


def scene_product_lines(stage):
    done = product(stage, "-o", "ndjson", "-d", "3s", stdin=subprocess.DEVNULL)
    if "attached" not in done.stderr:
        raise Skipped(done.stderr.strip())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    expect(done.returncode == 0 and len(lines) >= 2, f"{done}")
    for line in lines:
        expect((line["schema"], line["type"]) == (1, "snapshot"), f"{line}")
        for row in line["rows"]:
            expect({"kind"} <= row["resource"].keys() and row["failures_per_s"] >= 0, f"{row}")
    return f"{len(lines)} lines, {len(lines[-1]['rows'])} rows"


def scene_product_bare(stage):
    """The command in a root that has nothing but /proc and /sys."""
    need_product(stage)
    enter = bare_root(stage, "bare", stage.product)
    with Terminal() as terminal:
        found = ended(stage, terminal, "q", lambda terminal: terminal.press("q"), f"{enter} top 2>/dev/null")
        expect(found == 0, f"exit status {found}")


def scene_product_colours(stage):
    need_product(stage)
    with Terminal(environment={"NO_COLOR": "1"}) as terminal:
        terminal.type(f"{stage.product} top 2>/dev/null")
        terminal.wait_for("RESOURCE")
        expect(not re.search(r"\x1b\[[0-9;]*3[0-7][;m]", terminal.screen(styled=True)), "NO_COLOR, and colours")
        terminal.press("q")


def scene_product_blind(stage):
    """Where the kernel refuses the look at the ports, that is said: its records may not be taken out any more."""
    need_product(stage)
    with Unread([stage.product, "top"]) as terminal:
        terminal.read(b"RESOURCE")
        expect(freeze(terminal.process.pid, "pt_census_keys"), "there is no such map")
        os.write(terminal.end, b"?")
        terminal.read(b"who holds the ports: ")
        os.write(terminal.end, b"q")
        expect(terminal.wait("q") == 0 and terminal.modes_are_back(), "the end")


def scene_readme(_):
    """The README's picture is the golden."""
    script = pathlib.Path(__file__).parents[2] / "scripts/readme-top"
    done = subprocess.run([script, "--check"], capture_output=True, text=True)
    expect(done.returncode == 0, done.stderr.strip())
