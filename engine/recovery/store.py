"""Continuations that were made at marks of bad trajectories, as append-only lines of a workspace.

`recoveries/TRACE-HOST-PID-RANDOM.jsonl`, one file a process and trace. A line of type `arm` says what is continued (the
node after the wrong step, with or without a revision thought, by which actor); a line of type `step` is one step of
one continuation, written as it is made, so that a kill loses no answer that arrived. An arm's key is a digest of
all that shapes its continuations and of no sample: samples that are built again, or that share a wrong step, find
them there.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
from msgspec import Struct, field

from engine.base.errors import InputError, WorkFailed
from engine.base.files import refusal, stamp
from engine.tree.events import Number, SearchSettings, Usage

FOLDER = "recoveries"
"""Folder of a workspace that holds these files."""

VERSION = 1

End = Literal["", "done", "disaster", "depth"]

SHAPING = (
    "actor", "model", "algorithm", "temperature", "max_tokens", "error_rate", "example", "context", "tokenizer",
    "structured", "prompts", "max_depth", "seed",
)  # fmt: skip
"""Settings that shape what an actor does; where and how patiently it is asked does not."""


class Arm(Struct, omit_defaults=True, frozen=True, kw_only=True, tag="arm"):
    """What is continued: a node, with or without a thought, by an actor."""

    version: int = VERSION
    key: str
    trace: str  # id
    node: int  # after the wrong step
    mark: int  # its depth: the wrong step, counted from 1
    thought: str = ""  # of the revision turn that the actor sees; "": it sees none
    settings: dict[str, Any]  # those of `SHAPING`
    time: str  # ISO 8601, UTC


class ContinuedStep(Struct, omit_defaults=True, frozen=True, kw_only=True, tag="step"):
    """One step of a continuation."""

    key: str  # of the arm
    number: int  # of the continuation, from 0 on
    step: int  # after the mark, from 1 on
    response: str
    action: str  # as executed
    observation: str
    score: Number = 0  # after the step; with an end, the return
    end: End = ""  # why the continuation ends here
    usage: Usage | None = None
    dropped: int = 0  # steps that the actor did not see, since its context was full


Continuation = list[ContinuedStep]

_line = msgspec.json.Decoder(Arm | ContinuedStep)


def ended(continuation: Continuation) -> bool:
    """Whether a continuation came to its end."""
    return bool(continuation) and continuation[-1].end != ""


def shaping(settings: SearchSettings) -> dict[str, Any]:
    """The settings that shape continuations."""
    return {name: getattr(settings, name) for name in SHAPING}


def new_arm(trace: str, node: int, mark: int, thought: str, settings: SearchSettings) -> Arm:
    """An arm with its key."""
    shaped = shaping(settings)
    digest = blake2b(msgspec.json.encode([trace, node, thought, shaped]), digest_size=8).hexdigest()
    return Arm(
        key=digest,
        trace=trace,
        node=node,
        mark=mark,
        thought=thought,
        settings=shaped,
        time=stamp(datetime.now(UTC)),
    )


class Recoveries:
    """The continuations of one trace that a workspace holds, and the pen of one process. Not for two threads."""

    def __init__(self, folder: Path, trace: str) -> None:
        """Read what there is. Raises `InputError` for a line that can't be read, naming file and line."""
        self._folder = folder
        self._trace = trace
        self._file: BinaryIO | None = None
        self.path: Path | None = None  # of the file that this process writes
        self.arms: dict[str, Arm] = {}
        self._continuations: dict[str, dict[int, Continuation]] = {}
        self._written: set[tuple[str, int]] = set()  # continuations that this process's file holds
        for path in _files(folder, trace):
            self._take_up(path)

    def of(self, key: str) -> dict[int, Continuation]:
        """The continuations of an arm by number, also those that did not come to their end. Not to be changed."""
        return self._continuations.get(key, {})

    def _take_up(self, path: Path) -> None:
        """Read a file. Of a continuation that two processes made, the one that got further counts."""
        arms, continuations = read_file(path)
        for key, arm in arms.items():
            if arm.trace != self._trace:
                continue
            self.arms[key] = arm
            known = self._continuations.setdefault(key, {})
            for number, steps in continuations.get(key, {}).items():
                before = known.get(number, [])
                if (ended(steps), len(steps)) > (ended(before), len(before)):
                    known[number] = steps

    # -- writing -----------------------------------------------------------------------------------

    def add(self, arm: Arm, step: ContinuedStep) -> None:
        """Write a step; it is in the file when this returns. Raises `InputError`, `WorkFailed`."""
        steps = self._continuations.setdefault(arm.key, {}).setdefault(step.number, [])
        rows: list[Arm | ContinuedStep] = [step]
        if (arm.key, step.number) not in self._written:  # each file holds its continuations whole
            rows = [arm, *steps, step]
        self._write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        self._written.add((arm.key, step.number))
        self.arms.setdefault(arm.key, arm)
        steps.append(step)

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                host = re.sub(r"[^A-Za-z0-9_.]+", "_", socket.gethostname())[:40]
                name = f"{_name(self._trace)}-{host}-{os.getpid()}-{secrets.token_hex(3)}.jsonl"
                self.path = self._folder / name
                self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise InputError(f"{self._folder}: continuations can't be kept here ({error.strerror or error})") from error
        try:
            if self._file.write(data) != len(data):
                raise OSError("the disk is full")
        except OSError as error:
            raise WorkFailed(f"{self.path}: {error.strerror or error}: the last step was not kept") from error

    def close(self) -> None:
        """Close the file of this process."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _name(trace: str) -> str:
    """The beginning of the names of a trace's files."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", trace)[:40] or "trace"


def _files(folder: Path, trace: str) -> list[Path]:
    try:
        return sorted(folder.glob(f"{_name(trace)}-*.jsonl"))
    except OSError as error:
        raise refusal(folder, error) from error


def _read(path: Path) -> Iterator[Arm | ContinuedStep]:
    """The lines of a file, less one that is not whole (it may still be being written). Raises `InputError`."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    row = _line.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise InputError(f"{path}:{number}: no line of a recovery ({error}): mend or remove it") from error
                if isinstance(row, Arm) and row.version > VERSION:
                    raise InputError(f"{path}:{number}: format {row.version}; this version reads up to {VERSION}")
                yield row
    except OSError as error:
        raise refusal(path, error) from error


def read_file(path: Path) -> tuple[dict[str, Arm], dict[str, dict[int, Continuation]]]:
    """Arms, and their continuations by number, of one file. Raises `InputError`."""
    arms: dict[str, Arm] = {}
    continuations: dict[str, dict[int, Continuation]] = {}
    for line in _read(path):
        if isinstance(line, Arm):
            arms[line.key] = line
            continue
        steps = continuations.setdefault(line.key, {}).setdefault(line.number, [])
        if line.step == len(steps) + 1 and not ended(steps):
            steps.append(line)
    return arms, continuations


class Recovered(Struct, kw_only=True):
    """Whether an actor recovered from the wrong step: good continuations of all, without the thought and with it."""

    actor: str
    model: str
    without: str  # 1/8
    thought: str = field(name="with")
