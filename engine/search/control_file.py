"""Steering a search that another process runs: an append-only control file beside its trace.

Works over a shared folder; no sockets. A line a request; the search reads what is appended while it runs.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from engine.base.errors import InputError, WorkFailed
from engine.base.reviewer_name import reviewer_name
from engine.base.untrusted_files import UNREADABLE, open_given, open_to_append
from engine.search.control import Control
from engine.search.interventions import CHANGEABLE, Intervention

POLL_SECONDS = 0.2

LONGEST = 1 << 20
"""Bytes of a request."""

MOST_AT_ONCE = 1_000
"""Lines that one look takes, so that a flood of them does not stop the search."""


class Command(Struct, omit_defaults=True, kw_only=True):
    """One request."""

    do: Literal["pause", "resume", "step", "stop", "settings", "intervene"]
    who: str
    time: float  # seconds since the epoch
    changes: dict[str, Any] = {}  # of `settings`
    asked: Intervention | None = None  # of `intervene`


_decoder = msgspec.json.Decoder(Command)


def control_path(trace: str | os.PathLike[str]) -> Path:
    """The control file of a trace."""
    return Path(f"{os.fspath(trace)}.control")


class RemoteControl:
    """Makes the requests of `Control` by appending them to the control file. Raises `WorkFailed`."""

    def __init__(self, trace: str | os.PathLike[str]) -> None:
        self._path = control_path(trace)

    def pause(self) -> None:
        """Stand still before the next selection."""
        self._send("pause")

    def resume(self) -> None:
        """Go on."""
        self._send("resume")

    def step(self) -> None:
        """Make one more expansion, then pause."""
        self._send("step")

    def stop(self) -> None:
        """End the search cleanly."""
        self._send("stop")

    def change(self, changes: dict[str, Any]) -> None:
        """Other settings, from the next selection on."""
        self._send("settings", changes)

    def intervene(self, asked: Intervention) -> None:
        """Do something to the tree before the next selection."""
        self._send("intervene", asked=asked)

    def _send(self, do: Any, changes: dict[str, Any] | None = None, asked: Intervention | None = None) -> None:
        command = Command(do=do, who=reviewer_name(), time=time.time(), changes=changes or {}, asked=asked)
        try:
            with open_to_append(self._path) as file:
                file.write(msgspec.json.encode(command) + b"\n")
        except InputError as error:
            raise WorkFailed(f"{error}: cannot reach the search") from error
        except OSError as error:
            raise WorkFailed(f"{self._path}: cannot reach the search ({error.strerror})") from error


class Inbox:
    """What is appended to a control file from now on."""

    def __init__(self, trace: str | os.PathLike[str]) -> None:
        self._path = control_path(trace)
        self._at = self._size()
        self._begun = False  # in the middle of a line that is too long

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def take(self) -> list[Command]:
        """New whole lines; what is no request, also what is longer than any, is passed over."""
        if self._size() <= self._at:
            return []
        commands = []
        with suppress(InputError, OSError), open_given(self._path) as file:
            file.seek(self._at)
            for _ in range(MOST_AT_ONCE):
                line = file.readline(LONGEST)
                if not line.endswith(b"\n"):
                    if len(line) < LONGEST:  # it is still being written
                        break
                    self._begun = True  # of a line that is too long, no part is a request
                elif self._begun:
                    self._begun = False
                else:
                    with suppress(*UNREADABLE):
                        commands.append(_decoder.decode(line))
                self._at += len(line)
        return commands


def obey(control: Control, command: Command) -> None:
    """Pass a command from the control file to a search's own control."""
    if command.do == "settings":
        if set(command.changes) <= set(CHANGEABLE):  # never whom it asks, and with which key
            control.change(command.who, command.changes)
    elif command.do == "intervene":
        if command.asked is not None:
            control.intervene(command.who, command.asked)
    elif command.do == "stop":
        control.stop()
    else:
        getattr(control, command.do)()


async def listen(control: Control, trace: str | os.PathLike[str]) -> None:
    """Obey the control file until cancelled."""
    inbox = Inbox(trace)
    while True:
        await asyncio.sleep(POLL_SECONDS)
        for command in inbox.take():
            obey(control, command)
