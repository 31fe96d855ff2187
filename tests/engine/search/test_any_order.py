"""Results in any order (`any_order`): none waits for another, and by the order in the trace it is repeated."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.actors.base import Answer, Request, actor_of_trace
from engine.search.algorithms import ALGORITHMS
from engine.search.job import new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import read_events
from engine.tree.events import AnyEvent, Expanded, Sampled, SearchSettings, Selected
from engine.tree.tree import SearchTree
from tests.engine.search.test_search import grown

SETTINGS: dict[str, Any] = {"iterations": 16, "max_depth": 5, "parallel_nodes": 4, "concurrency": 16}


def overtaken(events: list[AnyEvent]) -> int:
    """How many expansions were applied before one that was selected earlier."""
    flying: list[int] = []
    count = 0
    for event in events:
        if isinstance(event, Selected):
            flying.append(event.path[-1])
        elif isinstance(event, Expanded):
            count += event.parent != flying[0]
            flying.remove(event.parent)
    return count


class Uneven:
    """Draws of some nodes take many turns of the event loop, others few: no clock decides who is first."""

    async def sample(self, request: Request) -> Answer:
        for _ in range(50 * (request.parent % 3 == 1)):
            await asyncio.sleep(0)
        choice = random.Random(request.seed).choice(["get 1 sand", "get 2 red sand", "inventory", "get 1 stick"])
        return Answer(f"Thought: so.\nAction: {choice}")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_results_are_applied_as_they_come_and_the_trace_repeats_the_search(algorithm: str) -> None:
    settings = {**SETTINGS, "algorithm": algorithm, "any_order": True}
    events = grown(Uneven(), **settings)
    tree = SearchTree(events)
    assert (tree.end_reason, tree.in_flight, tree.walks) == ("iterations", {}, [])
    assert overtaken(events) > 0
    assert overtaken(grown(Uneven(), **{**settings, "any_order": False})) == 0
    drawn = [(event.parent, event.draw) for event in events if isinstance(event, Sampled)]
    assert len(drawn) == len(set(drawn)), "no draw is made twice"
    again = grown(actor_of_trace(events, "this"), **settings)
    assert compare(events, again) == []
    assert overtaken(again) == overtaken(events)


class OneIsSlow(Uneven):
    """Draws of one node wait until so many others were made."""

    def __init__(self, slow: int, others: int) -> None:
        self.slow, self.others, self.made = slow, others, 0
        self.enough = asyncio.Event()

    async def sample(self, request: Request) -> Answer:
        if request.parent == self.slow:
            await asyncio.wait_for(self.enough.wait(), 60)  # else the broken search would hang
        self.made += 1
        if self.made == self.others:
            self.enough.set()
        return await super().sample(request)


def test_a_slow_node_holds_up_no_other() -> None:
    events = grown(OneIsSlow(2, 60), **{**SETTINGS, "algorithm": "uct", "any_order": True})
    places = [event.parent for event in events if isinstance(event, Expanded)]
    began = next(place for place, event in enumerate(events) if isinstance(event, Selected) and event.path[-1] == 2)
    before = sum(isinstance(event, Expanded) for event in events[:began])
    assert places.index(2) - before > 10


@pytest.mark.parametrize("algorithm", ["agent-r", "puct", "lessons"])
def test_a_torn_trace_in_any_order_goes_on_without_asking_twice(algorithm: str, tmp_path: Path) -> None:
    settings = SearchSettings(error_rate=0.5, algorithm=algorithm, any_order=True, **SETTINGS)
    whole = tmp_path / "whole.trace.jsonl"
    new_job("textcraft", "2", settings, whole, delay=0.002).run_blocking()
    data = whole.read_bytes()
    rng = random.Random(3)
    for number in range(4):
        path = tmp_path / f"torn{number}.trace.jsonl"
        path.write_bytes(data[: rng.randrange(data.index(b"\n") + 1, len(data))])
        job = resume_job(path, delay=0.002)
        job.run_blocking()
        events = list(read_events(path))
        assert job.tree.state == "done"
        drawn = [(event.parent, event.draw) for event in events if isinstance(event, Sampled)]
        assert len(drawn) == len(set(drawn))
        again = tmp_path / f"again{number}.trace.jsonl"
        told = f"recorded:{path}"
        new_job("textcraft", "2", SearchSettings(**{**settings_of(settings), "actor": told}), again).run_blocking()
        found = compare(events, read_events(again))
        assert [each.field for each in found] == ["settings.actor"]
        assert run(["replay", str(path)]) == 0


def settings_of(settings: SearchSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


def test_any_order_is_an_option_that_the_trace_tells_and_never_the_default(tmp_path: Path) -> None:
    assert SearchSettings().any_order is False
    path = tmp_path / "t.trace.jsonl"
    given = ["search", "--task", "2", "--iterations", "3", "--parallel-nodes", "2", "--any-order", "--out", str(path)]
    assert run(given) == 0
    assert next(iter(read_events(path))).settings.any_order  # type: ignore[union-attr]
