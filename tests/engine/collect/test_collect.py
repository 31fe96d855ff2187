"""Collections: what a worker does, what is done twice (nothing), and how one ends."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from engine.base.errors import InputError
from engine.collect.limits import SharedLimits
from engine.collect.manifest import log_of, manifest_of, open_manifest, trace_path
from engine.collect.messages import (
    Finished,
    FromWorker,
    Grant,
    Halt,
    Orders,
    Report,
    RunTask,
    Spent,
    ToWorker,
    Wants,
    line_of,
)
from engine.collect.run import Plan, collect, collected, prepare, with_defaults
from engine.collect.task_ledger import Budget, Ledger
from engine.collect.worker import serve
from engine.search.job import new_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import SearchSettings
from tests.servers.llm_server import LLMServer

SETTINGS = SearchSettings(algorithm="lessons", iterations=12, max_depth=8)


def plan(out: Path, tasks: str = "0 1 2 3", **more: Any) -> Plan:
    """A collection over TextCraft."""
    settings = more.pop("settings", SETTINGS)
    return Plan(environment="textcraft", tasks=tasks.split(), settings=settings, out=out, short="textcraft", **more)


async def told(messages: list[ToWorker], metered: list[int] | None = None) -> list[FromWorker]:
    """What a worker says to these messages; `metered`: the calls that it is granted, one after the other."""
    read, said = asyncio.StreamReader(), list[FromWorker]()
    grants = list(metered or [])

    def say(message: FromWorker) -> None:
        said.append(message)
        if isinstance(message, Wants):
            read.feed_data(line_of(Grant(grants.pop(0) if grants else 0)))
        if isinstance(message, Finished):
            read.feed_eof()

    for message in messages:
        read.feed_data(line_of(message))
    await serve(read, say)
    return said


def orders(metered: bool = False) -> Orders:
    return Orders(environment="textcraft", settings=SETTINGS, choose_actor=True, slots=2, metered=metered)


async def test_a_worker_makes_the_trace_that_a_search_alone_makes(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    said = await told([orders(), RunTask("2", str(path))])
    alone = new_job("textcraft", "2", SETTINGS, tmp_path / "alone.trace.jsonl")
    await alone.run()
    assert compare(read_events(path), read_events(alone.path)) == []
    assert isinstance(said[0], Report)
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert (finished.outcome, finished.spent.calls) == ("done", alone.tree.calls)


async def test_a_worker_goes_on_with_a_trace_that_was_cut_anywhere(tmp_path: Path) -> None:
    whole = new_job("textcraft", "2", SETTINGS, tmp_path / "whole.trace.jsonl")
    await whole.run()
    data = whole.path.read_bytes()
    for size in (0, 10, data.index(b"\n") + 1, len(data) // 3, len(data) - 5):
        path = tmp_path / f"cut{size}.trace.jsonl"
        path.write_bytes(data[:size])
        await told([orders(), RunTask("2", str(path))])
        assert compare(read_events(whole.path), read_events(path)) == []
        assert load(path).tree.calls == whole.tree.calls


async def test_a_worker_makes_only_the_calls_that_it_is_granted(tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    said = await told([orders(metered=True), RunTask("2", str(path))], metered=[5, 4, 2])
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert (finished.outcome, finished.spent.calls) == ("halted", 11)
    assert load(path).tree.state == "stopped"


async def test_a_task_that_is_unknown_is_hopeless_and_one_that_is_written_elsewhere_is_left_alone(
    tmp_path: Path,
) -> None:
    said = await told([orders(), RunTask("nonsense", str(tmp_path / "n.trace.jsonl"))])
    assert isinstance(said[-1], Finished)
    assert said[-1].outcome == "hopeless"
    assert "no task 'nonsense'" in said[-1].error
    running = new_job("textcraft", "2", SETTINGS, tmp_path / "t.trace.jsonl")
    try:
        said = await told([orders(), RunTask("2", str(running.path))])
        assert [message.outcome for message in said if isinstance(message, Finished)] == ["elsewhere"]
    finally:
        running.writer.close()


async def test_a_worker_whose_collector_is_gone_ends_its_search_cleanly(tmp_path: Path) -> None:
    read = asyncio.StreamReader()
    path = tmp_path / "t.trace.jsonl"
    slow = Orders(environment="textcraft", settings=SETTINGS, choose_actor=True, slots=2, delay=0.01)
    for message in (slow, RunTask("2", str(path))):
        read.feed_data(line_of(message))
    read.feed_eof()
    said = list[FromWorker]()
    await serve(read, said.append)
    assert [message.outcome for message in said if isinstance(message, Finished)] == ["halted"]


async def test_calls_wait_for_a_slot_and_for_their_turn() -> None:
    limits, running, most, starts = SharedLimits(3, 0.002), 0, 0, list[float]()

    async def call() -> None:
        nonlocal running, most
        async with limits:
            running += 1
            most = max(most, running)
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.01)
            running -= 1

    await asyncio.gather(*(call() for _ in range(12)))
    assert most == 3
    assert starts[-1] - starts[0] >= 11 * 0.002


async def test_a_collection_whose_workers_are_killed_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    settings = SearchSettings(algorithm="lessons", iterations=60, max_depth=8)
    chosen = plan(tmp_path / "c", settings=settings, workers=2, choose_actor=True)
    collector = prepare(chosen)
    killed = list[int]()

    def kill_one() -> None:  # as soon as it told of a search that it did not end
        if collector.ledger.under_way and len(killed) < 2 and collector.pids[0] not in killed:
            killed.append(collector.pids[0])
            os.kill(killed[-1], signal.SIGKILL)

    collector.changed = kill_one
    await collector.run()
    found = collected(chosen, collector.ledger, collector.halted)
    assert (found.done, found.failed, found.lost) == (4, [], 2)
    calls = 0
    for task in chosen.tasks:
        alone = new_job("textcraft", task, settings, tmp_path / f"{task}.trace.jsonl", choose_actor=True)
        await alone.run()
        path = collector.ledger.paths[task]
        assert compare(read_events(alone.path), read_events(path)) == []
        calls += alone.tree.calls
    assert found.calls == calls
    again = await collect(chosen)
    assert (again.done, again.calls, again.lost) == (4, calls, 0), "what is done is not done again"


def ledger_of(out: Path, attempts: int = 2, budget: Budget = Budget()) -> Ledger:  # noqa: B008
    paths = {task: out / f"{task}.trace.jsonl" for task in "ab"}
    return Ledger(["a", "b"], paths, log_of(out), attempts, budget)


def test_a_task_that_fails_is_tried_again_so_often_and_then_given_up(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    assert ledger.next_task() == "a"
    ledger.ended(Finished("a", "failed", Spent(), error="no"))
    assert not ledger.outcomes
    assert ledger.next_task() == "b", "the other one first: a failure waits"
    assert ledger.wait()
    ledger._later[0] = (0.0, "a")
    assert ledger.next_task() == "a"
    ledger.ended(Finished("a", "failed", Spent(), error="no"))
    assert ledger.outcomes["a"].error == "no"
    ledger.ended(Finished("b", "hopeless", Spent()))
    assert ledger.settled


def test_a_task_that_kills_its_workers_is_given_up_unless_it_gets_further_each_time(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    for nodes in (2, 3, 4, 5):
        assert ledger.next_task() == "a"
        ledger.report("a", Spent(nodes=nodes))
        ledger.give_back("a", begun=True)
    for begun in (False, False, True):
        assert ledger.next_task() == "a"
        ledger.give_back("a", begun)
    assert ledger.next_task() == "a"
    ledger.give_back("a", begun=True)
    assert "2 times" in ledger.outcomes["a"].error


def test_a_search_whose_file_grows_by_failures_alone_is_given_up(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path, attempts=3)
    tried = 0
    while not ledger.settled:
        ledger._later = [(0.0, task) for _, task in ledger._later]
        if ledger.next_task() == "b":
            ledger.ended(Finished("b", "done", Spent()))
            continue
        tried += 1
        with ledger.paths["a"].open("a") as file:
            file.write("failed, ended, resumed\n")
        answers = min(tried, 4)  # the outage lets it get further four times
        ledger.ended(Finished("a", "owed", Spent(calls=answers, nodes=1), error="no"))
    assert (tried, ledger.outcomes["a"].outcome) == (4 + 2, "owed")


@pytest.mark.parametrize(("samples", "outcome"), [(1, "done"), (2, "failed")])
async def test_a_model_none_of_whose_first_answers_is_usable_owes_nothing(
    samples: int, outcome: str, tmp_path: Path
) -> None:
    with LLMServer(faults=lambda call: "refusal") as server:
        settings = SearchSettings(actor="openai", model="m", base_url=server.url, iterations=1, samples=samples)
        order = Orders(environment="textcraft", settings=settings, choose_actor=False, slots=2)
        said = await told([order, RunTask("2", str(tmp_path / "t.trace.jsonl"))])
    finished = said[-1]
    assert isinstance(finished, Finished)
    assert (finished.outcome, finished.reason, len(server.calls)) == (outcome, "failures", samples)
    assert ("refusal" in finished.error) is (outcome == "failed")


def test_budgets_count_what_earlier_runs_used_and_what_workers_hold(tmp_path: Path) -> None:
    first = ledger_of(tmp_path)
    first.next_task()
    first.ended(Finished("a", "done", Spent(calls=30, tokens_in=5, tokens_out=1, cost=0.5, nodes=9)))
    (tmp_path / "a.trace.jsonl").write_bytes(b"x")
    ledger = ledger_of(tmp_path, budget=Budget(calls=40, cost=1.0))
    assert (ledger.total.calls, ledger.total.tokens, ledger.total.cost, ledger.before) == (30, 6, 0.5, 1)
    assert [ledger.grant(1) for _ in range(9)] == [2, 2, 1, 1, 1, 1, 1, 1, 0], "10 are left"
    ledger.next_task()
    assert ledger.report("b", Spent(calls=8, cost=0.6, nodes=3)) == 8
    assert (ledger.granted, ledger.over_budget()) == (2, "cost")
    ledger.ended(Finished("b", "halted", Spent(calls=8, cost=0.6, nodes=3)))
    assert (ledger.total.calls, ledger.total.cost) == (38, 1.1), "what was told twice is used once"
    assert ledger_of(tmp_path).total.calls == 38


def test_a_folder_holds_one_collection(tmp_path: Path) -> None:
    first = manifest_of("textcraft", SETTINGS, True, False)
    assert open_manifest(tmp_path, first) == first
    other = SearchSettings(algorithm="lessons", iterations=12, max_depth=8, concurrency=99, timeout=3.0)
    assert open_manifest(tmp_path, manifest_of("textcraft", other, True, False)) == first, "how it is run may change"
    deeper = SearchSettings(algorithm="lessons", iterations=12, max_depth=9)
    with pytest.raises(InputError, match="max_depth 8, now --max-depth is 9"):
        open_manifest(tmp_path, manifest_of("textcraft", deeper, True, False))
    with pytest.raises(InputError, match="--env is 'webshop'"):
        open_manifest(tmp_path, manifest_of("webshop", SETTINGS, True, False))


def test_each_task_has_a_file_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    manifest = manifest_of("textcraft", SETTINGS, True, True)
    names = {trace_path(tmp_path, manifest, "x", task).name for task in ("a/b", "a-b", "../a", "é", "è", "a" * 200)}
    assert len(names) == 6
    assert all("/" not in name and name.endswith("-s0.trace.jsonl.zst") and len(name) < 120 for name in names)


def test_a_collection_searches_for_lessons_where_nobody_says_otherwise() -> None:
    assert (with_defaults(SearchSettings(), []).algorithm, with_defaults(SearchSettings(), []).iterations) == (
        "lessons",
        40,
    )
    chosen = SearchSettings(algorithm="uct", iterations=9)
    assert with_defaults(chosen, ["algorithm", "iterations"]) == chosen
    assert with_defaults(SearchSettings(algorithm="agent-r"), ["algorithm"]).iterations == 4


async def test_halt_ends_searches_after_what_is_in_flight(tmp_path: Path) -> None:
    said = await told([orders(), Halt("enough"), RunTask("2", str(tmp_path / "t.trace.jsonl"))])
    assert [message.outcome for message in said if isinstance(message, Finished)] == ["halted"]
    assert not (tmp_path / "t.trace.jsonl").exists()
