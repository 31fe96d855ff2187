"""docs/architecture.md: its programs add what they say, and every place that it names is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from agentr_tui.state.session import Session
from engine.datasets.formats import FORMATS
from engine.datasets.records import encode
from engine.pairs.pairs import Pair
from engine.samples.splice import Turn
from engine.search.algorithms import ALGORITHMS
from engine.search.job import new_job
from engine.tree.events import Expanded, SearchSettings
from engine.tree.thresholds import Thresholds
from engine.verifiers.base import first_wrong_step
from engine.verifiers.registry import OTHERS, make_verifier
from engine.workspace.workspace import Workspace
from tests.engine.made import honey_trace
from tests.engine.searched import search
from tests.fixtures import own_environments

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"```python (\w+)\n(.*?)```", PAGE, re.S))


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a program of the page adds is taken away again."""
    tables: list[dict[str, Any]] = [ALGORITHMS, FORMATS, OTHERS]
    before = [dict(table) for table in tables]
    with own_environments():
        yield
    for table, was in zip(tables, before, strict=True):
        table.clear()
        table.update(was)


def added(name: str) -> dict[str, Any]:
    """What the program of that name defines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(PROGRAMS[name], f"architecture.md: {name}", "exec"), names)
    return names


def test_every_place_that_the_page_names_is_there() -> None:
    places = re.findall(r"`((?:engine|agentr_tui|envs|tests)/[\w/.]*)`", PAGE)
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []
    rows = [row.split("|") for row in PAGE.splitlines() if row.startswith("| ")]
    beside = [(re.findall(r"`([\w/]+/)[\w.]*`", row[2]), re.findall(r"`(\w+\.py)`", row[2])) for row in rows]
    named = [(folders[0], name) for folders, names in beside for name in names]
    assert len(named) > 5
    assert [folder + name for folder, name in named if not (ROOT / folder / name).exists()] == []
    modules = re.findall(r"`((?:engine|agentr_tui|envs)(?:\.\w+)+)`", PAGE)
    for name in modules:
        path = ROOT.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file() or path.parent.with_suffix(".py").is_file(), name


def test_an_environment_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doors = added("environment")["Doors"]
    monkeypatch.setattr("__main__.Doors", doors, raising=False)

    class Says:
        waits = False

        async def sample(self, request: Any) -> Any:
            from engine.actors.base import Answer

            return Answer(f"Action: {('left', 'right')[request.draw % 2]}")

    monkeypatch.setattr("engine.search.job.make_actor", lambda *args, **kwargs: Says())
    settings = SearchSettings(samples=2, iterations=4)
    job = new_job("doors", None, settings, tmp_path / "t.trace.jsonl")
    job.run_blocking()
    returns = sorted(leaf.reward for leaf in job.tree.leaves())
    assert returns == [0, 0, 0, 1]


def test_a_format_is_added() -> None:
    added("format")
    turns = [Turn("assistant", "wrong", False, "bad"), Turn("assistant", "right", True, "good")]
    conversation = FORMATS["mine"].conversation
    assert conversation is not None
    (record,) = conversation(turns, None)  # type: ignore[arg-type]
    assert encode(record) == b'{"trained": ["right"]}'


def test_a_verifier_is_added(tmp_path: Path) -> None:
    added("verifier")
    from engine.trace.sources import load_any

    tree = load_any(honey_trace(tmp_path / "t.trace.jsonl")).tree
    verifier = make_verifier("last-step", tree, Thresholds(), lambda: pytest.fail("it needs no environment"))
    assert first_wrong_step(list(verifier.judge(Pair(2, 4, 1, 1.0)))) == 3


def test_an_algorithm_is_added(tmp_path: Path) -> None:
    added("algorithm")
    events = search(tmp_path / "t.trace.jsonl", algorithm="breadth-first", iterations=5)
    expanded = [event.parent for event in events if isinstance(event, Expanded)]
    assert expanded == sorted(expanded)
    assert len(expanded) == 5
    assert run(["stats", str(tmp_path / "t.trace.jsonl")]) == 0


async def test_a_screen_is_added(tmp_path: Path) -> None:
    from textual.widgets import Static

    app = added("screen")["WithCount"](Session(Workspace.open(tmp_path / "w", create=True)), "count")
    async with app.run_test(size=(110, 32)) as pilot:
        await pilot.pause()
        assert app.screen.query_one("#count", Static).content == "0 nodes"
