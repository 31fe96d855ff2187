"""What a person does to a search: it is done, it is in the trace, and a resumed search loses none of it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.base.errors import InputError
from engine.environment.opened import open_environment
from engine.environment.replay import replay_tree
from engine.search.algorithms import ALGORITHMS
from engine.search.control import Control
from engine.search.control_file import Inbox, RemoteControl, obey
from engine.search.interventions import (
    CHANGEABLE,
    Intervention,
    Price,
    What,
    parse_changes,
    price,
    price_of_iterations,
    price_of_rest,
    refused,
)
from engine.search.job import SearchJob, branch_job, fork_job, new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import (
    AnyEvent,
    BackedUp,
    Expanded,
    Imported,
    Intervened,
    Iteration,
    Paused,
    Sampled,
    SearchSettings,
    Selected,
    Started,
    Usage,
)
from engine.tree.folding.interventions import WRITTEN
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from tests.agentr_tui.trees import Grower
from tests.engine.made import honey_trace

Plan = dict[int, list[tuple[What | str, Callable[[SearchTree], Any]]]]
"""After how many expansions → what is asked for, made of the tree as it is then."""

WRITE = "Thought: I do it myself.\nAction: inventory"


def settings(**changes: Any) -> SearchSettings:
    return SearchSettings(**{"iterations": 6, "error_rate": 0.5, "max_depth": 8, **changes})


def deepest_open(tree: SearchTree) -> int:
    """The deepest node whose draws were not made."""
    candidates = [n for n in tree.nodes if n.terminal is None and not n.expanded and n.id not in tree.in_flight]
    return max(candidates, key=lambda node: (node.depth, -node.id)).id


def inner_open(tree: SearchTree) -> int:
    """A node with children that may still be selected, not the root."""
    return next(n.id for n in reversed(tree.nodes) if n.children and not n.exhausted and n.id != ROOT)


PLAN: Plan = {
    2: [("edited", lambda tree: Intervention("edited", ROOT, WRITE, tree.nodes[ROOT].children[0]))],
    4: [("forced", lambda tree: Intervention("forced", deepest_open(tree)))],
    5: [("pruned", lambda tree: Intervention("pruned", inner_open(tree)))],
    7: [
        ("refused", lambda tree: Intervention("pruned", ROOT)),
        ("settings", lambda tree: {"c": 0.9, "samples": 5}),
        ("note", lambda tree: Intervention("note", 1, "odd")),
    ],
    9: [("edited", lambda tree: Intervention("edited", inner_open(tree), "Action: get 64 bedrock"))],
    10: [("restored", lambda tree: Intervention("restored", first_pruned(tree)))],
    11: [("forced", lambda tree: Intervention("forced", deepest_open(tree)))],
}


def first_pruned(tree: SearchTree) -> int:
    return next(event.node for event in tree.interventions if event.what == "pruned")


def follow_plan(job: SearchJob, plan: Plan) -> None:
    """Ask for what the plan says as soon as so many nodes were expanded; what the trace holds already is left out."""
    tree, write = job.tree, job.search.sink
    done = [event.what for event in tree.interventions] + ["settings"] * len(settings_changes(tree))
    count = sum(1 for node in job_events(job) if isinstance(node, Expanded))

    def ask(at: int) -> None:
        for what, make in plan.get(at, []):
            if what in done:
                done.remove(what)
                continue
            asked = make(tree)
            if what == "settings":
                job.control.change("tester", asked)
            else:
                job.control.intervene("tester", asked)

    def sink(event: AnyEvent) -> None:
        nonlocal count
        write(event)
        if isinstance(event, Expanded):
            count += 1
            asyncio.get_running_loop().call_soon(lambda: None)
            pending.append(count)

    pending: list[int] = []
    for at in range(1, count + 1):
        ask(at)
    job.search.sink = sink
    must_end = job.search._must_end

    def between() -> str | None:  # where the loop of the search comes by between two expansions
        while pending:
            ask(pending.pop(0))
        return must_end()

    job.search._must_end = between  # type: ignore[method-assign]


def settings_changes(tree: SearchTree) -> list[AnyEvent]:
    return [event for event in tree.chronicle.log if event.__struct_config__.tag == "settings_changed"]


def job_events(job: SearchJob) -> list[AnyEvent]:
    return list(read_events(job.path))


def searched(path: Path, plan: Plan = PLAN, **changes: Any) -> SearchJob:
    """A real search in which a person does what the plan says."""
    job = new_job("textcraft", "2", settings(**changes), path)
    follow_plan(job, plan)
    job.run_blocking()
    return job


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SearchJob:
    """One search with everything in it."""
    return searched(tmp_path_factory.mktemp("whole") / "whole.trace.jsonl")


# -- the trace tells all ---------------------------------------------------------------------------------


def test_everything_that_was_asked_for_happened(whole: SearchJob) -> None:
    tree = whole.tree
    assert tree.end_reason == "iterations"
    whats = [event.what for event in tree.interventions]
    assert whats == ["edited", "forced", "pruned", "refused", "note", "edited", "restored", "forced"]
    assert len(tree.written_by) == 2
    first = tree.nodes[min(tree.written_by)]
    assert first.draw == WRITTEN
    assert first.parent == ROOT
    assert first.action == "inventory"
    assert first.observation.startswith("Inventory")
    assert first.response == WRITE
    assert "can't be pruned" in tree.interventions[3].detail
    assert tree.settings_at(tree.seq).samples == 5
    assert load(whole.path).tree.written_by == tree.written_by


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("nodes", [1, 3])
def test_a_search_with_interventions_torn_anywhere_resumes_into_the_uninterrupted_one(
    algorithm: str, nodes: int, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"algorithm": algorithm, "parallel_nodes": nodes, "iterations": 16}
    uninterrupted = searched(tmp_path / "whole.trace.jsonl", **changes)
    assert len(uninterrupted.tree.interventions) == 8
    data = uninterrupted.path.read_bytes()
    rng = random.Random(3)
    first = data.index(b"\n") + 1
    places = [rng.randrange(first, len(data)) for _ in range(8)]
    places += [place + 20 for place in occurrences(data, b'{"type":"intervened"')]  # torn within
    places += [data.index(b"\n", place) + 1 for place in occurrences(data, b'{"type":"intervened"')]  # right after
    for number, place in enumerate(places):
        path = tmp_path / f"torn{number}.trace.jsonl"
        path.write_bytes(data[:place])
        job = resume_job(path)
        follow_plan(job, PLAN)
        job.run_blocking()
        assert compare(read_events(uninterrupted.path), read_events(path)) == [], f"torn at {place}"
        assert list(replay_tree(job.tree, open_environment("textcraft", "2"))) == []
        assert job.tree.calls == uninterrupted.tree.calls, "an answer that was written was asked for again"


def occurrences(data: bytes, what: bytes) -> Iterator[int]:
    place = data.find(what)
    while place >= 0:
        yield place
        place = data.find(what, place + 1)


def test_the_past_of_a_search_with_interventions_is_what_a_fold_of_the_events_so_far_gives(whole: SearchJob) -> None:
    tree, then = SearchTree(job_events(whole)), SearchTree()
    for event in job_events(whole):
        then.apply(event)
        past = tree.at(then.seq)
        assert len(past) == len(then)
        for node in then.nodes:
            assert past.visits(node.id) == node.visits
            assert past.q(node.id) == node.q
            assert list(past.children(node.id)) == node.children
            assert past.exhausted(node.id) == node.exhausted, (then.seq, node.id)
            assert past.pruned(node.id) == then.pruned(node.id)
            if not tree.pruned(node.id) and not node.pruned:
                assert past.expanded(node.id) == then.expanded(node.id)
        assert tree.in_flight_at(then.seq) == list(then.in_flight)
        assert tree.settings_at(then.seq) == then.settings_at(then.seq)
        assert then.started is not None
        assert tree.settings_at(then.seq).c == then.started.settings.c
        if not then.walks:
            assert tree.path_at(then.seq) == []


@pytest.mark.parametrize("nodes", [1, 4])
def test_choices_can_be_looked_up_at_any_moment(nodes: int, tmp_path: Path) -> None:
    events = job_events(searched(tmp_path / "t.trace.jsonl", {}, parallel_nodes=nodes))
    tree = SearchTree(events)
    last: dict[int, tuple[int, int, int, tuple[int, ...]]] = {}
    flying: set[int] = set()
    for event in events:
        if isinstance(event, Selected):
            for parent, child, ties in zip(event.path, event.path[1:], event.ties, strict=False):
                last[parent] = (event.seq, child, ties, tuple(event.in_flight))
            flying.update(event.in_flight)
            assert tree.path_at(event.seq) == tree.ancestors(event.path[-1])
        for parent in range(tree.nodes_at(event.seq)):
            choice = tree.choice(parent, event.seq)
            assert (tuple(choice) if choice else None) == last.get(parent)
    assert bool(flying) == (nodes > 1)


# -- what each of them does ------------------------------------------------------------------------------


def test_what_is_pruned_is_never_selected_again_until_it_is_restored(tmp_path: Path) -> None:
    job = searched(tmp_path / "t.trace.jsonl", {3: [("pruned", lambda tree: Intervention("pruned", inner_open(tree)))]})
    events = job_events(job)
    pruned = next(event for event in events if isinstance(event, Intervened))
    later = [event for event in events if isinstance(event, Selected) and event.seq > pruned.seq]
    assert len(later) > 3
    for event in later:
        assert pruned.node not in job.tree.ancestors(event.path[-1])[:-1]
        assert pruned.node != event.path[-1]
    assert job.tree.pruned(pruned.node)
    assert job.tree.exhausted(pruned.node)
    plan: Plan = {
        3: [("pruned", lambda tree: Intervention("pruned", inner_open(tree)))],
        4: [("restored", lambda tree: Intervention("restored", first_pruned(tree)))],
    }
    again = searched(tmp_path / "again.trace.jsonl", plan, iterations=60, c=5.0)
    restored = again.tree.interventions[1]
    assert not again.tree.pruned(restored.node)
    assert any(
        restored.node in again.tree.ancestors(event.path[-1])
        for event in job_events(again)
        if isinstance(event, Selected) and event.seq > restored.seq
    )


def test_what_is_born_below_a_pruned_node_is_pruned_and_restored_with_it() -> None:
    grower = Grower()
    tree = grower.tree
    one, other = grower.expand(ROOT, ["one", "other"])
    grower.apply(Selected(seq=0, path=[ROOT, one], ties=[2]))
    grower.apply(Intervened(seq=0, who="me", what="pruned", node=one))
    assert [id for id in tree.nodes[ROOT].children if not tree.exhausted(id)] == [other]
    below, leaf = grower.expand(one, ["below", ("done", "done", 1.0)])
    assert tree.pruned(below)
    assert tree.exhausted(below)
    assert tree.visits(ROOT) == 1
    grower.apply(Intervened(seq=0, who="me", what="pruned", node=other))
    assert tree.exhausted(ROOT)
    grower.apply(Intervened(seq=0, who="me", what="restored", node=one))
    assert not tree.exhausted(ROOT)
    assert not tree.exhausted(below)
    assert not tree.expanded(below)
    assert tree.exhausted(leaf)
    then = SearchTree()
    for event in grower.events:
        then.apply(event)
        past = tree.at(then.seq)
        for node in then.nodes:
            assert past.exhausted(node.id) == node.exhausted, (then.seq, node.id)
            assert past.pruned(node.id) == then.pruned(node.id)


def test_a_forced_expansion_comes_next_and_takes_no_iteration(tmp_path: Path) -> None:
    plain = searched(tmp_path / "plain.trace.jsonl", {})
    job = searched(
        tmp_path / "t.trace.jsonl", {3: [("forced", lambda tree: Intervention("forced", deepest_open(tree)))]}
    )
    events = job_events(job)
    forced = next(event for event in events if isinstance(event, Intervened))
    rest = [event for event in events if event.seq > forced.seq]
    following = next(event for event in rest if isinstance(event, Selected | Expanded))
    assert isinstance(following, Expanded)
    assert following.parent == forced.node
    assert len(following.children) + len(following.repeats) == 4
    numbers = [event.number for event in events if isinstance(event, Iteration)]
    assert numbers == [event.number for event in job_events(plain) if isinstance(event, Iteration)]


def test_a_step_that_is_written_below_an_exhausted_node_opens_it_again(tmp_path: Path) -> None:
    def exhausted(tree: SearchTree) -> int:
        return next(node.id for node in tree.nodes if node.exhausted and node.children and 0 < node.depth < 4)

    def write(tree: SearchTree) -> Intervention:
        return Intervention("edited", exhausted(tree), "Action: get 1 dirt")

    job = searched(tmp_path / "t.trace.jsonl", {16: [("edited", write)]}, iterations=60, max_depth=4, seed=4, c=9.0)
    (written,) = job.tree.written_by
    seq, parent = job.tree.born_at(written), job.tree.nodes[written].parent
    assert job.tree.at(seq - 1).exhausted(parent)
    assert not job.tree.at(seq).exhausted(parent)
    assert job.tree.nodes[written].expanded, "nobody went on from the step that was written"


def test_a_written_step_that_ends_the_episode_is_backed_up_at_once(tmp_path: Path) -> None:
    path = honey_search(tmp_path)
    tree = load(path).tree
    (written,) = tree.written_by
    node = tree.nodes[written]
    assert node.terminal == "depth"
    assert node.visits == 1
    born = tree.born_at(written)
    backed = [event for event in read_events(path) if isinstance(event, BackedUp) and event.leaf == written]
    assert [event.seq for event in backed] == [born + 1]


def honey_search(tmp_path: Path) -> Path:
    path = tmp_path / "t.trace.jsonl"

    def deep(tree: SearchTree) -> Intervention:
        parent = next(node for node in tree.nodes if node.depth == 8 and node.expanded and node.terminal is None)
        return Intervention("edited", parent.id, "Action: get 1 dirt", parent.children[0])

    searched(path, {10: [("edited", deep)]})
    return path


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Intervention("forced", ROOT), "was expanded already"),
        (Intervention("forced", 10**6), "there is no node"),
        (Intervention("pruned", ROOT), "the root can't be pruned"),
        (Intervention("restored", 1), "was not pruned"),
        (Intervention("edited", ROOT, ""), "there is no action"),
        (Intervention("edited", ROOT, "Action: x", 10**6), "is no child of node 0"),
        (Intervention("breakpoint", ROOT, "q>"), "column 3"),
        (Intervention("breakpoint removed", ROOT, "q>1"), "there is no breakpoint"),
    ],
)
def test_what_can_not_be_done_is_refused_with_the_reason(whole: SearchJob, asked: Intervention, why: str) -> None:
    assert why in (refused(whole.tree, asked) or "")


def test_what_a_sibling_says_already_is_no_new_step(whole: SearchJob) -> None:
    child = whole.tree.nodes[whole.tree.nodes[ROOT].children[1]]
    said = refused(whole.tree, Intervention("edited", ROOT, child.response, child.id))
    assert said == f"that is what node {child.id} says already"
    leaf = next(whole.tree.leaves())
    assert "end of its trajectory" in (refused(whole.tree, Intervention("edited", leaf.id, WRITE)) or "")
    assert "end of its trajectory" in (refused(whole.tree, Intervention("forced", leaf.id)) or "")
    assert "would be selected anyway" in (refused(whole.tree, Intervention("pruned", leaf.id)) or "")


# -- while it runs ---------------------------------------------------------------------------------------


class Running:
    """A search in a thread, followed by a fold of its own."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.tree = SearchTree()
        self.control = Control(paused=True)
        self.job = new_job(
            "textcraft", "2", settings(**changes), path, listener=self.tree.apply, delay=0.001, control=self.control
        )
        self.thread = threading.Thread(target=self.job.run_blocking)
        self.thread.start()

    def until(self, holds: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.005)

    def end(self) -> None:
        self.control.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    run = Running(tmp_path / "t.trace.jsonl", iterations=50)
    yield run
    run.end()


