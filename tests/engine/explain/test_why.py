"""Why a search went where it went, looked up at any moment; and what an actor was asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.actors.base import Answer, DrawFailed, Request, draw_seed
from engine.actors.request_log import answer_of, request_of
from engine.environment.opened import open_environment
from engine.explain.why import facts, scored, why
from engine.search.algorithms import ALGORITHMS
from engine.search.control import Control
from engine.search.interventions import Intervention
from engine.search.search import Search
from engine.search.started_event import started_event
from engine.trace.trace_file import TraceWriter
from engine.tree.events import AnyEvent, SearchSettings, Selected
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree


class Four:
    """Answers in four ways, fails now and then, and does not see old steps."""

    async def sample(self, request: Request) -> Answer:
        turns = len(request.conversation())
        await asyncio.sleep(0)
        if (request.parent + request.draw) % 11 == 7:
            raise DrawFailed("refusal", "no answer in time")
        word = ("get 1 sand", "get 2 red sand", "inventory", "inventory")[request.draw % 4]
        prior = 0.1 + 0.2 * (request.draw % 3)
        return Answer(f"Thought 1: so.\nAction 1: {word}", prior=prior, dropped=max(0, (turns - 8) // 2))


def grown(path: Path | None = None, control: Control | None = None, **changes: Any) -> list[AnyEvent]:
    """The events of a real search."""
    opened = open_environment("textcraft", "2")
    events: list[AnyEvent] = []
    chosen = SearchSettings(**{"iterations": 10, "max_depth": 6, **changes})
    writer = TraceWriter(path) if path else None

    def sink(event: AnyEvent) -> None:
        events.append(event)
        if writer is not None:
            writer.write(event)

    search = Search.begin(started_event(opened, chosen), opened, Four(), sink, control)
    asyncio.run(search.run())
    if writer is not None:
        writer.close()
    return events


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_choice_of_a_search_is_explained_by_the_scores_of_its_moment(algorithm: str, nodes: int) -> None:
    events = grown(algorithm=algorithm, parallel_nodes=nodes)
    tree = SearchTree(events)
    checked = flying = 0
    for event in events:
        if not isinstance(event, Selected) or algorithm in ("best-first", "lessons"):
            continue
        for parent, child, ties in zip(event.path[:-1], event.path[1:], event.ties, strict=True):
            choice = tree.choice(parent, event.seq)
            assert choice is not None
            assert (choice.child, choice.ties) == (child, ties)
            then = scored(tree, parent, choice.seq, in_flight=choice.in_flight)
            assert len(then.best) == ties
            assert child in then.best
            told = why(tree.at(event.seq), child)
            assert told.then == then
            assert told.choice == choice
            checked += 1
            flying += bool(choice.in_flight)
    assert checked > 10 or algorithm in ("best-first", "lessons")
    assert (flying > 0) == (nodes > 1) or algorithm in ("best-first", "lessons")


@pytest.mark.parametrize("nodes", [1, 3])
def test_lessons_starts_at_the_best_open_node_and_goes_on_with_the_step_it_drew(nodes: int) -> None:
    events = grown(algorithm="lessons", parallel_nodes=nodes, iterations=40)
    whole, so_far = SearchTree(events), SearchTree()
    starts = went_on = 0
    for event in events:
        if isinstance(event, Selected) and event.path != [ROOT]:
            chosen = event.path[-1]
            stands = event.path[0]
            goes_on = any(walk.position == stands and stands not in so_far.in_flight for walk in so_far.walks)
            parent = whole.nodes[chosen].parent
            of_parent = scored(whole, parent, event.seq, in_flight=event.in_flight)
            if goes_on:
                assert event.path == [stands, chosen]
                assert chosen in of_parent.best
                assert (len(of_parent.best), whole.at(event.seq).children(chosen)) == (event.ties[0], [])
                went_on += 1
            else:
                parents = [node.id for node in so_far.nodes if node.children]
                rows = [row for id in parents for row in scored(whole, id, event.seq, in_flight=event.in_flight).rows]
                greatest = max(row.score.total for row in rows if row.score.selectable)
                assert event.path == whole.ancestors(chosen)
                assert [row.score.total for row in of_parent.rows if row.child == chosen] == [greatest]
                assert event.ties == [sum(row.score.selectable and row.score.total == greatest for row in rows)]
                starts += 1
        so_far.apply(event)
    assert starts > 20
    assert went_on > 40


def test_best_first_compares_scores_after_the_step() -> None:
    tree = SearchTree(grown(algorithm="best-first"))
    for child in tree.nodes[ROOT].children:
        row = next(row for row in why(tree, child).now.rows if row.child == child)
        assert row.score.total == tree.nodes[child].reward
        assert row.score.selectable == (tree.nodes[child].terminal is None and not tree.expanded(child))


def test_another_c_may_choose_another_child() -> None:
    tree = SearchTree(grown(iterations=30, c=0.0))
    greedy, curious = [], []
    for seq in tree.iteration_seqs:
        told = why(tree.at(seq), tree.nodes[ROOT].children[0], 50.0)
        greedy.append(told.now.best)
        curious.append(told.other)
        least = min((tree.at(seq).visits(row.child) for row in told.now.rows if row.score.selectable), default=None)
        assert all(tree.at(seq).visits(child) == least for child in told.other), "a great c goes to the least visited"
    assert greedy != curious
    assert why(tree, 1).other == []


def test_settings_of_then_explain_choices_of_then() -> None:
    control = Control()
    control.change("anna", {"c": 7.0})
    tree = SearchTree(grown(control=control))
    assert why(tree, 1).now.settings.c == 7.0
    assert why(tree.at(0), ROOT).now.settings.c == 0.25


def test_what_a_node_is_is_told_with_who_did_what() -> None:
    control = Control()
    control.intervene("anna", Intervention("note", ROOT, "begin"))
    events = grown(control=control)
    tree = SearchTree(events)
    told = {node.id: {fact.label: fact.text for fact in facts(tree, node.id)} for node in tree.nodes}
    assert told[ROOT]["note"] == "anna begin"
    repeated = next(id for id in tree.repeats)
    assert "1 further answer was the same" in told[repeated]["repeated"]
    failed = tree.failures[0]
    count = sum(event.parent == failed.parent for event in tree.failures)
    assert f"{count} answer" in told[failed.parent]["failed"]
    assert "no answer in time" in told[failed.parent]["failed"]
    ended = next(node for node in tree.nodes if node.terminal == "depth")
    assert "max_depth 6" in told[ended.id]["ended"]
    assert str(tree.born_at(ended.id)) in told[ended.id]["ended"]
    same = next(node for node in tree.nodes if len(tree.same_state(node.id)) > 1)
    other = next(id for id in tree.same_state(same.id) if id != same.id)
    assert str(other) in told[same.id]["state"]
    cut = next(id for id, (_, _, dropped) in tree.usages.items() if dropped)
    assert "did not see the first" in told[cut]["cut"]
    assert "state" not in {fact.label for fact in facts(tree.at(tree.born_at(same.id)), same.id)} or same.id > other


def test_a_request_is_what_the_actor_got_and_never_a_key(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    tree = SearchTree(grown(path))
    assert request_of(tree, ROOT) is None
    cut = 0
    for node in tree.nodes[1:]:
        request = request_of(tree, node.id)
        assert request is not None
        assert "key" not in str(sorted(request))
        assert request["seed"] == draw_seed(0, node.parent, node.draw)
        whole = tree.conversation(node.parent)
        dropped = request.get("steps_not_sent", 0)
        cut += dropped > 0
        assert [turn["content"] for turn in request["messages"]] == [
            message.content for message in whole[:4] + whole[4 + 2 * dropped :]
        ]
        answer = answer_of(path, node.parent, node.draw)
        assert answer is not None
        assert answer.response.startswith("Thought 1:"), "as it came, not as it is stored"
    assert cut > 5
    assert answer_of(path, 0, 99) is None
