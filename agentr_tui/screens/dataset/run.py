"""A run of `revise` as the Dataset screen holds it, and what was counted of it. Knows no Textual."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentr_tui.screens.dataset.rows import RunSummary, summarise
from agentr_tui.screens.dataset.tabs import Trust, trust
from engine.review.decisions import Decisions
from engine.samples.revise import Sample
from engine.workspace.workspace import RunInfo, Workspace, read_samples

NO_RUN = """\
No samples here yet.

A run of `revise` pairs good and bad leaves, looks for the first wrong step, splices the two trajectories and
replays the result. Its samples are what a dataset is made of.

  4   Revision makes a run of the open tree and lets you accept or reject its samples
  1   the library opens a tree

On the command line: agentr revise PATH…
"""


@dataclass(frozen=True)
class LoadedRun:
    """A run with its samples, and where it stands among the runs."""

    info: RunInfo
    samples: list[Sample]
    place: int  # 0: the newest
    of: int
    stamp: int  # size of its file when it was read
    warnings: list[str]


def load(workspace: Workspace, wanted: str | None, by: int, known: LoadedRun | None) -> LoadedRun | None:
    """The run `by` places before the wanted one (None: the newest that is complete, else the newest).

    What is known and unchanged is not read again. None where there is no run. Raises `InputError`.
    """
    runs = workspace.runs()
    if not runs:
        return None
    sealed = next((place for place, run in enumerate(runs) if run.sealed), 0)
    place = next((place for place, run in enumerate(runs) if run.id == wanted), sealed)
    place = max(0, min(place + by, len(runs) - 1))
    info = runs[place]
    size = Path(info.file).stat().st_size
    if known is not None and known.info.id == info.id and known.stamp == size:
        return LoadedRun(info, known.samples, place, len(runs), size, known.warnings)
    warnings: list[str] = []
    samples = list(read_samples(info, warnings))
    return LoadedRun(info, samples, place, len(runs), size, warnings)


@dataclass(frozen=True)
class Counted:
    """What was counted of a run with a filter, and what it was counted of."""

    of: tuple[object, ...]
    summary: RunSummary
    trust: Trust


def count(workspace: Workspace, loaded: LoadedRun, decisions: Decisions, words: str, known: Counted | None) -> Counted:
    """Count again where anything changed since. Raises `InputError`."""
    current = decisions.current()  # another object whenever a decision changed
    of = (loaded.info.id, loaded.stamp, loaded.of, words, id(current))
    if known is not None and known.of == of and known.summary.current is current:
        return known
    summary = summarise(loaded.samples, current, words)
    return Counted(of, summary, trust(workspace, loaded.info.id, summary.left, decisions))


def settings_told(info: RunInfo) -> str:
    """How a run was made, in a few words."""
    settings = info.settings
    told = [f"verifier {settings.verifier}" if settings.verify else "direct revision"]
    if settings.alpha is not None:
        told.append(f"alpha {settings.alpha:g}")
    if settings.beta is not None:
        told.append(f"beta {settings.beta:g}")
    if settings.compat:
        told.append("compat")
    return " · ".join(told)
