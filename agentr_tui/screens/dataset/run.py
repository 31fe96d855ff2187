"""A run of `revise` as the Dataset screen holds it, and what was counted of it. Knows no Textual."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentr_tui.screens.dataset.rows import RunSummary, summarise
from agentr_tui.screens.dataset.tabs import Trust, trust
from engine.base.text import many
from engine.review.decisions import Decisions
from engine.samples.sample import Sample
from engine.workspace.workspace import RunInfo, Selection, Workspace

NO_RUN = """\
No samples here yet.

A run of `revise` pairs good and bad leaves, looks for the first wrong step, splices the two trajectories and \
replays the result. Its samples are what a dataset is made of.

  4   Revision makes a run of the open tree and lets you accept or reject its samples
  1   the library opens a tree

On the command line: agentr revise PATH…
"""


@dataclass(frozen=True)
class LoadedRun:
    """A run with its samples, or the newest run of each trace together, and its place among the runs."""

    chosen: Selection
    place: int  # 0: the newest
    of: int
    stamp: int  # size of all runs' files when they were read
    default: bool  # whether this is what is shown where nobody went to another
    newest: Selection | None  # of each trace; None where no run was finished

    @property
    def info(self) -> RunInfo:
        """The run; of several the newest."""
        return self.chosen.runs[0]

    @property
    def run(self) -> str | None:
        """The run's id, as an export takes it; None: the newest of each trace."""
        return None if self.chosen is self.newest else self.info.id

    @property
    def samples(self) -> list[Sample]:
        """All samples."""
        return self.chosen.samples

    @property
    def warnings(self) -> list[str]:
        """What is odd about the files."""
        return self.chosen.warnings

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        if self.run is not None:
            return f"run {self.info.id[:15]}"
        trees = many(len({sample.trace for sample in self.samples}), "tree")
        return f"{trees}, {len(self.chosen.runs)} runs" if len(self.chosen.runs) > 1 else trees

    @property
    def pairs(self) -> int:
        """Pairs that the samples were made of; 0 where that is not known, or samples of other traces are left out."""
        whole = sum(info.samples or 0 for info in self.chosen.runs) == len(self.samples)
        counts = [info.figures.pairs for info in self.chosen.runs if info.figures is not None]
        return sum(counts) if whole and len(counts) == len(self.chosen.runs) else 0


def load(workspace: Workspace, wanted: str | None, by: int, known: LoadedRun | None) -> LoadedRun | None:
    """Returns the run to show; None where there is no run. Raises `InputError`.

    The newest complete runs of all traces together come first, where there are several; then each run. A run that is
    known and unchanged is not read again.

    `workspace`: holds the runs. `wanted`: id of the run to start from; None: the one that is shown first. `by`: how
    many places before it. `known`: what was loaded last.
    """
    runs = workspace.runs()
    if not runs:
        return None
    stamp = sum(Path(info.file).stat().st_size for info in runs)
    same = known is not None and known.stamp == stamp
    newest = known.newest if known is not None and same else None
    if newest is None and any(info.sealed for info in runs):
        newest = workspace.select()
    views: list[str | None] = [None] if newest is not None and len(newest.runs) > 1 else []
    views += [info.id for info in runs]
    sealed = next((place for place, info in enumerate(runs) if info.sealed), 0)
    default = 0 if views[0] is None else sealed
    place = views.index(wanted) if wanted in views and wanted is not None else default
    place = max(0, min(place + by, len(views) - 1))
    id = views[place]
    if known is not None and same and known.place == place:
        return LoadedRun(known.chosen, place, len(views), stamp, place == default, known.newest)
    chosen = newest if id is None or (newest is not None and newest.ids == [id]) else workspace.select(id)
    assert chosen is not None
    return LoadedRun(chosen, place, len(views), stamp, place == default, newest)


@dataclass(frozen=True)
class Counted:
    """What was counted of a run with a filter, and what it was counted of."""

    of: tuple[object, ...]
    summary: RunSummary
    trust: Trust


def count(workspace: Workspace, loaded: LoadedRun, decisions: Decisions, words: str, known: Counted | None) -> Counted:
    """Count again where anything changed. Raises `InputError`.

    `workspace`: holds planted samples. `loaded`: the run and its samples. `decisions`: of the workspace. `words`: the
    filter. `known`: the last count, which is returned where nothing changed.
    """
    current = decisions.current()  # another object whenever a decision changed
    of = (loaded.chosen.name, loaded.stamp, loaded.of, words, id(current))
    if known is not None and known.of == of and known.summary.current is current:
        return known
    summary = summarise(loaded.samples, current, words, loaded.pairs)
    return Counted(of, summary, trust(workspace, loaded.chosen.ids, summary.left, decisions))


def settings_told(info: RunInfo) -> str:
    """How a run was made, in a few words."""
    settings = info.settings
    told = [f"verifier {settings.verifier}" if settings.verify else "direct revision"]
    if settings.alpha is not None:
        told.append(f"good above {settings.alpha:g} (alpha)")
    if settings.beta is not None:
        told.append(f"apart by more than {settings.beta:g} (beta)")
    if settings.compat:
        told.append("compat")
    return " · ".join(told)
