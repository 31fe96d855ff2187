"""An export that wrote nothing says what would help in its own case, and that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.datasets.export import export
from engine.datasets.formats import FORMATS
from engine.datasets.formats.base import NO_CALLS, UNKNOWN_CALLS
from engine.datasets.formats.rules import TOO_LONG
from engine.datasets.options import Exported, ExportOptions
from engine.datasets.sample_choice import nothing_line, remedy_of
from engine.review.decisions import Decisions
from engine.search.job import new_job
from engine.tree.events import SearchSettings
from engine.workspace.workspace import Workspace
from tests.engine.made import made_workspace, revised


def calling_workspace(folder: Path) -> Workspace:
    """Samples of an agent that calls tools."""
    workspace = Workspace.open(folder, create=True)
    path = workspace.traces / "t.trace.jsonl"
    job = new_job("textcraft:tools", "3", SearchSettings(error_rate=0.5, iterations=2), path)
    job.run_blocking()
    revised(workspace, path)
    return workspace


def test_calls_that_have_no_place_are_told_with_the_formats_that_have_one(tmp_path: Path) -> None:
    workspace = calling_workspace(tmp_path / "w")
    done = export(workspace, None, "agent-r", tmp_path / "a.json")
    said = nothing_line(done)
    assert f"{NO_CALLS}" in said
    assert "--all" not in said
    named = said.rpartition("formats that hold calls: ")[2].split(", ")
    assert sorted(named) == sorted(name for name, each in FORMATS.items() if each.calls)
    assert not export(workspace, None, "agent-r", tmp_path / "all.json", all=True).lines  # it would not have helped
    assert export(workspace, None, named[-1], tmp_path / "b.jsonl").lines


def test_each_remedy_gives_lines(tmp_path: Path) -> None:
    workspace = made_workspace(tmp_path / "w")
    ids = [sample.id for sample in workspace.load_run().samples]

    def wrote(options: ExportOptions = ExportOptions(), all: bool = False) -> Exported:  # noqa: B008 - frozen
        return export(workspace, None, "openai", tmp_path / "o.jsonl", options=options, all=all)

    short = wrote(ExportOptions(max_length=5))
    assert nothing_line(short).endswith("raise --max-length")
    assert not wrote(ExportOptions(max_length=5), all=True).lines
    Decisions(workspace.decisions, "ada").decide_all(ids, "rejected")
    assert nothing_line(wrote()).endswith("--all takes whatever there is")
    assert wrote(all=True).lines == 6


@pytest.mark.parametrize(
    ("dropped", "stuck", "others", "verified", "said"),
    [
        ({UNKNOWN_CALLS: 2, "diverged": 1}, {UNKNOWN_CALLS}, 0, False, "chatml, the default, writes them out"),
        ({"reobserved": 2, "diverged": 1}, set(), 0, True, "leave --only-verified out"),
        ({"diverged": 1}, set(), 0, True, "--all without --only-verified takes whatever there is"),
        ({"diverged": 1}, set(), 0, False, "--all takes whatever there is"),
        ({TOO_LONG: 1}, {TOO_LONG}, 0, False, "raise --max-length"),
        ({TOO_LONG: 1, "rejected": 1}, {TOO_LONG}, 0, False, "raise --max-length"),
        ({"no tail": 1}, {"no tail"}, 0, False, ""),
        ({}, set(), 3, False, "there are good ones: --data-type good"),
        ({}, set(), 0, False, "agentr revise makes samples"),
    ],
)
def test_a_remedy_is_for_the_reasons_at_hand(
    dropped: dict[str, int], stuck: set[str], others: int, verified: bool, said: str
) -> None:
    found = remedy_of(dropped, stuck, "centric", others, verified)
    assert said in found
    assert bool(said) == bool(found)