def test_a_search_that_stands_still_does_what_is_asked_and_goes_on_standing_still(running: Running) -> None:
    tree, control = running.tree, running.control
    control.step()
    running.until(lambda: tree.nodes[ROOT].children and tree.state == "paused", "one expansion")
    control.intervene("me", Intervention("edited", ROOT, WRITE))
    running.until(lambda: tree.written_by, "the written step")
    assert tree.state == "paused"
    written = next(iter(tree.written_by))
    control.intervene("me", Intervention("forced", written))
    running.until(lambda: tree.nodes[written].children and tree.state == "paused", "its children")
    count = len(tree)
    time.sleep(0.2)
    assert len(tree) == count
    control.intervene("me", Intervention("pruned", written))
    running.until(lambda: tree.pruned(written), "pruned")
    control.resume()
    running.until(lambda: len(tree) > count, "going on")


@pytest.mark.parametrize("query", ["depth>=3", "leaf", 'obs~"got"', "repeat"])
def test_a_breakpoint_holds_the_search_up_at_the_first_node_that_matches(query: str, running: Running) -> None:
    from engine.query.nodes import parse

    tree, control = running.tree, running.control
    control.intervene("me", Intervention("breakpoint", ROOT, query))
    control.resume()
    running.until(lambda: tree.state == "paused" and tree.chronicle.log and len(tree) > 1, "the breakpoint")
    pause = [event for event in tree.chronicle.log if isinstance(event, Paused)][-1]
    test = parse(query).on(tree)
    matching = [node.id for node in tree.nodes if test(node)]
    assert pause.reason == f"breakpoint: node {matching[0]} is {query}"
    assert tree.breakpoints == [query]
    seq = tree.seq
    control.resume()
    running.until(lambda: tree.seq > seq + 3, "going on")
    control.intervene("me", Intervention("breakpoint removed", ROOT, query))
    control.resume()
    running.until(lambda: not tree.breakpoints, "removed")
    running.until(lambda: tree.state in ("done", "stopped") or tree.iteration > 20, "going on to the end")


