"""Commands of the user's own: one that trains, run to its end, and one that serves a model, until it is stopped.

Each runs in a shell, in a process group of its own, so that it ends with all that it started. What it prints goes to a
log file.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.base.errors import WorkFailed
from engine.base.files import last_lines
from engine.base.untrusted_files import open_to_append
from engine.environment.permission import is_loopback

SERVER_SECONDS = 600.0
"""How long a server may take until it answers."""

PATIENCE = 10.0
"""Seconds that a process has to end after it was told to."""

LOOK_SECONDS = 0.1

_PLACE = re.compile(r"\{([a-z]+)\}")


def filled(command: str, values: Mapping[str, str]) -> str:
    """A command with its places (`{dataset}`) filled, quoted for the shell; other braces stay as they are."""
    return _PLACE.sub(lambda place: shlex.quote(values[place[1]]) if place[1] in values else place[0], command)


def last_words(log: Path, lines: int = 3) -> str:
    """The last lines of a log."""
    return " | ".join(last_lines(log, lines))


def _start(command: str, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open_to_append(log) as out:
        return subprocess.Popen(
            command, shell=True, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, and wait until they are gone: their memory and ports are free then."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        limit = time.monotonic() + PATIENCE
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
            while time.monotonic() < limit:
                process.poll()  # takes the shell off the list
                os.killpg(process.pid, 0)
                time.sleep(0.01)
            continue
        break
    process.wait()


def run_command(command: str, log: Path) -> None:
    """Run a command to its end. Raises `WorkFailed` where it fails; ended cleanly where we are interrupted."""
    process = _start(command, log)
    try:
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    if code:
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise WorkFailed(f"the command ended with {why}: {last_words(log) or 'it printed nothing'} ({log})")


class Server:
    """A command that serves a model: started for one model at a time, stopped at the end of the block."""

    def __init__(self, command: str, base_url: str, log: Path, seconds: float = SERVER_SECONDS) -> None:
        """`command`: "" where the user runs the server. `base_url`: where it answers."""
        self._command, self._base_url, self._log, self._seconds = command, base_url, log, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._model = ""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def serve(self, model: str) -> None:
        """Serve a model, unless it is served already. Raises `WorkFailed` where no server answers in time."""
        if not self._command or (self._process is not None and self._model == model and self._process.poll() is None):
            return
        self.stop()
        if _answers(self._base_url):
            raise WorkFailed(f"{self._base_url}: another server answers there already: stop it, or leave out `serve`")
        self._model = model
        self._process = _start(filled(self._command, {"model": model}), self._log)
        limit = time.monotonic() + self._seconds
        while not _answers(self._base_url):
            if (code := self._process.poll()) is not None:
                raise WorkFailed(f"the server ended with exit code {code}: {last_words(self._log)} ({self._log})")
            if time.monotonic() > limit:
                self.stop()
                raise WorkFailed(
                    f"the server did not answer at {self._base_url} within {self._seconds:g} seconds:"
                    f" {last_words(self._log)} ({self._log})"
                )
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Stop serving: the memory is free for the training."""
        if self._process is not None:
            _end(self._process)
            self._process = None


_NO_PROXY = (urllib.request.ProxyHandler({}),)
"""A proxy has no business on this machine."""


def _answers(base_url: str) -> bool:
    """Whether a server answers there, whatever it says."""
    try:
        opener = urllib.request.build_opener(*_NO_PROXY if is_loopback(base_url) else ())
        with opener.open(f"{base_url.rstrip('/')}/models", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False
