"""Searches compared on the same tasks, and what a dataset costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import InputError
from engine.evaluate.compare import Comparison, compare_traces
from engine.samples.revise import revise
from engine.samples.settings import ReviseSettings
from engine.search.job import new_job
from engine.trace.sources import find_sources, load_any
from engine.tree.events import SearchSettings
from engine.workspace.figures import figures, total
from engine.workspace.rates import rate, rates, verified_in
from engine.workspace.workspace import Workspace

TASKS = ("2", "3", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two algorithms over three tasks, in folders of their own."""
    folder = tmp_path_factory.mktemp("compared")
    for algorithm in ("agent-r", "lessons"):
        for task in TASKS[: 3 if algorithm == "agent-r" else 2]:
            settings = SearchSettings(algorithm=algorithm, iterations=10**6, budget_calls=100)
            new_job("textcraft", task, settings, folder / algorithm / f"{task}.trace.jsonl").run_blocking()
    return folder


def compared(folder: Path, verify: bool = False) -> Comparison:
    return compare_traces(map(load_any, find_sources([folder])), "algorithm", verify)


def test_groups_are_compared_over_the_tasks_of_both(folder: Path) -> None:
    found = compared(folder, verify=True)
    assert [(group.name, group.tasks, group.calls) for group in found.groups] == [
        ("agent-r", 3, 300),
        ("lessons", 2, 200),
    ]
    (against,) = found.against
    assert (against.name, against.against, against.tasks) == ("lessons", "agent-r", 2)
    counts = {}
    for algorithm in ("agent-r", "lessons"):
        rows = [figures(load_any(folder / algorithm / f"{task}.trace.jsonl")) for task in TASKS[:2]]
        counts[algorithm] = sum(row.lessons for row in rows)
    assert against.ratio["lessons"].value == pytest.approx(counts["lessons"] / counts["agent-r"])
    assert against.ratio["verified_lessons"].value > 1.5


def test_what_has_one_group_is_no_comparison(folder: Path) -> None:
    with pytest.raises(InputError, match="--by"):
        compared(folder / "lessons")


def test_rates_are_counts_by_calls_tokens_and_dollars() -> None:
    assert rate(6, 3000, 2_000_000, 1.5).per_1000_calls == 2
    assert rate(6, 3000, 2_000_000, 1.5).per_million_tokens == 3
    assert rate(6, 3000, 2_000_000, 1.5).per_dollar == 4
    assert rate(6, 0, None, None).per_1000_calls is None


def test_verified_lessons_are_those_of_the_newest_runs_and_their_repairs_cost_calls(
    folder: Path, tmp_path: Path
) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    path = folder / "lessons" / "2.trace.jsonl"
    source = load_any(path)
    rows = [figures(source)]
    assert verified_in(workspace, rows) is None
    settings = ReviseSettings(repair=None)
    with workspace.new_run(settings, [str(path)]) as run:
        for sample in revise(source.tree, str(path), settings, run.figures):
            run.add(sample)
    found = verified_in(workspace, rows)
    assert found is not None
    assert found.traces == 1
    assert found.lessons == run.figures.lessons > 5
    gave = rates(total(rows), found)
    assert gave["verified_lessons"].per_1000_calls == pytest.approx(1000 * found.lessons / 100)
    assert verified_in(workspace, [figures(load_any(folder / "lessons" / "3.trace.jsonl"))]) is None