def test_what_another_process_asks_for_reaches_the_search(tmp_path: Path) -> None:
    trace, control = tmp_path / "t.trace.jsonl", Control()
    inbox, remote = Inbox(trace), RemoteControl(trace)
    remote.intervene(Intervention("edited", 4, "Action: \x1b[31m\nü", 7))
    remote.intervene(Intervention("pruned", 3))
    for command in inbox.take():
        obey(control, command)
    assert [asked for _, asked in control.requests] == [
        Intervention("edited", 4, "Action: \x1b[31m\nü", 7),
        Intervention("pruned", 3),
    ]
    assert control.requests[0][0]


# -- settings and prices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 4])
def test_another_number_of_draws_while_others_are_in_flight_survives_a_torn_end(nodes: int, tmp_path: Path) -> None:
    plan: Plan = {3: [("settings", lambda tree: {"samples": 7})], 6: [("settings", lambda tree: {"samples": 2})]}
    whole = searched(tmp_path / "whole.trace.jsonl", plan, parallel_nodes=nodes, iterations=10)
    data = whole.path.read_bytes()
    rng = random.Random(1)
    start = data.index(b'{"type":"settings_changed"')
    for number in range(10):
        path = tmp_path / f"{number}.trace.jsonl"
        path.write_bytes(data[: rng.randrange(start, len(data))])
        job = resume_job(path)
        follow_plan(job, plan)
        job.run_blocking()
        assert compare(read_events(whole.path), read_events(path)) == []
        assert job.tree.calls == whole.tree.calls


