"""A terminal whose other end the test holds, and reads from when it wants to."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from tmux import PATIENCE, Failed


class Unread:
    """A program alone on a terminal; `with` ends it."""

    def __init__(self, command, columns=120, rows=40):
        self.end, self.own = pty.openpty()
        self._resize(columns, rows)
        self.before = termios.tcgetattr(self.own)
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

        def take():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, stdin=self.own, stdout=self.own, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True, preexec_fn=take)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.own)
        os.close(self.end)

    def _resize(self, columns, rows):
        fcntl.ioctl(self.own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, until):
        """Reads until a text has come."""
        end, got = time.monotonic() + PATIENCE, b""
        while until not in got:
            if time.monotonic() > end:
                raise Failed(f"{until!r} does not come; there is {got[-200:]!r}")
            if select.select([self.end], [], [], 0.2)[0]:
                got += os.read(self.end, 65536)
        return got

    def fill(self, room=0):
        """Fills all that the terminal takes without being read, but for some room."""
        other = os.open(os.ttyname(self.own), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            while True:
                os.write(other, b" " * 256)
        except BlockingIOError:
            pass
        finally:
            os.close(other)
        while room > 0:
            room -= len(os.read(self.end, room))

    def redraw(self, times):
        """Asks for whole pictures of changing size."""
        for number in range(times):
            self._resize(119 + number % 2, 40)
            os.kill(self.process.pid, signal.SIGWINCH)
            os.kill(self.process.pid, signal.SIGCONT)
            time.sleep(0.05)

    def modes_are_back(self):
        return termios.tcgetattr(self.own) == self.before

    def wait(self, what):
        """Waits for the end; the exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"{what}: it does not end") from None
