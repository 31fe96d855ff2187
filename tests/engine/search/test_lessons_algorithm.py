"""The algorithm `lessons`: what it compares, how it walks, and what it gives."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from engine.search.lessons_scores import promise, promises, steps_by_state
from engine.tree.events import (
    BackedUp,
    Child,
    Expanded,
    PrefixStep,
    Sampled,
    SearchSettings,
    Selected,
    Started,
)
from engine.tree.tree import SearchTree
from tests.benchmarks.bench_yield import measure
from tests.engine.searched import search


def two_in_a_state(score_range: tuple[float, float] = (0.0, 1.0)) -> SearchTree:
    """Root with children 1 and 2 in one state; 1 has two ended children (returns 1 and 0), 2 has none."""
    tree = SearchTree()
    settings = SearchSettings(algorithm="lessons", samples=3)
    low, high = score_range
    tree.apply(
        Started(
            seq=0, version=2, trace="t", environment="textcraft", task="0", header=[], settings=settings,
            score_range=score_range, prefix=list[PrefixStep](),
        )
    )  # fmt: skip
    tree.apply(Selected(seq=1, path=[0], ties=[1]))
    for draw in range(3):
        tree.apply(Sampled(seq=2 + draw, parent=0, draw=draw, response=f"Action: {draw}"))
    children = [
        Child(draw=0, action="0", observation="", state_key="s"),
        Child(draw=1, action="1", observation="", state_key="s"),
        Child(draw=2, action="2", observation="", reward=low, terminal="done"),
    ]
    tree.apply(Expanded(seq=5, parent=0, children=children))
    tree.apply(BackedUp(seq=6, leaf=3, value=low))
    for draw, value in enumerate((high, low)):
        seq = tree.seq + 1
        tree.apply(Selected(seq=seq, path=[0, 1], ties=[1], draws=1))
        tree.apply(Sampled(seq=seq + 1, parent=1, draw=draw, response=f"Action: {draw}"))
        child = Child(draw=draw, action=f"{draw}", observation="", reward=value, terminal="done")
        tree.apply(Expanded(seq=seq + 2, parent=1, children=[child], partial=True))
        tree.apply(BackedUp(seq=seq + 3, leaf=4 + draw, value=value))
    return tree


@pytest.mark.parametrize("score_range", [(0.0, 1.0), (-1.0, 100.0)])
def test_a_promise_is_the_chance_of_a_good_end_times_the_share_of_new_steps(score_range: tuple[float, float]) -> None:
    tree = two_in_a_state(score_range)
    steps = steps_by_state(tree)
    assert promise(tree, 1, steps, *score_range) == pytest.approx((1 + 1) / (2 + 2) / (1 + 2))
    assert promise(tree, 0, steps, *score_range) == pytest.approx((1 + 1) / (3 + 2) / (1 + 3))
    assert promise(tree, 2, steps, *score_range) == math.inf, "no step was taken from it"
    assert steps(2) == 2, "but two from its state"


def test_rows_of_siblings_hold_the_terms_and_who_can_be_drawn() -> None:
    tree = two_in_a_state()
    rows = dict(promises(tree, 0, 0.0, 1.0))
    assert (rows[1].exploitation, rows[1].exploration, rows[1].total) == (0.5, 1 / 3, 0.5 / 3)
    assert [rows[id].selectable for id in (1, 2, 3)] == [True, True, False]
    assert [row.selectable for row in dict(promises(tree, 0, 0.0, 1.0, {0: 1, 1: 1})).values()] == [False, True, False]
    before = dict(promises(tree.at(6), 0, 0.0, 1.0))
    assert before[1].total == math.inf, "at that moment nothing was drawn from it"


def test_a_walk_draws_the_root_at_once_and_then_one_step_at_a_time_to_an_end(tmp_path: Path) -> None:
    events = search(tmp_path / "t.trace.jsonl", algorithm="lessons", iterations=30, max_depth=8, samples=3)
    selected = [event for event in events if isinstance(event, Selected)]
    assert [event.draws for event in selected] == [0] + [1] * (len(selected) - 1)
    tree = SearchTree(events)
    assert tree.iteration == 30
    open_ends = [node for node in tree.nodes if node.terminal is None and not node.children]
    assert open_ends == [], "every step that was drawn was followed to an end"
    assert max(sum(child >= 0 for child in node.children) for node in tree.nodes) <= 3


def test_it_gives_twice_the_verified_lessons_of_agent_r_per_call(tmp_path: Path) -> None:
    found = {}
    for algorithm in ("agent-r", "lessons"):
        settings = SearchSettings(algorithm=algorithm, iterations=10**6, budget_calls=200, max_depth=20)
        rows = [measure("textcraft", task, settings, tmp_path) for task in ("1", "2", "3", "4")]
        found[algorithm] = sum(row.lessons for row in rows) / sum(row.calls for row in rows)
    assert found["lessons"] >= 2 * found["agent-r"] > 0
