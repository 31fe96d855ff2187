"""The tree is a fold over events, and its past can be looked at."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.actors.base import Answer, Request
from engine.actors.scripted import ScriptedActor
from engine.environment.opened import open_environment
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.tree.events import (
    AnyEvent,
    BackedUp,
    Message,
    Sampled,
    SearchSettings,
    Selected,
    Started,
    event_decoder,
    event_encoder,
)
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.tree import SearchTree


def searched(task: str = "2", iterations: int = 3, seed: int = 0, error_rate: float = 0.5) -> list[AnyEvent]:
    """The events of a real TextCraft search."""
    opened = open_environment("textcraft", task)
    chosen = SearchSettings(iterations=iterations, seed=seed, error_rate=error_rate)
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, chosen), opened, ScriptedActor(error_rate), events.append)
    asyncio.run(search.run())
    return events


def facts(tree: SearchTree) -> list[tuple[object, ...]]:
    """Everything that a tree says of its nodes."""
    return [
        (n.id, n.parent, n.depth, n.response, n.action, n.observation, n.reward, n.terminal, n.visits, n.value_sum,
         tuple(n.children), n.exhausted, n.state_key, n.draw)
        for n in tree.nodes
    ]  # fmt: skip


EVENTS = searched()


def test_events_survive_being_written_and_read() -> None:
    again = [event_decoder.decode(event_encoder.encode(event)) for event in EVENTS]
    assert again == EVENTS
    assert facts(SearchTree(again)) == facts(SearchTree(EVENTS))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(EVENTS) - 1))
def test_the_past_is_what_a_fold_of_the_events_so_far_gives(seq: int) -> None:
    then, past = SearchTree(EVENTS[: seq + 1]), SearchTree(EVENTS).at(seq)
    assert len(past) == len(then)
    for node in then.nodes:
        assert past.visits(node.id) == node.visits
        assert math.isclose(past.value_sum(node.id), node.value_sum)
        assert past.q(node.id) == node.q
        assert list(past.children(node.id)) == node.children
        assert past.expanded(node.id) == node.expanded
        assert past.exhausted(node.id) == node.exhausted


def test_a_node_that_was_not_there_yet_can_not_be_asked_for() -> None:
    with pytest.raises(IndexError):
        SearchTree(EVENTS).at(0).node(1)


def test_histories_go_on_when_the_tree_grows_after_the_past_was_asked_for() -> None:
    tree = SearchTree(EVENTS[:40])
    tree.at(20).visits(ROOT)
    for event in EVENTS[40:]:
        tree.apply(event)
    assert tree.at(len(EVENTS) - 1).visits(ROOT) == tree.visits(ROOT)


def test_visits_count_the_terminal_leaves_below_and_values_sum_their_returns() -> None:
    tree = SearchTree(EVENTS)
    below: dict[int, list[float]] = {node.id: [] for node in tree.nodes}
    for leaf in tree.leaves():
        for id in tree.ancestors(leaf.id):
            below[id].append(leaf.reward)
    for node in tree.nodes:
        assert node.visits == len(below[node.id])
        assert node.value_sum == sum(below[node.id])


def test_a_conversation_is_the_header_and_two_messages_a_step() -> None:
    tree = SearchTree(EVENTS)
    leaf = next(tree.leaves())
    conversation = tree.conversation(leaf.id)
    assert len(conversation) == 4 + 2 * leaf.depth
    assert conversation[-1] == Message("user", leaf.observation)
    assert conversation[-2] == Message("assistant", leaf.response)
    assert [message.role for message in conversation[3:]] == ["user", "assistant"] * leaf.depth + ["user"]


def _started() -> Started:
    return Started(seq=0, version=1, trace="t", environment="e", task="0", header=[], settings=SearchSettings())


@pytest.mark.parametrize(
    "events",
    [
        [Selected(seq=0, path=[0])],
        [_started(), Selected(seq=2, path=[0])],
        [_started(), replace(_started(), seq=1)],
        [_started(), Sampled(seq=1, parent=7, draw=0, response="x")],
        [_started(), BackedUp(seq=1, leaf=3, value=1)],
    ],
)  # fmt: skip
def test_an_event_that_does_not_fit_is_refused(events: list[AnyEvent]) -> None:
    with pytest.raises(ValueError, match=r"."):
        SearchTree(events)


def test_the_root_has_no_parent_and_ids_are_dense() -> None:
    tree = SearchTree(EVENTS)
    assert tree.nodes[ROOT].parent == NO_PARENT
    assert [node.id for node in tree.nodes] == list(range(len(tree)))
    assert all(node.parent < node.id for node in tree.nodes[1:])


class _Numbers:
    """Gives as many different answers as there are draws."""

    async def sample(self, request: Request) -> Answer:
        return Answer(f"Action: get {request.draw + 1} sand")


def test_a_tree_of_depth_5000_folds_without_recursion(tmp_path: Path) -> None:
    opened = open_environment("textcraft", "2")
    settings = SearchSettings(iterations=1, max_depth=5_000, samples=1)
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, settings), opened, _Numbers(), events.append)
    asyncio.run(search.run())
    tree = SearchTree(events)
    assert tree.nodes[-1].depth == 5_001
    assert tree.nodes[ROOT].exhausted
    assert tree.at(tree.seq).visits(ROOT) == 1
