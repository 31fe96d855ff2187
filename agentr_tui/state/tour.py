"""The first minute: six hints that lead from a running search to an exported line. Knows no Textual.

They are shown until a person ends them, or has seen the last one; then never again, in no workspace.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from engine.base.errors import AgentrError
from engine.base.files import write_beside
from engine.base.untrusted_files import read_struct
from envs.user_folders import state_folder

HINTS = (
    "The agent tries: every row is a step, Q says how well it ends. When ✓ and ✗ leaves are there, press 3.",
    "A good ✓ and a bad ✗ trajectory part at a fork: that is a pair. Press 4 to see what the bad one can learn.",
    "The first wrong step, and why. Beside it (narrow: tab) the lesson from it, replayed. Press a to accept it.",
    "Accepted, and on disk: u takes it back. Review a few more, then press 5 for the dataset.",
    "From samples to lines: this is what an export takes. Press e, choose a format, then ctrl+s.",
    "Written, with the origin of every line beside it. Press 1: the library has every search, and o starts your own.",
)
NO_TRACE = "A search is a tree of what an agent tried. Press t for the sample trees, or o to start a search."
NOT_OPENED = "Every row is a search: a tree of what an agent tried. Press enter to open the one under the cursor."
ELSEWHERE = "There is no tree here yet. Press 1 for the library, then enter on a trace."
"""What stands in place of a hint about a tree as long as none is open: in the library, without and with traces, and on
another screen."""
AWAY = {
    0: ("search", NOT_OPENED),
    2: ("revision", "Press 4 to go on: the first wrong step of a bad trajectory, and the lesson from it."),
    3: ("revision", "A sample is accepted. Press 4 to review a few more, then 5 for the dataset."),
    4: ("dataset", "Press 5 to go on: the dataset, from which e exports lines."),
}
"""Hints about one screen, by their step: that screen, and what stands in their place on the others."""
LAST_MODE = "library"
"""The screen that the last hint is about."""


class Facts(NamedTuple):
    """What a person did so far."""

    mode: str
    accepted: int = 0
    exports: int = 0
    to_see: bool = True  # whether a tree is open, or samples were made
    traces: bool = True  # whether the library lists any


class Kept(Struct):
    """What is remembered of the hints, for all workspaces."""

    step: Annotated[int, Meta(ge=0, lt=len(HINTS))] = 0
    over: bool = False


def step_of(facts: Facts, before: int) -> int:
    """The hint that comes next: it never goes back, and does not go on while there is nothing to see."""
    if not facts.to_see:
        return before
    step = {"pairs": 1, "revision": 2, "dataset": 4}.get(facts.mode, 0)
    if facts.accepted:
        step = max(step, 3)
    if step == 3 and facts.mode == "dataset":
        step = 4
    if facts.exports:
        step = 5
    return max(before, step)


class Tour:
    """The hints, and which of them is shown."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or state_folder()
        self._file = self._folder / "hints.json"
        self._kept = self._read()
        self._facts = Facts("search")

    def _read(self) -> Kept | None:
        return read_struct(self._file, Kept)

    @property
    def first_start(self) -> bool:
        """Whether the app never ran here before."""
        if self._kept is not None:
            return False
        with suppress(OSError):
            return next(self._folder.glob("place-*.json"), None) is None
        return True

    def begin(self) -> None:
        """This is the first start: the hints begin."""
        self._keep(Kept())

    @property
    def hint(self) -> str:
        """The hint that is shown, with its number; "" where none is."""
        if self._kept is None or self._kept.over:
            return ""
        step, facts = self._kept.step, self._facts
        told = HINTS[step]
        if step in AWAY and facts.mode != AWAY[step][0]:
            told = AWAY[step][1]
        if not facts.to_see and step != len(HINTS) - 1:
            told = ELSEWHERE if facts.mode != "library" else NOT_OPENED if facts.traces else NO_TRACE
        return f"{step + 1}/{len(HINTS)}  {told}"

    def go_on(self, facts: Facts) -> None:
        """Take up what a person did. After the last hint, and its screen, there are no more hints."""
        kept = self._kept
        if kept is None or kept.over:
            return
        step = step_of(facts, kept.step)
        last = len(HINTS) - 1
        if kept.step == last == step and facts.mode != self._facts.mode == LAST_MODE:
            self.end()
        elif step != kept.step:
            self._keep(Kept(step))
        self._facts = facts

    def end(self) -> None:
        """Show no more hints, from now on."""
        self._keep(Kept(len(HINTS) - 1, over=True))

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        data = msgspec.json.encode(kept)
        with suppress(OSError, AgentrError):  # a home that can't be written is no reason to stop
            write_beside(self._file, lambda stream: stream.write(data))
