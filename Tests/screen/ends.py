"""Scenes of ends: whatever ends it, the terminal is what it was. Each gives a note, raises Failed, or Skipped."""

import os
import pathlib
import re
import signal
import time

from stage import expect, need_product
from tmux import PATIENCE, Terminal
from unread import Unread


def modes(terminal, path):
    """The terminal's modes, by stty, and what tmux knows of its screen."""
    path.unlink(missing_ok=True)
    terminal.type(f"stty -a > {path}.new && mv {path}.new {path}")
    terminal.wait(lambda _: path.exists(), "stty")
    known = {name: terminal.variable(name) for name in ["alternate_on", "cursor_flag", "keypad_flag", "keypad_cursor_flag"]}
    return path.read_text(), known


def ended(stage, terminal, name, act, command):
    """Starts a screen, ends it by an act, and compares the terminal's modes before and after."""
    before = modes(terminal, stage.folder / "before")
    terminal.type(command)
    terminal.wait_for("RESOURCE")
    act(terminal)
    terminal.wait_without("RESOURCE")
    terminal.type("echo status=$?")
    screen = terminal.wait(lambda screen: re.search(r"status=\d+", screen), f"{name}: the end")
    after = modes(terminal, stage.folder / "after")
    expect(before == after, f"{name}: the terminal was {before} and is {after}")
    return int(re.search(r"status=(\d+)", screen)[1])


def send(number):
    return lambda terminal: os.kill(terminal.child(), number)


def suspend(terminal, ask=lambda terminal: terminal.press("C-z")):
    """Ctrl-Z, a look at the shell, and back."""
    ask(terminal)
    terminal.wait_for("Stopped")
    expect("RESOURCE" not in terminal.screen(), "the screen stays while the program is stopped")
    terminal.type("echo between")
    terminal.wait_for("between")
    terminal.type("fg")
    terminal.wait_for("RESOURCE")
    terminal.press("q")


def stop_and_go_on(terminal):
    """SIGSTOP, which nobody can take, and SIGCONT."""
    child = terminal.child()
    os.kill(child, signal.SIGSTOP)
    terminal.wait_for("Stopped")
    # The terminal is as the program has left it: Enter is no line's end.
    terminal._tmux("send-keys", "-l", "fg")
    terminal.press("C-j")
    terminal.wait_without("Stopped")
    terminal.press("q")


ENDS = [
    ("q", lambda terminal: terminal.press("q"), 0),
    ("Ctrl-C", lambda terminal: terminal.press("C-c"), 0),
    ("SIGINT", send(signal.SIGINT), 0),
    ("SIGTERM", send(signal.SIGTERM), 0),
    ("SIGHUP", send(signal.SIGHUP), 0),
    ("SIGQUIT", lambda terminal: terminal.press("C-\\"), 0),
    ("Ctrl-Z and fg, then q", suspend, 0),
    ("SIGTSTP and fg, then q", lambda terminal: suspend(terminal, send(signal.SIGTSTP)), 0),
    ("SIGSTOP and fg, then q", stop_and_go_on, 0),
]


def scene_ends(stage):
    for name, act, status in ENDS:
        with Terminal() as terminal:
            command = f"{stage.replay} --from 12"
            found = ended(stage, terminal, name, act, command)
            expect(found == status, f"{name}: exit status {found}, not {status}")
    return f"{len(ENDS)} ends"


def scene_error(stage):
    """An error that is thrown, a crash, and the end of time."""
    for end, status in [("throw", 1), ("crash", None), ("time", 0)]:
        with Terminal() as terminal:
            act = (lambda terminal: terminal.wait_for("as was asked for")) if end == "crash" else lambda _: None
            found = ended(stage, terminal, end, act, f"{stage.replay} --to 8 --tick 100 --end {end}")
            expect(found == status if status is not None else found >= 128, f"{end}: exit status {found}")


def scene_closed(stage):
    """The terminal is closed: the end, also where SIGHUP is ignored."""
    for command in [stage.replay, f"trap '' HUP; {stage.replay}"]:
        with Terminal() as terminal:
            terminal.type(f"{command} --from 12 --tick 100")
            terminal.wait_for("RESOURCE")
            child = terminal.child()
            terminal.hang_up()
            await_end(child, f"{command} after its terminal was closed")


