"""A trace or tree file of the library, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from engine.workspace.figures import TraceFigures
from envs.base import title_of

ENDINGS = (".trace.jsonl.zst", ".trace.jsonl.gz", ".trace.jsonl", ".json.gz", ".json")

Kind = Literal["search", "repair", "fork"]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """A trace or tree file as far as it is known."""

    path: Path
    modified: float = 0.0  # seconds since the epoch
    figures: TraceFigures | None = None  # None: not read yet, or unreadable
    goal: str = ""
    score_range: tuple[float, float] = (0.0, 1.0)
    error: str = ""  # why it can't be read
    live: bool = False  # a search that this app runs
    paused: bool = False  # until a person lets it go on
    origin: str = ""  # of a repair or a fork: the id of the trace in which it began
    kind: Kind = "search"  # a repair is the search for one sample's tail; a fork goes on from a node of a tree

    @property
    def state(self) -> str:
        """One word: live, running, paused, done, stopped, crashed, broken, reading."""
        if self.paused and self.goes_on:
            return "paused"
        if self.live:
            return "live"
        if self.error:
            return "broken"
        if self.figures is None:
            return "reading"
        found = self.kind == "repair" and self.figures.good > 0  # it ends at its first good leaf, by a budget
        return "done" if found and self.figures.state == "stopped" else self.figures.state

    @property
    def goes_on(self) -> bool:
        """Whether a search writes the trace, here or in another process; it may be paused."""
        return self.live or (self.figures is not None and self.figures.state == "running" and not self.error)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        name = self.path.name
        return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)

    @property
    def trace(self) -> str:
        """Id of the trace; "" where it is not read yet, or has none."""
        return self.figures.trace if self.figures else ""

    @property
    def task(self) -> str:
        """Environment and task."""
        return _title(self.figures.env, self.figures.task) if self.figures else ""


@lru_cache(maxsize=1 << 16)
def _title(environment: str, task: str) -> str:
    """The same as `title_of`: a list of thousands asks for it at each sorting."""
    return title_of(environment, task)
