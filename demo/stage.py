"""The demo's stage: network namespaces, cgroups and processes, and how all of it goes away again."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

NAME = "porttrace-demo"
WORK = pathlib.Path("/run") / NAME
POLL_S = 0.02
PATIENCE_S = 60  # with any one step: only what hangs takes as long, on whatever machine


class DemoError(Exception):
    """Something that the demo cannot go on without; the message is for the person at the terminal."""


class Interrupted(Exception):
    """A signal asked for the end. Raised at the waits alone, so that no step is left half done."""


class Signals:
    """Notes the signals that ask for the end."""

    def __init__(self):
        self.received = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.note)

    def note(self, number, _frame):
        self.received = number

    def check(self):
        if self.received:
            raise Interrupted


def cgroup2_mount():
    """Where the v2 hierarchy is mounted: /sys/fs/cgroup, on hybrid hosts /sys/fs/cgroup/unified."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, directory, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(directory)
    raise DemoError("no cgroup2 hierarchy is mounted here")


def lock():
    """One demo at a time; the kernel gives the name back when this process ends, however it ends."""
    guard = socket.socket(socket.AF_UNIX)
    try:
        guard.bind(f"\0{NAME}")
    except OSError:
        raise DemoError("another demo is running on this machine") from None
    return guard


class Stage:
    def __init__(self, signals):
        self.signals = signals
        self.cgroups = cgroup2_mount() / NAME
        self.cgroup_names = {}  # name → path below the demo's own cgroup
        self.processes = []

    def open(self):
        """Begins with an empty stage: a demo that was killed may have left its own."""
        self.clear()
        WORK.mkdir(mode=0o711)
        self.cgroups.mkdir()

    def clear(self):
        """Takes away whatever stands there, found by name and not from memory."""
        self.end_processes()
        for group in self.groups():
            group.rmdir()
        self.cgroup_names.clear()
        for line in run("ip", "netns", "list").splitlines():
            name = line.split()[0]
            if name.startswith(f"{NAME}-"):
                run("ip", "netns", "delete", name)
        shutil.rmtree(WORK, ignore_errors=True)

    # Places

    def add_namespace(self, place):
        run("ip", "netns", "add", f"{NAME}-{place}")
        self.ip(place, "link set lo up")

    def ip(self, place, *commands):
        run("ip", "-n", f"{NAME}-{place}", "-batch", "-", text="\n".join(commands))

    def execute(self, place, *command, text=None):
        """What a command prints that takes a moment, inside the place."""
        return run("ip", "netns", "exec", f"{NAME}-{place}", *command, text=text)

    def set_sysctl(self, place, name, value):
        path = f"/proc/sys/{name.replace('.', '/')}"
        self.execute(place, "sh", "-c", 'echo "$1" >"$2"', "sh", value, path)

    def add_cgroup(self, name, path=None):
        """A cgroup by a name of the demo's, and of that name where no path is given."""
        self.cgroup_names[name] = path or name
        (self.cgroups / self.cgroup_names[name]).mkdir(parents=True)

    def cgroup_path(self, name):
        """As porttrace shows it: from the hierarchy's root."""
        return f"/{NAME}/{self.cgroup_names[name]}"

    def groups(self):
        """The demo's cgroups that are there, the innermost first."""
        return [pathlib.Path(group) for group, _, _ in os.walk(self.cgroups, topdown=False)]

    # Processes

    def start(self, *command, cgroup, place=None, **streams):
        """Starts the command in the cgroup and, with a place, in its network namespace."""
        procs = self.cgroups / self.cgroup_names[cgroup] / "cgroup.procs"
        if place:
            command = ("ip", "netns", "exec", f"{NAME}-{place}", *command)
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for the demo, which ends the others in order
            preexec_fn=lambda: procs.write_text("0"),  # before ip, which hides the cgroups from its command
            **streams,
        )
        self.processes.append(process)
        return process

    def wait_until(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.signals.check()
            if time.monotonic() > end:
                raise DemoError(f"{what}: not within {PATIENCE_S} s")
            time.sleep(POLL_S)

    def finish(self, process, what):
        self.wait_until(lambda: process.poll() is not None, what)
        return process.returncode

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.signals.check()
            time.sleep(POLL_S)

    def running(self):
        found = []
        for group in self.groups():
            found += map(int, (group / "cgroup.procs").read_text().split())
        return found

    def end_processes(self):
        """Ends what runs in the demo's cgroups, whoever started it; asks first, then does not."""
        for number, patience_s in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
            end = time.monotonic() + patience_s
            for pid in self.running():
                send(pid, number)
            while self.running() and time.monotonic() < end:
                time.sleep(POLL_S)
                for process in self.processes:
                    process.poll()


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def run(*command, text=None):
    """A command that takes a moment; its standard output. It does not see the terminal's Ctrl-C."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, start_new_session=True)
    if done.returncode:
        raise DemoError(f"{' '.join(command)}: {done.stderr.strip() or f'exit {done.returncode}'}")
    return done.stdout