def test_settings_are_read_as_a_person_writes_them() -> None:
    now = SearchSettings()
    assert parse_changes("c=1.0  iterations=12 budget-cost=none", now) == {
        "c": 1.0,
        "iterations": 12,
        "budget_cost": None,
    }
    for wrong, why in (
        ("", "no setting is named"),
        ("c", "write name=value"),
        ("c=x", "is not a number"),
        ("c=-1", "setting c"),
        ("iterations=1.5", "setting iterations"),
        ("seed=3", "can't be changed while a search runs"),
    ):
        with pytest.raises(InputError, match=why):
            parse_changes(wrong, now)
    assert all(hasattr(now, name) for name in CHANGEABLE)


def test_a_price_is_an_average_and_says_where_it_knows_nothing(whole: SearchJob) -> None:
    tree = whole.tree
    leaf = next(node.id for node in tree.nodes if node.terminal is None and not node.expanded)
    assert str(price(tree, Intervention("forced", leaf))) == "5 calls, tokens unknown"
    assert str(price(tree, Intervention("edited", leaf))) == "no calls"
    assert price_of_iterations(tree, 2).calls == round(tree.calls / tree.iteration * 2)
    begun = SearchTree(job_events(whole)[:3])  # no iteration is over: each draws at most all of a whole line
    now = begun.settings_at(begun.seq)
    line = now.samples * (now.max_depth + 1)
    assert str(price_of_iterations(begun, 2)) == f"at most {2 * line} calls, tokens unknown"
    twice = replace(now, samples=2 * now.samples, iterations=3)
    assert price_of_rest(begun, twice).calls == 3 * 2 * line
    assert price_of_rest(begun, replace(twice, budget_calls=begun.calls + 7)).calls == 7
    assert price_of_rest(tree, tree.settings_at(tree.seq)).calls == 0
    assert str(Price(4, 1234.5, 0.0312)) == "4 calls, ~1,200 tokens, ~$0.031"
    events = [*job_events(whole)]
    paid = [
        e if not isinstance(e, Sampled) else Sampled(
            seq=e.seq, parent=e.parent, draw=e.draw, response=e.response, usage=Usage(90, 10, 0.01)
        )
        for e in events
    ]  # fmt: skip
    assert str(price(SearchTree(paid), Intervention("forced", leaf))) == "5 calls, ~500 tokens, ~$0.05"


