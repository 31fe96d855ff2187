"""Commands in processes of their own, which are killed at a random moment."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

from agentr_tui.cli.main import run
from agentr_tui.terminal.own_output import output_to

Check = Callable[[], str]
"""What happened, in a word; raises `AssertionError` where something was lost."""

PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)  # as `agentr` has it while it loads its modules
import asyncio, faulthandler, os
import engine.models.client as c
c.FIRST_WAIT = 0.001
told = open(os.dup(2), "w")
def tell(*_):
    faulthandler.dump_traceback(told)
    for task in asyncio.all_tasks():
        task.print_stack(file=told)
    told.flush()
signal.signal(signal.SIGUSR1, tell)
from agentr_tui.cli import main
main()
"""
"""On SIGUSR1 it prints where it is."""


def fork(*words: str) -> int:
    """Run a command in a process of its own, silently; its id."""
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os._exit(run(list(words)))


def killed_after(
    child: int,
    seconds: float,
    meanwhile: Callable[[], object] = lambda: None,
    begun: Callable[[], bool] = lambda: True,
) -> bool:
    """Kill a process that time after it begun, looking at its files meanwhile; False where it was done before."""
    end: float | None = None
    while end is None or time.monotonic() < end:
        if end is None and begun():
            end = time.monotonic() + seconds
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        meanwhile()
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def length_of(*words: str) -> float:
    """Seconds that a command takes in a forked process. It is run here before: most kills would come while its modules
    are loaded, else."""
    threads = threading.active_count()
    with open(os.devnull, "w", encoding="utf-8") as null, redirect_stderr(null), output_to(null):
        assert run(list(words)) == 0
    assert threading.active_count() == threads, "a fork would lack the others"
    began = time.monotonic()
    assert called(*words) == 0
    return time.monotonic() - began


def called(*words: str) -> int:
    """Run a command to its end; its exit code."""
    _, status = os.waitpid(fork(*words), 0)
    return os.waitstatus_to_exitcode(status)


def spawn(*words: str, folder: Path | None = None) -> int:
    """The same in a fresh interpreter: for where threads run in this one, or processes of its own are started."""
    null = subprocess.DEVNULL
    command = [sys.executable, "-P", "-c", PROGRAM, *words]
    return subprocess.Popen(command, stdin=null, stdout=null, stderr=null, cwd=folder).pid


class OnTerminal:
    """The app in a fresh interpreter on a terminal of its own, whose output is taken and whose keys are pressed."""

    def __init__(self, *words: str) -> None:
        self.said = b""
        self.pid, self._fd = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
            os.execv(sys.executable, [sys.executable, "-P", "-c", PROGRAM, *words])
        os.set_blocking(self._fd, False)

    @property
    def is_shown(self) -> bool:
        """Whether it has taken the screen."""
        return b"\x1b[?1049h" in self.said

    def take(self) -> None:
        """Take what it has printed."""
        with contextlib.suppress(OSError):  # nothing, or the terminal is closed, by the app or by us
            while data := os.read(self._fd, 1 << 16):
                self.said += data

    def press(self, keys: bytes) -> None:
        """Press keys."""
        with contextlib.suppress(OSError):
            os.write(self._fd, keys)

    def ended(self, seconds: float = 60, deaf: bool = False) -> int:
        """Its exit code; raises `AssertionError` where it does not end. `deaf`: nothing that it prints is taken."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not deaf:
                self.take()
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.take()
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        shown = len(self.said)
        os.kill(self.pid, signal.SIGUSR1)
        time.sleep(1)
        self.take()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        where = self.said[shown:].decode("utf-8", "replace").replace("\r\n", "\n")
        raise AssertionError(f"it does not end: {self.said[:shown][-300:]!r}\n{where}")

    def close(self) -> None:
        """Close the terminal."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
