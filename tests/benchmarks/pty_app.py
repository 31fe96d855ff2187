"""The app in a real pseudo-terminal, for measurements: keys in, bytes out, the processor time of its process."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

TITLE = re.compile(rb"node (\d+) \xc2\xb7 depth|root \xc2\xb7 the task")
"""The title of the node under the cursor."""


class PtyApp:
    """`agentr` with these arguments in a terminal of `size` columns and rows. Linux only."""

    def __init__(self, *arguments: str, folder: Path, size: tuple[int, int] = (120, 40)) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            for name in ("COLUMNS", "LINES", "NO_COLOR"):
                environment.pop(name, None)
            os.execvpe(sys.executable, [sys.executable, "-m", "agentr_tui", *arguments], environment)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.written = 0  # bytes that the terminal got
        self.seen = b""  # the last of them

    def pump(self, seconds: float, until: re.Pattern[bytes] | None = None) -> re.Match[bytes] | None:
        """Take what the app writes, for that long, or until it wrote this (after what is in `seen` already)."""
        end = time.monotonic() + seconds
        start = max(0, len(self.seen) - 64)
        while (left := end - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                try:
                    data = os.read(self._fd, 1 << 16)
                except OSError:
                    raise SystemExit(f"the app ended:\n{self.seen[-2000:].decode(errors='replace')}") from None
                self.written += len(data)
                self.seen += data
                if until is not None and (found := until.search(self.seen, start)):
                    return found
                if until is None and len(self.seen) > 1 << 20:
                    self.seen = self.seen[-4096:]
        return None

    def until(self, pattern: bytes, seconds: float = 120) -> float:
        """Wait until this is written; how many seconds it took. Exits where it never comes."""
        began = time.monotonic()
        if self.pump(seconds, re.compile(pattern)) is None:
            raise SystemExit(f"never written: {pattern!r}\n{self.seen[-2000:].decode(errors='replace')}")
        return time.monotonic() - began

    def press(self, keys: str) -> None:
        """Write keys."""
        os.write(self._fd, keys.encode())

    def key(self, keys: str, node: bytes | None, patience: float = 5.0) -> tuple[float, float, bytes | None]:
        """Press keys and wait until another node than `node` is shown: seconds; the same less the time that the app
        was ready and other processes had the processor; the node."""
        self.seen = b""
        waited = self.waited()
        began = time.monotonic()
        self.press(keys)
        while time.monotonic() < began + patience:
            self.pump(began + patience - time.monotonic(), TITLE)
            for found in TITLE.finditer(self.seen):
                if found.group(1) != node:
                    took = time.monotonic() - began
                    return took, max(0.0, took - (self.waited() - waited)), found.group(1)
            self.seen = self.seen[-64:] if not TITLE.search(self.seen[-64:]) else b""
        raise SystemExit(f"{keys!r} showed no other node within {patience} s")

    # -- what it costs -----------------------------------------------------------------------------

    def waited(self) -> float:
        """Seconds that the app's main thread was ready to run and did not get a processor."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    def cpu(self) -> float:
        """Seconds of processor time, of all threads."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def memory(self) -> int:
        """Bytes that the app holds in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def close(self) -> None:
        """Leave the app; end it where it does not leave."""
        self.press("\x11")
        end = time.monotonic() + 10
        while time.monotonic() < end and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    os.read(self._fd, 1 << 16)
                except OSError:
                    os.waitpid(self.pid, 0)
                    break
        else:
            if time.monotonic() >= end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self._fd)
