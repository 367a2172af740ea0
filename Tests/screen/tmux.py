"""A terminal that a test can look at: a tmux server of its own for each, without the user's configuration."""

import itertools
import os
import subprocess
import time

_numbers = itertools.count()

# Seconds for something to show: the machine may be busy.
PATIENCE = 60


class Failed(Exception):
    """What a scene has found wrong."""


class Terminal:
    """A shell in a terminal of some size; `with` ends it."""

    def __init__(self, columns=80, rows=24, term="tmux-256color", environment=None):
        self.is_closed = False
        self.server = f"porttrace-{os.getpid()}-{next(_numbers)}"
        variables = {**os.environ, "LC_ALL": "C.UTF-8", "PS1": "$ ", **(environment or {})}
        variables.pop("TMUX", None)
        # The shell asks for modes of its own with readline; dash does not.
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "/bin/dash", "-i",
                   environment=variables)
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        self.type(f"export TERM={term}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.is_closed:
            self._tmux("kill-server")

    def hang_up(self):
        """Closes the terminal."""
        self.is_closed = True
        self._tmux("kill-server")

    def _tmux(self, *arguments, environment=None):
        done = subprocess.run(["tmux", "-L", self.server, *arguments], capture_output=True, text=True, env=environment)
        if done.returncode:
            raise Failed(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def type(self, line):
        """Types a line into the shell."""
        self._tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, *keys):
        """Presses keys by tmux's names."""
        self._tmux("send-keys", *keys)

    def screen(self, styled=False):
        """What stands on the screen."""
        return self._tmux("capture-pane", "-p", *(["-e"] if styled else []))

    def variable(self, name):
        return self._tmux("display-message", "-p", "#{" + name + "}").strip()

    def resize(self, columns, rows):
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def record(self, path):
        """Writes all that programs write to the terminal to a file too."""
        self._tmux("pipe-pane", "-O", f"cat > {path}")

    def child(self):
        """The process id of what the shell runs."""
        shell = self.variable("pane_pid")
        return int(subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True).stdout.split()[0])

    def wait(self, condition, what):
        """Waits until a condition of the screen holds, and gives the screen."""
        end = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            if condition(screen):
                return screen
            if time.monotonic() > end:
                raise Failed(f"{what} does not come; the screen is\n{screen}")
            time.sleep(0.05)

    def wait_for(self, text):
        return self.wait(lambda screen: text in screen, repr(text))

    def wait_without(self, text):
        return self.wait(lambda screen: text not in screen, f"the end of {text!r}")
