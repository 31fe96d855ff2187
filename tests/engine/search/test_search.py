"""The search: the original's trees node for node, determinism, pause, step, stop, resume."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.actors.base import Answer, DrawFailed, Request, actor_of_recording, draw_seed
from engine.base.errors import InputError
from engine.environment.opened import Opened, open_environment
from engine.search.algorithms import ALGORITHMS
from engine.search.child_scores import scores
from engine.search.control import Control
from engine.search.job import new_job, resume_job
from engine.search.search import Search
from engine.search.settings import check_settings, recorded_settings
from engine.search.started_event import started_event
from engine.trace.diff import compare
from engine.trace.trace_file import TraceWriter, load, read_events
from engine.tree.events import AnyEvent, Ended, Expanded, Paused, Sampled, SearchSettings, Selected, Usage
from engine.tree.tree import SearchTree
from tests.benchmarks.bench_search import Walk
from tests.fixtures import recorded, recording

SEARCHES = ("textcraft/31", "textcraft/113", "textcraft/198", "sciworld/3539", "webshop/6")


def differences(golden: dict[str, Any], tree: SearchTree) -> list[str]:
    """Where a tree differs from the original's, node by node in the order of children."""
    found = []
    pending = [(golden, 0)]
    while pending:
        theirs, id = pending.pop()
        ours = tree.nodes[id]
        facts = {
            "visits": ours.visits,
            "value": ours.value_sum,
            "obs": ours.observation,
            "llm_response": ours.response,
            "action": ours.action,
            "env_score": ours.reward,
            "depth": ours.depth,
            "is_terminal": ours.exhausted,
            "disaster": ours.terminal == "disaster",
        }
        found += [
            f"node {id} {name}: {theirs[name]!r} ≠ {value!r}" for name, value in facts.items() if theirs[name] != value
        ]
        if len(theirs["children"]) != len(ours.children):
            found.append(f"node {id}: {len(theirs['children'])} ≠ {len(ours.children)} children")
        pending += zip(theirs["children"], ours.children, strict=False)
    return found


@pytest.mark.parametrize("of", recorded(*SEARCHES))
@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_recorded_search_grows_the_original_tree(of: str, concurrency: int, tmp_path: Path) -> None:
    path = recording(of) / "replay.json.gz"
    name = f"recorded:{path}"
    settings = SearchSettings(actor=name, concurrency=concurrency, **recorded_settings(name))
    job = new_job(name, None, settings, tmp_path / "t.trace.jsonl")
    assert job.run_blocking() == "iterations"
    golden = json.loads(gzip.decompress(next(path.parent.glob("search_results_*")).read_bytes()))
    assert differences(golden, job.tree) == []
    assert job.tree.failures == []


def test_a_wrong_seed_grows_another_tree(tmp_path: Path) -> None:
    """The comparison above can fail."""
    path = recording("textcraft/31") / "replay.json.gz"
    name = f"recorded:{path}"
    settings = SearchSettings(actor=name, **{**recorded_settings(name), "seed": 1})
    job = new_job(name, None, settings, tmp_path / "t.trace.jsonl")
    job.run_blocking()
    golden = json.loads(gzip.decompress(next(path.parent.glob("search_results_*")).read_bytes()))
    assert differences(golden, job.tree) or job.tree.failures


