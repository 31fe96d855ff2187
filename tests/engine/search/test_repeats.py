"""Draws that repeat an earlier draw of their node, also one that a rollout made iterations before."""

from __future__ import annotations

import asyncio

import pytest

from engine.actors.base import Answer, Request
from engine.environment.opened import Opened
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.tree.events import AnyEvent, Expanded, SearchSettings
from engine.tree.tree import SearchTree
from tests.engine.search.test_oracle import Dice


class SaysByDraw:
    """Answers draw k of any node with the k-th of these texts."""

    waits = False

    def __init__(self, texts: str) -> None:
        self._texts = texts

    async def sample(self, request: Request) -> Answer:
        return Answer(f"Action: {self._texts[request.draw]}")


class Straight(Dice):
    """Every third step ends the episode."""

    def outcome(self, path: tuple[str, ...]) -> tuple[float, bool]:
        return (0.5, True) if len(path) == 3 else (0.0, False)


def grown(algorithm: str, texts: str, iterations: int) -> tuple[SearchTree, list[Expanded]]:
    """A search whose four draws a node say these texts, and its expansions."""
    opened = Opened(Straight(0), "textcraft", "0", "go", {})
    events: list[AnyEvent] = []
    settings = SearchSettings(algorithm=algorithm, iterations=iterations, samples=4, max_depth=5)
    search = Search.begin(started_event(opened, settings), opened, SaysByDraw(texts), events.append)
    asyncio.run(search.run())
    return search.tree, [event for event in events if isinstance(event, Expanded)]


@pytest.mark.parametrize("algorithm", ["uct", "puct"])
def test_a_draw_that_repeats_what_a_rollout_drew_before_makes_no_child(algorithm: str) -> None:
    tree, expansions = grown(algorithm, "aaaa", iterations=8)
    assert [node.action for node in tree.nodes] == ["ROOT", "a", "a", "a"]
    at_first = [event for event in expansions if event.parent == 1]
    # the rollout of the first walk made draw 0, the second walk the three that were missing
    assert [(event.partial, len(event.children)) for event in at_first] == [(True, 1), (False, 0)]
    assert [(repeat.draw, repeat.of) for repeat in at_first[1].repeats] == [(1, 0), (2, 0), (3, 0)]
    assert tree.repeats == {1: 3, 2: 3, 3: 3}


@pytest.mark.parametrize("algorithm", ["uct", "puct"])
def test_a_repeat_names_the_first_draw_that_said_so(algorithm: str) -> None:
    tree, expansions = grown(algorithm, "abab", iterations=30)
    assert [(repeat.draw, repeat.of) for repeat in expansions[0].repeats] == [(2, 0), (3, 1)]
    for node in tree.nodes:
        said = [tree.nodes[child].action for child in node.children]
        assert said == (["a", "b"] if node.depth < 3 else [])
    later = [event for event in expansions if event.parent and not event.partial]
    assert later
    assert all([(repeat.draw, repeat.of) for repeat in event.repeats] == [(2, 0), (3, 1)] for event in later)


@pytest.mark.parametrize("algorithm", ["agent-r", "best-first"])
def test_algorithms_that_expand_in_full_find_every_repeat_at_once(algorithm: str) -> None:
    tree, expansions = grown(algorithm, "aaba", iterations=40)
    assert all([(repeat.draw, repeat.of) for repeat in event.repeats] == [(1, 0), (3, 0)] for event in expansions)
    assert all(len(node.children) in (0, 2) for node in tree.nodes)