# -- the past starts a new trace -----------------------------------------------------------------------------


def test_a_fork_goes_on_as_the_search_did_and_names_where_it_came_from(tmp_path: Path) -> None:
    job = searched(tmp_path / "whole.trace.jsonl")
    whole = job_events(job)
    started = whole[0]
    assert isinstance(started, Started)
    rng = random.Random(2)
    last = max(event.seq for event in job.tree.interventions)
    for number, seq in enumerate(rng.sample(range(last, job.tree.seq), 6)):
        out = tmp_path / f"fork{number}.trace.jsonl"
        heard: list[AnyEvent] = []
        fork = fork_job(job.path, seq, out, listener=heard.append)
        fork.run_blocking()
        assert compare(whole, read_events(out)) == []
        first = next(iter(read_events(out)))
        assert isinstance(first, Started)
        assert first.forked_from is not None
        assert (first.forked_from.trace, first.forked_from.seq) == (started.trace, seq)
        assert first.trace != started.trace
        assert [event.seq for event in heard] == list(range(len(heard)))
        assert len(SearchTree(heard)) == len(job.tree)
    assert job_events(job) == whole, "the trace that it came from was touched"


def test_a_fork_begins_with_what_was_asked_for(tmp_path: Path) -> None:
    job = searched(tmp_path / "whole.trace.jsonl", {})
    seq = job.tree.iteration_seqs[1]
    out = tmp_path / "fork.trace.jsonl"
    asked = Intervention("edited", ROOT, WRITE, 1)
    fork_job(job.path, seq, out, requests=[asked], changes={"c": 2.0, "iterations": 9}).run_blocking()
    tree = load(out).tree
    assert len(tree.written_by) == 1
    assert tree.iteration == 9
    assert tree.settings_at(seq).iterations == 6
    assert tree.settings_at(tree.seq).c == 2.0
    assert min(tree.written_by) == job.tree.nodes_at(seq)
    with pytest.raises(InputError, match="has no event"):
        fork_job(job.path, job.tree.seq + 1, tmp_path / "x.trace.jsonl")
    with pytest.raises(InputError, match="exists already"):
        fork_job(job.path, seq, out)
    with pytest.raises(InputError, match="unknown setting"):
        fork_job(job.path, seq, tmp_path / "x.trace.jsonl", changes={"speed": 1})
    assert not (tmp_path / "x.trace.jsonl").exists()