class Waits:
    """Answers like a scripted actor, each draw after a random while: answers arrive in any order."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def sample(self, request: Request) -> Answer:
        await asyncio.sleep(self._rng.uniform(0, 0.003))
        choice = random.Random(request.seed).choice(["get 1 sand", "get 2 red sand", "inventory", "get 1 stick"])
        return Answer(f"Thought: so.\nAction: {choice}")


def grown(actor: Any, **settings: Any) -> list[AnyEvent]:
    """The events of a search with that actor."""
    opened = open_environment("textcraft", "2")
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, SearchSettings(**settings)), opened, actor, events.append)
    asyncio.run(search.run())
    return events


def test_concurrency_and_the_order_of_answers_never_change_a_trace() -> None:
    traces = [grown(Waits(wait), iterations=3, max_depth=6, concurrency=n) for wait, n in ((1, 1), (2, 16), (3, 16))]
    orders = [[event.draw for event in trace if isinstance(event, Sampled)] for trace in traces]
    assert orders[1] != orders[2]  # the answers did arrive in different orders
    assert compare(traces[0], traces[1]) == []
    assert compare(traces[1], traces[2]) == []


def test_another_seed_is_another_trace() -> None:
    a, b = (grown(Waits(1), iterations=3, max_depth=6, seed=seed) for seed in (0, 1))
    assert compare(a, b)


def test_draw_seeds_depend_on_search_parent_and_draw() -> None:
    seeds = {draw_seed(s, p, d) for s in range(5) for p in range(20) for d in range(5)}
    assert len(seeds) == 500
    assert draw_seed(3, 1, 2) == draw_seed(3, 1, 2)
    assert all(0 <= seed < 2**31 for seed in seeds)


class Says:
    """Gives each draw a fixed answer."""

    def __init__(self, *answers: str) -> None:
        self._answers = answers

    async def sample(self, request: Request) -> Answer:
        return Answer(self._answers[request.draw % len(self._answers)])


def test_draws_that_repeat_a_sibling_make_no_child_and_are_kept() -> None:
    events = grown(
        Says("Action: inventory", "Action 1: inventory", "Action: get 1 sand", "Action: inventory"), iterations=1
    )
    expanded = next(event for event in events if isinstance(event, Expanded))
    assert [child.draw for child in expanded.children] == [0, 2]
    assert [(repeat.draw, repeat.of) for repeat in expanded.repeats] == [(1, 0), (3, 0)]
    assert sum(isinstance(event, Sampled) and event.parent == 0 for event in events) == 4


class Fails:
    """Fails at some draws."""

    def __init__(self, *draws: int, what: str = "refusal") -> None:
        self._draws = draws
        self._what = what

    async def sample(self, request: Request) -> Answer:
        if request.draw in self._draws:
            raise DrawFailed(self._what, "no")
        return Answer(f"Action: get {request.draw + 1} sand")


def test_a_draw_that_came_to_nothing_is_recorded_and_the_search_goes_on() -> None:
    tree = SearchTree(grown(Fails(1), iterations=2, max_depth=3))
    assert {failure.draw for failure in tree.failures} == {1}
    assert tree.end_reason == "iterations"
    assert len(tree.nodes[0].children) == 3


class FailsDeep:
    """Answers at the root, fails below."""

    def __init__(self, what: str = "server error") -> None:
        self._what = what

    async def sample(self, request: Request) -> Answer:
        if request.parent:
            raise DrawFailed(self._what, "no")
        return Answer(f"Action: get {request.draw + 1} sand")


def test_a_node_without_any_usable_draw_is_a_dead_end_and_not_a_return() -> None:
    tree = SearchTree(grown(FailsDeep("refusal"), iterations=4, samples=2))
    assert [node.terminal for node in tree.nodes] == [None, "dead_end", "dead_end"]
    assert tree.nodes[0].visits == 0
    assert list(tree.leaves()) == []
    assert tree.end_reason in ("exhausted", "iterations")


def test_a_search_that_never_got_an_answer_is_no_finished_search(tmp_path: Path) -> None:
    """An unreachable server, a wrong name of a model: the root is no dead end, and the same trace goes on later."""
    whole = scripted(tmp_path / "whole.trace.jsonl")
    whole.run_blocking()
    path = tmp_path / "t.trace.jsonl"
    with TraceWriter(path) as writer:
        for event in grown(Fails(0, 1, 2, 3, what="connection"), iterations=4, error_rate=0.5):
            writer.write(event)
    tree = load(path).tree
    assert (tree.end_reason, tree.state, len(tree.failures)) == ("failures", "stopped", 4)
    assert resume_job(path).run_blocking() == "iterations"
    assert compare(read_events(whole.path), read_events(path)) == []


def test_too_many_failures_in_a_row_end_the_search_resumably() -> None:
    tree = SearchTree(grown(FailsDeep(), iterations=50, samples=4))
    assert tree.end_reason == "failures"
    assert tree.state == "stopped"
    assert len(tree.failures) == SearchSettings().max_failures
    assert [node.terminal for node in tree.nodes] == [None] * 5, "no dead end by outage"


def scripted(path: Path, delay: float = 0.0, **settings: Any) -> Any:
    chosen = SearchSettings(**{"iterations": 4, "error_rate": 0.5, **settings})
    return new_job("textcraft", "2", chosen, path, delay=delay)


def test_a_stopped_search_resumes_into_the_uninterrupted_trace(tmp_path: Path) -> None:
    whole = scripted(tmp_path / "whole.trace.jsonl")
    whole.run_blocking()
    for number, after in enumerate((1, 2, 5, 9, 14)):
        path = tmp_path / f"cut{number}.trace.jsonl"
        job = scripted(path)
        write = job.search.sink
        seen: list[int] = []

        def sink(
            event: AnyEvent, job: Any = job, write: Any = write, seen: list[int] = seen, after: int = after
        ) -> None:
            write(event)
            if isinstance(event, Expanded):
                seen.append(event.seq)
                if len(seen) == after:
                    job.control.stop()

        job.search.sink = sink
        assert job.run_blocking() == "stopped"
        assert resume_job(path).run_blocking() == "iterations"
        assert compare(read_events(whole.path), read_events(path)) == []


def test_a_trace_that_was_torn_anywhere_resumes_into_the_uninterrupted_trace(tmp_path: Path) -> None:
    whole = scripted(tmp_path / "whole.trace.jsonl")
    whole.run_blocking()
    data = whole.path.read_bytes()
    rng = random.Random(4)
    first = data.index(b"\n") + 1
    for number in range(25):
        path = tmp_path / f"torn{number}.trace.jsonl"
        kept = data[: rng.randrange(first, len(data))]
        path.write_bytes(kept)
        asked = sum(isinstance(event, Sampled) for event in read_events(path))
        job = resume_job(path)
        job.run_blocking()
        assert compare(read_events(whole.path), read_events(path)) == []
        calls = job.tree.calls
        assert calls == whole.tree.calls, "an answer that was written was asked for again"
        assert calls >= asked


def test_a_finished_search_has_nothing_to_resume(tmp_path: Path) -> None:
    job = scripted(tmp_path / "t.trace.jsonl")
    job.run_blocking()
    before = job.path.read_bytes()
    assert resume_job(job.path).run_blocking() == "iterations"
    assert job.path.read_bytes() == before


def test_pause_step_and_resume_from_another_thread(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    job = new_job(
        "textcraft", "2", SearchSettings(iterations=4, error_rate=0.5), path, delay=0.001, control=Control(paused=True)
    )
    thread = threading.Thread(target=job.run_blocking)
    thread.start()

    def expansions() -> int:
        return sum(isinstance(event, Expanded) for event in read_events(path))

    def wait_for(count: int) -> None:
        until = time.monotonic() + 20
        while expansions() < count:
            assert time.monotonic() < until, "the search did not go on"
            time.sleep(0.01)

    time.sleep(0.1)
    assert expansions() == 0
    for count in (1, 2, 3):
        job.control.step()
        wait_for(count)
        time.sleep(0.05)
        assert expansions() == count
    job.control.resume()
    thread.join(30)
    assert not thread.is_alive()
    plain = scripted(tmp_path / "plain.trace.jsonl")
    plain.run_blocking()
    assert compare(read_events(path), read_events(plain.path)) == []


def test_stop_does_not_wait_for_slow_answers_and_keeps_those_that_came(tmp_path: Path) -> None:
    class Slow:
        async def sample(self, request: Request) -> Answer:
            await asyncio.sleep(0 if request.draw < 2 else 1_000)
            return Answer(f"Action: get {request.draw + 1} sand")

    opened = open_environment("textcraft", "2")
    events: list[AnyEvent] = []
    search = Search.begin(started_event(opened, SearchSettings()), opened, Slow(), events.append)
    threading.Timer(0.2, search.control.stop).start()
    assert asyncio.run(search.run()) == "stopped"
    assert sorted(event.draw for event in events if isinstance(event, Sampled)) == [0, 1]
    assert isinstance(events[-1], Ended)
    assert list(SearchTree(events).in_flight) == [0]


def test_the_search_ends_when_the_root_is_exhausted() -> None:
    events = grown(Says("Action: inventory"), iterations=50, max_depth=2, samples=1)
    tree = SearchTree(events)
    assert tree.end_reason == "exhausted"
    assert tree.iteration < 50
    assert all(isinstance(event, AnyEvent) for event in events)


def test_what_was_selected_can_be_explained_from_the_trace() -> None:
    """The ties that `selected` records are the ties of the tree at that moment."""
    from engine.search.child_scores import best_children

    events = grown(Waits(1), iterations=4, max_depth=6)
    tree = SearchTree()
    checked = 0
    for event in events:
        if isinstance(event, Selected):
            for parent, child, ties in zip(event.path[:-1], event.path[1:], event.ties, strict=True):
                best = best_children(tree, parent, 0.25)
                assert len(best) == ties
                assert child in best
                checked += 1
        tree.apply(event)
    assert checked > 10


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"iterations": 0}, "iterations"),
        ({"c": -1.0}, "c"),
        ({"samples": 0}, "samples"),
        ({"algorithm": "x"}, "algorithm"),
    ],
)
def test_an_unusable_setting_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        check_settings(SearchSettings(**changes))


def test_a_recording_that_ends_early_fails_draws_instead_of_crashing(tmp_path: Path) -> None:
    path = recording("textcraft/31") / "replay.json.gz"
    raw = json.loads(gzip.decompress(path.read_bytes()))
    raw["responses"] = raw["responses"][:20]
    short = tmp_path / "short.json"
    short.write_text(json.dumps(raw))
    name = f"recorded:{short}"
    job = new_job(name, None, SearchSettings(actor=name, **recorded_settings(name)), tmp_path / "t.trace.jsonl")
    job.run_blocking()
    assert {failure.what for failure in job.tree.failures} == {"not recorded"}
    assert load(job.path).tree.failures
    assert actor_of_recording(str(short))


class Odd(Walk):
    """Answers with half a character, and with a score that is no number."""

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        super().step(action)
        return "half \ud800 a character", float("nan") if action == "b" else 0.0, False, False, {}


def test_half_characters_and_scores_that_are_no_numbers_do_not_spoil_a_trace(tmp_path: Path) -> None:
    opened = Opened(Odd(), "textcraft", "0", "go", {})
    path = tmp_path / "t.trace.jsonl"
    with TraceWriter(path) as writer:
        settings = SearchSettings(iterations=1, max_depth=1, samples=2)
        started = started_event(opened, settings)
        search = Search.begin(started, opened, Says("a \udfff", "b"), writer.write)
        asyncio.run(search.run())
    tree = load(path).tree
    assert tree.nodes[1].response == "a \ufffd"
    assert tree.nodes[1].observation == "half \ufffd a character"
    assert {failure.what for failure in tree.failures} == {"step failed"}


# -- several expansions in flight, other algorithms ------------------------------------------------------


@pytest.mark.parametrize("nodes", [1, 2, 4, 7])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_number_of_calls_at_once_never_changes_a_trace(algorithm: str, nodes: int) -> None:
    settings: dict[str, Any] = {"iterations": 12, "max_depth": 5, "algorithm": algorithm, "parallel_nodes": nodes}
    traces = [grown(Waits(wait), concurrency=calls, **settings) for wait, calls in ((1, 1), (2, 16), (3, 5))]
    assert compare(traces[0], traces[1]) == []
    assert compare(traces[1], traces[2]) == []
    tree = SearchTree(traces[0])
    assert tree.end_reason == "iterations"
    assert tree.iteration == 12
    assert tree.in_flight == {}
    assert tree.walks == []
    assert max(len(event.in_flight) for event in traces[0] if isinstance(event, Selected)) <= nodes - 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_parallel_nodes_fill_the_flight_and_never_expand_a_node_twice(algorithm: str) -> None:
    events = grown(Waits(1), iterations=16, max_depth=5, algorithm=algorithm, parallel_nodes=4, concurrency=16)
    assert max(len(event.in_flight) for event in events if isinstance(event, Selected)) == 3
    tree = SearchTree()
    for event in events:
        if isinstance(event, Selected):
            assert event.path[-1] not in tree.in_flight
            node = tree.nodes[event.path[-1]]
            assert not node.expanded or node.id in tree.partial
        tree.apply(event)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("nodes", [1, 3])
def test_a_torn_trace_resumes_into_the_uninterrupted_one_whatever_the_algorithm(
    algorithm: str, nodes: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "iterations": 10, "max_depth": 6, "algorithm": algorithm, "parallel_nodes": nodes,
    }  # fmt: skip
    whole = scripted(tmp_path / "whole.trace.jsonl", **settings)
    whole.run_blocking()
    data = whole.path.read_bytes()
    rng = random.Random(7)
    for number in range(8):
        path = tmp_path / f"torn{number}.trace.jsonl"
        path.write_bytes(data[: rng.randrange(data.index(b"\n") + 1, len(data))])
        job = resume_job(path)
        job.run_blocking()
        assert compare(read_events(whole.path), read_events(path)) == []
        assert job.tree.calls == whole.tree.calls


@pytest.mark.parametrize("algorithm", ["uct", "puct"])
def test_a_rollout_makes_one_draw_a_step_and_its_nodes_are_expanded_in_full_later(algorithm: str) -> None:
    events = grown(Waits(1), iterations=30, max_depth=4, algorithm=algorithm)
    drawn: dict[int, int] = {}
    rolled = completed = 0
    for event in events:
        if isinstance(event, Sampled):
            drawn[event.parent] = drawn.get(event.parent, 0) + 1
        elif isinstance(event, Expanded):
            if event.partial:
                assert drawn[event.parent] == 1
                rolled += 1
            else:
                assert drawn[event.parent] == 4
                completed += len(event.children) + len(event.repeats) == 3
    assert rolled > 10
    assert completed > 0, "no rollout node was expanded in full later"
    tree = SearchTree(events)
    assert all(tree.visits(leaf.id) == 1 for leaf in tree.leaves())


def test_best_first_expands_the_open_node_with_the_greatest_score_first() -> None:
    tree = SearchTree()
    checked = 0
    for event in grown(Waits(1), iterations=12, max_depth=5, algorithm="best-first"):
        if isinstance(event, Selected):
            open_nodes = [node for node in tree.nodes if node.terminal is None and not node.expanded]
            chosen = tree.nodes[event.path[-1]]
            assert (chosen.reward, chosen.prior) == max((node.reward, node.prior) for node in open_nodes)
            checked += 1
        tree.apply(event)
    assert checked == 12


def test_virtual_loss_lowers_what_is_in_flight_and_is_told_apart() -> None:
    tree = SearchTree(grown(Waits(1), iterations=6, max_depth=5))
    child = next(child for child in tree.children(0) if tree.visits(child) and not tree.exhausted(child))
    plain = dict(scores(tree, 0, 0.25))[child]
    lost = dict(scores(tree, 0, 0.25, in_flight={0: 2, child: 2}))[child]
    assert plain.virtual_loss == 0
    assert lost.exploitation == plain.exploitation
    assert lost.total < plain.total or not plain.exploitation
    assert math.isclose(lost.total, (plain.exploitation or 0) - lost.virtual_loss + lost.exploration)
    unseen = [child for child in tree.children(0) if not tree.visits(child)]
    for child in unseen:
        assert dict(scores(tree, 0, 0.25))[child].total == math.inf
        assert not dict(scores(tree, 0, 0.25, in_flight={0: 1, child: 1}))[child].selectable


def test_priors_steer_puct() -> None:
    class Sure:
        async def sample(self, request: Request) -> Answer:
            return Answer(f"Action: get {request.draw + 1} sand", prior=0.9 if request.draw == 2 else 0.01)

    tree = SearchTree(grown(Sure(), iterations=25, max_depth=3, algorithm="puct", c=2.0))
    visits = [tree.visits(child) for child in tree.children(0)]
    assert max(visits) == visits[2]


# -- budgets and failures --------------------------------------------------------------------------------


class Paid:
    """Each answer costs tokens and money."""

    def __init__(self) -> None:
        self.calls = 0

    async def sample(self, request: Request) -> Answer:
        self.calls += 1
        await asyncio.sleep(0.001)
        return Answer(f"Action: get {request.draw + 1} sand", usage=Usage(tokens_in=90, tokens_out=10, cost=0.01))


@pytest.mark.parametrize(
    ("budget", "reason", "most"),
    [
        ({"budget_tokens": 2_000}, "budget: tokens", 20),
        ({"budget_cost": 0.155}, "budget: cost", 16),
        ({"budget_calls": 13}, "budget: calls", 13),
    ],
)
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_budget_is_overrun_by_at_most_what_was_in_flight(
    budget: dict[str, Any], reason: str, most: int, concurrency: int
) -> None:
    actor = Paid()
    events = grown(actor, iterations=50, samples=8, concurrency=concurrency, **budget)
    tree = SearchTree(events)
    assert tree.end_reason == reason
    assert tree.state == "stopped"
    assert most <= actor.calls <= most + concurrency - 1
    assert tree.calls == actor.calls


def test_budgets_of_time_and_of_good_leaves_end_the_search_and_it_goes_on_with_more(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    job = scripted(path, iterations=8, budget_good=3)
    assert job.run_blocking() == "budget: good"
    assert 3 <= sum(leaf.reward > 0.5 for leaf in job.tree.leaves()) <= 6
    assert resume_job(path).run_blocking() == "budget: good"
    assert resume_job(path, changes={"budget_good": None}).run_blocking() == "iterations"
    assert scripted(tmp_path / "u.trace.jsonl", delay=0.05, budget_seconds=0.3).run_blocking() == "budget: seconds"


def test_too_many_failures_pause_a_search_that_has_a_screen() -> None:
    opened = open_environment("textcraft", "2")
    events: list[AnyEvent] = []
    control = Control(waits_on_failures=True)
    settings = SearchSettings(iterations=50)
    search = Search.begin(started_event(opened, settings), opened, FailsDeep(), events.append, control)

    def stop_when_paused(event: AnyEvent) -> None:
        events.append(event)
        if isinstance(event, Paused):
            control.stop()

    search.sink = stop_when_paused
    assert asyncio.run(search.run()) == "stopped"
    paused = next(event for event in events if isinstance(event, Paused))
    assert paused.reason == "12 draws in a row failed, the last (server error): no"


def test_settings_changed_on_the_way_hold_from_the_next_selection_and_are_in_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    scripted(path, iterations=2).run_blocking()
    job = resume_job(path, changes={"iterations": 5, "c": 1.0})
    assert job.run_blocking() == "iterations"
    assert job.tree.iteration == 5
    assert load(path).tree.iteration == 5
    with pytest.raises(InputError, match="iterations"):
        resume_job(path, changes={"iterations": "many"})
    with pytest.raises(InputError, match="speed"):
        resume_job(path, changes={"speed": 1})