def state(process):
    """The letter of its state: Z, X where it has ended."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def scene_stopped_output(stage):
    """Ctrl-S holds the output up; a signal ends it all the same."""
    with Terminal() as terminal:
        found = ended(
            stage, terminal, "Ctrl-S and SIGTERM",
            lambda terminal: (terminal.press("C-s"), time.sleep(0.5), send(signal.SIGTERM)(terminal)),
            f"{stage.replay} --from 12 --tick 100")
        expect(found == 0, f"exit status {found}")


def scene_unread(stage):
    """The other end takes nothing, or too little for a picture: a signal ends it all the same."""
    for room in (0, 2_000):
        with Unread([stage.replay, "--from", "12", "--tick", "100"]) as terminal:
            terminal.read(b"RESOURCE")
            terminal.fill(room)
            terminal.redraw(20)
            terminal.process.send_signal(signal.SIGTERM)
            status = terminal.wait(f"SIGTERM with room for {room} bytes")
            expect(status == 0, f"room for {room} bytes: exit status {status}")
            expect(terminal.modes_are_back(), f"room for {room} bytes: the modes are others")


def scene_read_on(stage):
    """What could not be drawn for a while is drawn when the terminal takes more."""
    with Unread([stage.replay, "--from", "12", "--to", "12"]) as terminal:
        terminal.read(b"RESOURCE")
        terminal.fill()
        os.write(terminal.end, b"?")
        time.sleep(0.5)
        os.write(terminal.end, b"p")
        terminal.read(b"PAUSED")
        os.write(terminal.end, b"q")
        terminal.read(b"\x1b[?1049l")
        expect(terminal.wait("q") == 0 and terminal.modes_are_back(), "the modes are others")


# In bash: it sends SIGCONT with SIGTERM to what stands still, and none to what runs in the background already.
BASH = "exec bash --norc --noprofile --noediting -i"


def await_end(process, what):
    end = time.monotonic() + PATIENCE
    while state(process) not in "ZX":
        expect(time.monotonic() < end, f"{what}: it still runs, {state(process)}")
        time.sleep(0.05)


def killed_while_stopped(terminal):
    terminal.press("C-z")
    terminal.wait_for("Stopped")
    process = terminal.child()
    terminal.type("clear; kill %1")
    await_end(process, "kill %1 while stopped")
    terminal.type("jobs")  # bash may have told of it already
    # With another exit status it would be Exit or Terminated.
    terminal.wait_for("Done")
    terminal.type("clear")
    terminal.wait_without("Done")


def goes_on_in_background(terminal):
    terminal.press("C-z")
    terminal.wait_for("Stopped")
    process = terminal.child()
    terminal.type("clear; bg")
    time.sleep(2)
    terminal.type("echo between")
    terminal.wait_for("between")
    expect(state(process) not in "TZX", f"in the background it is {state(process)}")
    expect("RESOURCE" not in terminal.screen(), "it draws from the background")
    terminal.type("fg")
    terminal.wait_for("RESOURCE")
    terminal.press("q")


JOBS = [("kill %1 while stopped", killed_while_stopped), ("bg, fg, then q", goes_on_in_background)]


def jobs(stage, command):
    for name, act in JOBS:
        with Terminal() as terminal:
            terminal.type(BASH)
            expect(ended(stage, terminal, name, act, command) == 0, f"{name}: exit status")


def scene_jobs(stage):
    jobs(stage, f"{stage.replay} --from 12")


def scene_product_ends(stage):
    need_product(stage)
    ends = [*ENDS, ("the end of --duration", lambda _: None, 0)]
    for name, act, status in ends:
        duration = "-d 2s" if name.startswith("the end") else ""
        with Terminal() as terminal:
            found = ended(stage, terminal, name, act, f"{stage.product} top {duration} 2>/dev/null")
            expect(found == status, f"{name}: exit status {found}")
    jobs(stage, f"{stage.product} top 2>/dev/null")
    return f"{len(ends) + len(JOBS)} ends"