def test_a_new_search_begins_where_a_node_stands(tmp_path: Path) -> None:
    job = searched(tmp_path / "whole.trace.jsonl", {})
    node = next(node for node in job.tree.nodes if node.depth == 3 and node.terminal is None)
    out = tmp_path / "branch.trace.jsonl"
    branch_job(job.path, node.id, out, changes={"iterations": 2, "seed": 5}).run_blocking()
    tree = load(out).tree
    assert tree.started is not None
    assert tree.conversation(ROOT) == job.tree.conversation(node.id)
    assert tree.started.forked_from is not None
    assert tree.started.forked_from.seq == job.tree.born_at(node.id)
    assert tree.started.settings.seed == 5
    assert tree.started.settings.error_rate == 0.5
    assert len(tree) > 5
    assert resume_job(out).run_blocking() == "iterations"
    leaf = next(job.tree.leaves())
    with pytest.raises(InputError, match="end of its trajectory"):
        branch_job(job.path, leaf.id, tmp_path / "x.trace.jsonl")
    with pytest.raises(InputError, match="has no node"):
        branch_job(job.path, 10**6, tmp_path / "x.trace.jsonl")


def test_a_tree_that_was_made_elsewhere_is_branched_and_not_forked(tmp_path: Path) -> None:
    path = honey_trace(tmp_path / "honey.trace.jsonl")
    assert any(isinstance(event, Imported) for event in read_events(path))
    with pytest.raises(InputError, match="branch from a node"):
        fork_job(path, 1, tmp_path / "x.trace.jsonl")
    assert "made elsewhere" in (refused(load(path).tree, Intervention("pruned", 1)) or "")
    out = tmp_path / "branch.trace.jsonl"
    branch_job(path, 3, out, changes={"iterations": 1, "error_rate": 0.0}).run_blocking()
    tree = load(out).tree
    assert tree.started is not None
    assert [step.action for step in tree.started.prefix] == ["get 4 honey bottle", "craft 3 sugar using 1 honey bottle"]
    assert max(leaf.reward for leaf in tree.leaves()) == 1
