"""A worker as its collector sees it: messages to it, messages from it, and whether it is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from engine.base.files import last_lines
from engine.base.untrusted_files import open_to_append
from engine.collect.manifest import FOLDER
from engine.collect.messages import FromWorker, ToWorker, from_worker, line_of
from engine.collect.worker import MOST_LINE


class WorkerLink:
    """What the collector knows of a worker. Where it runs is the matter of the class below."""

    pid: int

    def __init__(self) -> None:
        self.tasks: set[str] = set()
        self.begun: set[str] = set()  # those of its tasks that it told of
        self.spoke = False
        self.granted = 0  # calls that it was granted and has not told of

    def tell(self, message: ToWorker) -> None:
        """Send a message. That a worker is gone shows by the end of its own messages."""
        raise NotImplementedError

    async def hear(self) -> FromWorker | None:
        """The next message; None where the worker ended or is lost."""
        raise NotImplementedError

    def close(self) -> None:
        """Tell it that there are no further messages."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it at once."""
        raise NotImplementedError

    async def ended(self) -> bool:
        """Wait until it is gone; whether it was killed."""
        raise NotImplementedError

    def last_words(self) -> str:
        """The last line that it printed."""
        return ""


StartWorker = Callable[[int], Awaitable[WorkerLink]]
"""Starts the worker of that number."""


class ProcessLink(WorkerLink):
    """A worker process of this machine, over its standard input and output."""

    def __init__(self, process: asyncio.subprocess.Process, log: BinaryIO, log_path: Path) -> None:
        super().__init__()
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._process, self._log, self._log_path = process, log, log_path
        self._stdin, self._stdout = process.stdin, process.stdout

    @classmethod
    async def start(cls, out: Path, number: int) -> ProcessLink:
        """Start a process; what it prints beside its messages goes to a log in the folder of the collection."""
        log_path = out / FOLDER / f"worker-{os.getpid()}-{number}.log"
        log = open_to_append(log_path)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "engine.collect.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=MOST_LINE,
            start_new_session=True,  # an interrupt at the terminal is for the collector, which ends them cleanly
        )  # fmt: skip
        return cls(process, log, log_path)

    def tell(self, message: ToWorker) -> None:
        """Write a message to its input; one that is gone is noticed by the end of its output."""
        with suppress(OSError, RuntimeError):
            self._stdin.write(line_of(message))

    async def hear(self) -> FromWorker | None:
        """The next message of its output; None where it ended, or was killed in the middle of a line."""
        line = await self._stdout.readline()
        return from_worker.decode(line) if line.endswith(b"\n") else None  # else it was killed in the middle of a line

    def close(self) -> None:
        """End its input."""
        self._stdin.close()

    def kill(self) -> None:
        """Kill the process."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> bool:
        """Wait for the process; whether a signal ended it."""
        self._log.close()
        await self._process.wait()
        if self._log_path.exists() and not self._log_path.stat().st_size:
            self._log_path.unlink(missing_ok=True)
        return (self._process.returncode or 0) < 0

    def last_words(self) -> str:
        """The last line of its log."""
        return "".join(last_lines(self._log_path, 1))
