"""Continuations that were made at marks of bad trajectories, as append-only lines of a workspace.

`recoveries/TRACE-HOST-PID-RANDOM.jsonl`, one file a process and trace (`engine.base.append_log`). A line of type `arm`
says what is continued (the node after the wrong step, with or without a revision thought, by which actor); a line of
type `step` is one step of one continuation, written as it is made, so that a kill loses no answer that arrived. An
arm's key is a digest of all that shapes its continuations and of no sample: samples that are built again, or that
share a wrong step, find them there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from engine.base.append_log import AppendLog, LogKind, read_log
from engine.base.files import stamp
from engine.tree.events import Number, SearchSettings, ToolCall, Usage

FOLDER = "recoveries"
"""Folder of a workspace that holds these files."""

VERSION = 1

End = Literal["", "done", "disaster", "depth"]

SHAPING = (
    "actor", "model", "algorithm", "temperature", "max_tokens", "error_rate", "example", "context", "tokenizer",
    "structured", "prompts", "max_depth", "seed",
)  # fmt: skip
"""Settings that shape what an actor does; where and how patiently it is asked does not."""

ALSO_SHAPING = (
    "tools", "parallel_tool_calls", "send_reasoning", "top_p", "reasoning_effort", "extra_body", "no_system", "parse",
)  # fmt: skip
"""These, too; they count only where they are not at their default, so that older continuations are found again."""


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
    tool_calls: tuple[ToolCall, ...] = ()
    results: tuple[str, ...] = ()  # what each call returned, where there were several
    reasoning: str = ""  # what the model thought, where it is sent again


Continuation = list[ContinuedStep]

_line = msgspec.json.Decoder(Arm | ContinuedStep)


def _decode(line: bytes) -> Arm | ContinuedStep:
    row: Arm | ContinuedStep = _line.decode(line)
    if isinstance(row, Arm) and row.version > VERSION:
        raise msgspec.ValidationError(f"format {row.version}; this version reads up to {VERSION}")
    return row


_KIND: LogKind[Arm | ContinuedStep] = LogKind(_decode, "step of a continuation", "continuations")


def ended(continuation: Continuation) -> bool:
    """Whether a continuation ended."""
    return bool(continuation) and continuation[-1].end != ""


def shaping(settings: SearchSettings) -> dict[str, Any]:
    """The settings that shape continuations."""
    changed = {name: value for name in ALSO_SHAPING if (value := getattr(settings, name)) != getattr(_DEFAULTS, name)}
    return {name: getattr(settings, name) for name in SHAPING} | changed


_DEFAULTS = SearchSettings()


def new_arm(trace: str, node: int, mark: int, thought: str, settings: SearchSettings) -> Arm:
    """An arm with its key.

    `trace`: its id. `node`: the one after the wrong step; `mark`: that step, counted from 1. `thought`: the
    revision thought; empty: without it. `settings`: of the actor.
    """
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
    """The continuations of one trace that a workspace holds, and the writer of one process. Not for two threads."""

    def __init__(self, folder: Path, trace: str) -> None:
        """Read what there is. Raises `InputError` for a line that can't be read, naming file and line."""
        self._trace = trace
        self._log = AppendLog(folder, _KIND, prefix=f"{_name(trace)}-")
        self.arms: dict[str, Arm] = {}
        self._continuations: dict[str, dict[int, Continuation]] = {}
        self._written: set[tuple[str, int]] = set()  # continuations that this process's file holds
        self._written_to: Path | None = None
        found = self._log.refresh()
        if found.error is not None:
            raise found.error
        for _, lines in groupby(found.lines, key=lambda line: line.path):
            self._take_up(line.row for line in lines)

    @property
    def path(self) -> Path | None:
        """The file that this process writes; None before its first line."""
        return self._log.path

    @property
    def warnings(self) -> list[str]:
        """A line for each file with an unfinished last line: it was left out (it may still be being written)."""
        return self._log.warnings

    def of(self, key: str) -> dict[int, Continuation]:
        """Returns the continuations of an arm by number, also those that did not end. Not to be changed."""
        return self._continuations.get(key, {})

    def _take_up(self, rows: Iterable[Arm | ContinuedStep]) -> None:
        """Take up a file. Of a continuation that two processes made, the one that got further counts."""
        arms, continuations = _by_arm(rows)
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
        if self._log.path != self._written_to:  # a new file
            self._written, self._written_to = set(), self._log.path
        rows: list[Arm | ContinuedStep] = [step]
        if (arm.key, step.number) not in self._written:  # each file holds its continuations whole
            rows = [arm, *steps, step]
        self._log.append(rows)
        self._written_to = self._log.path
        self._written.add((arm.key, step.number))
        self.arms.setdefault(arm.key, arm)
        steps.append(step)


def _name(trace: str) -> str:
    """The beginning of the names of a trace's files."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", trace)[:40] or "trace"


def read_file(path: Path) -> tuple[dict[str, Arm], dict[str, dict[int, Continuation]]]:
    """Arms, and their continuations by number, of one file. Raises `InputError`."""
    return _by_arm(read_log(path, _KIND))


def _by_arm(rows: Iterable[Arm | ContinuedStep]) -> tuple[dict[str, Arm], dict[str, dict[int, Continuation]]]:
    """Arms, and their continuations by number, of the lines of one file."""
    arms: dict[str, Arm] = {}
    continuations: dict[str, dict[int, Continuation]] = {}
    for line in rows:
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
