"""The original's lines come out again from its own trees, line for line (`revise --compat`, `export --all`)."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.datasets.export import export
from engine.datasets.formats import DataType
from engine.samples.revise import revise
from engine.samples.settings import Revised, ReviseSettings
from engine.trace.sources import load_any
from engine.workspace.workspace import Workspace
from tests.fixtures import recorded, recording

TREES = {
    "textcraft/31": (0.5, 0.2),
    "textcraft/113": (0.5, 0.2),
    "textcraft/198": (0.5, 0.2),
    "sciworld/3539": (40.0, 20.0),
    "webshop/6": (0.5, 0.2),
}
DIRECT = [name for name in TREES if not name.startswith("webshop")]  # the original was not recorded there


def exported_lines(
    workspace: Workspace, name: str, data_type: DataType, verifier: str | None = None
) -> list[dict[str, Any]]:
    """What `revise --compat` and `export --format agent-r --all` make of a recorded tree."""
    folder = recording(name)
    path = str(folder / f"search_results_{folder.name}.json.gz")
    alpha, beta = TREES[name]
    settings = ReviseSettings(
        alpha=alpha, beta=beta, compat=True, verify=verifier is not None, verifier=verifier or "value"
    )
    with workspace.new_run(settings, [path]) as run:
        for sample in revise(load_any(path).tree, path, settings, run.figures):
            run.add(sample)
    out = workspace.exports / "lines.jsonl"
    done = export(workspace, None, "agent-r", out, data_type=data_type, all=True)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert done.lines == len(lines)
    return lines


def golden_lines(name: str, kind: str) -> list[dict[str, Any]]:
    """The original's lines."""
    return [json.loads(line) for line in gzip.open(recording(name) / f"{kind}.jsonl.gz", "rt")]


def multiset(lines: list[dict[str, Any]], without: tuple[str, ...] = ()) -> Counter[str]:
    """Lines to compare: the order of keys counts, the text of the revision thought does not."""
    shown: Counter[str] = Counter()
    for line in lines:
        for turn in line["revise_log"]:
            if turn["role"] == "assistant" and turn["content"].endswith("\nAction: wait"):
                turn["content"] = "THOUGHT"
        shown[json.dumps({key: value for key, value in line.items() if key not in without})] += 1
    return shown


@pytest.mark.parametrize("name", recorded(*DIRECT))
def test_direct_revision_gives_the_lines_of_the_original(name: str, tmp_path: Path) -> None:
    ours = exported_lines(Workspace.open(tmp_path / "w", create=True), name, "centric")
    assert multiset(ours) == multiset(golden_lines(name, "centric_rev0"))


@pytest.mark.parametrize("name", recorded(*TREES))
def test_verified_revision_gives_the_lines_of_the_original(name: str, tmp_path: Path) -> None:
    recorded = f"recorded:{recording(name) / 'centric_rev1.jsonl.gz'}"
    ours = exported_lines(Workspace.open(tmp_path / "w", create=True), name, "centric", recorded)
    golden = golden_lines(name, "centric_rev1")
    assert multiset(ours, ("revise_feedback",)) == multiset(golden, ("revise_feedback",))
    assert multiset(ours) == multiset(golden)  # what the recorded verifier said, too


@pytest.mark.parametrize("name", recorded(*TREES))
def test_good_trajectories_are_the_lines_of_the_original(name: str, tmp_path: Path) -> None:
    ours = exported_lines(Workspace.open(tmp_path / "w", create=True), name, "good")
    assert multiset(ours) == multiset(golden_lines(name, "good_rev0"))


def test_a_tree_without_good_leaves_gives_an_empty_dataset(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "w", create=True)
    assert exported_lines(workspace, "textcraft/198", "centric") == []
    assert (workspace.exports / "lines.jsonl").read_bytes() == b""


def test_every_pair_of_the_goldens_is_counted(tmp_path: Path) -> None:
    path = recording("textcraft/113") / "search_results_113.json.gz"
    figures = Revised()
    settings = ReviseSettings(alpha=0.5, beta=0.2, compat=True, verify=False)
    samples = list(revise(load_any(path).tree, str(path), settings, figures))
    assert figures.pairs == figures.samples == 112
    assert figures.good == 14
    assert len(samples) == 126
