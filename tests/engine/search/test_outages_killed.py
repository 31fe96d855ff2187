"""Searches that an outage ended, gone on with: exit codes, last lines, and the tree of a search that nothing hit."""

from __future__ import annotations

import random
import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.search.job import new_job
from engine.trace.diff import compare
from engine.trace.sources import load_any
from engine.trace.trace_file import TraceWriter, load, read_events
from engine.tree.events import AnyEvent, Ended, Expanded, Failed, Iteration, Resumed, Sampled, SearchSettings, Selected
from engine.tree.tree import SearchTree
from engine.workspace.figures import state_of
from envs.base import EnvironmentInfo, register
from tests.engine.search.test_outages import HOPELESS, OUTAGES, SLOW, nodes_of, seeds_of, weather
from tests.fixtures import own_environments
from tests.servers.agentgym_server import Live, Server
from tests.servers.llm_server import Call, LLMServer, no_faults

TIMES = 50
PARTS = 5  # so that each takes its time on a busy machine
SMALL = ["--iterations", "3", "--max-depth", "4", "--samples", "3", "--actor", "openai", "--model", "m"]


@pytest.fixture(autouse=True)
def _small_waits(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("engine.models.client.FIRST_WAIT", 0.001)
    monkeypatch.setattr("envs.agentgym.env.FIRST_WAIT", 0.001)
    weather.__init__()  # type: ignore[misc]
    with own_environments():
        register(EnvironmentInfo("frail", "for tests", "tests.engine.search.test_outages:frail", "Craft it."))
        yield
    weather.__init__()  # type: ignore[misc]


def searched(server: LLMServer, out: Path, *more: str, environment: str = "textcraft") -> int:
    """The exit code of a search over the server."""
    where = ["--env", environment, "--task", "2", "--base-url", server.url, "--timeout", "5", "--retries", "1"]
    return run(["search", *where, *SMALL, "--out", str(out), *more])


def stats_state(path: Path) -> str:
    """As `stats` and the library tell it."""
    source = load_any(path)
    return state_of(source.tree, path)


@pytest.mark.parametrize("part", range(PARTS))
def test_50_searches_that_every_kind_of_outage_ended_become_the_uninterrupted_one(
    part: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(part)
    whole = {nodes: tmp_path / f"whole{nodes}.trace.jsonl" for nodes in (1, 3)}
    with LLMServer(unsupported="logprobs") as server:
        for nodes, path in whole.items():
            assert searched(server, path, "--parallel-nodes", str(nodes)) == 0
    calls = len(server.calls) // 2
    ended = 0
    for number in range(part, TIMES, PARTS):
        kind, nodes = OUTAGES[number % len(OUTAGES)], rng.choice((1, 3))
        first, out = rng.randrange(4, calls // 2), tmp_path / f"{number}.trace.jsonl"

        def faults(call: Call, kind: str = kind, first: int = first) -> str | None:
            return kind if call.number >= first else None

        capfd.readouterr()
        with LLMServer(faults=faults, hang=0.05, unsupported="temperature" if kind == "unsupported" else "") as server:
            many = ["--parallel-nodes", str(nodes), "--concurrency", str(rng.choice((1, 8)))]
            limit = ["--max-failures", "2" if kind in SLOW else "5"]
            if kind == "unsupported":  # of a parameter that can't be left out: every call fails from the first on
                server.unsupported, server.faults = "model", no_faults
            assert searched(server, out, *many, *limit) == 1, kind
            said = capfd.readouterr()
            assert said.out.splitlines()[-1].startswith(f"{out}: failures; ")
            assert " owed" in said.out
            line = said.err.splitlines()[-1]  # others may tell of refused actions
            assert line.endswith(f"; fix the cause, then: agentr search --resume {out}")
            if kind in HOPELESS:
                assert line.startswith("agentr: no further call would be answered (")
            elif kind != "unsupported":
                assert line.startswith(f"agentr: {limit[1]} draws in a row failed, the last (")
            else:
                assert re.match(
                    r"agentr: none of the \d+ answers was usable, the last \((unsupported|bad request)\): ", line
                )
            assert stats_state(out) == "stopped"
            ended += 1
            written, asked = seeds_of(read_events(out)), len(server.calls)
            server.faults, server.unsupported = no_faults, ""
            assert run(["search", "--resume", str(out)]) == 0
            assert not [call for call in server.calls[asked:] if call.seed in written], kind
            assert server.asked_twice() == 0
        assert stats_state(out) == "done"
        found = compare(read_events(whole[nodes]), read_events(out))
        assert [str(each) for each in found if "max_failures" not in each.field] == [], kind
    assert ended == TIMES // PARTS


def dies_after(steps: int | None) -> Any:
    """What a server of its own answers, until it has made so many steps."""
    state, numbers = Live(), count(1)

    def answer(method: str, path: str, body: Any) -> Any:
        if steps is not None and path == "/step" and next(numbers) >= steps:
            return 0, None
        return state.answer(method, path, body)

    return answer


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_a_search_whose_environment_server_dies_12_times_becomes_the_uninterrupted_one(
    nodes: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng, kills = random.Random(nodes), 0
    with LLMServer() as server:
        live = Live()
        up = Server(live.answer)
        name = f"agentgym:textcraft@{up.url}?patience=0.05"
        whole = tmp_path / "whole.trace.jsonl"
        how = ["--parallel-nodes", str(nodes), "--max-failures", "3"]
        assert searched(server, whole, *how, environment=name) == 0
        number = 0
        while kills < 12:
            out = tmp_path / f"killed{number}.trace.jsonl"
            server.calls.clear()
            number += 1
            code: int | None = None
            while code != 0:
                left = rng.randrange(2, 40) if kills < 12 else None

                up.stop()
                up = Server(dies_after(left), port=up.port)
                written, asked = seeds_of(read_events(out)) if code is not None else set(), len(server.calls)
                capfd.readouterr()
                if code is None:
                    code = searched(server, out, *how, environment=name)
                else:
                    code = run(["search", "--resume", str(out)])
                assert not [call for call in server.calls[asked:] if call.seed in written]
                if code:
                    kills += 1
                    assert code == 1
                    said = capfd.readouterr()
                    assert said.err.splitlines()[-1].startswith(
                        "agentr: 3 steps in a row failed, the last (environment gone): "
                    )
                    # as many as were stepped side by side, at most
                    assert re.search(r" answers? owed$", said.out, re.MULTILINE)
                    assert stats_state(out) == "stopped"
            assert stats_state(out) == "done"
            assert server.asked_twice() == 0
            assert compare(read_events(whole), read_events(out)) == []
        up.stop()
    assert kills >= 12


@pytest.mark.parametrize("environment", ["frail", "frail:plain"])
@pytest.mark.parametrize("way", ["dies", "fails"])
def test_an_environment_that_is_gone_ends_the_search_with_1_and_its_words(
    way: str, environment: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with LLMServer() as server:
        whole, out = tmp_path / "whole.trace.jsonl", tmp_path / "t.trace.jsonl"
        assert searched(server, whole, environment=environment) == 0
        for first in (0, 1, 5, 17):
            weather.__init__()  # type: ignore[misc]
            if way == "dies":
                weather.dies = set(range(first, 100_000))
            else:
                weather.gone_from = first
            words = "the simulator crashed" if way == "dies" else "the simulator does not answer"
            capfd.readouterr()
            code = searched(server, out, environment=environment)
            said = capfd.readouterr()
            assert code == 1
            told = f"agentr: 12 steps in a row failed, the last (environment gone): {words}; fix the cause"
            if way == "fails" and first < 2:  # nothing is in the tree yet: that no action works is all that is known
                told = f"agentr: none of the 3 answers was usable, the last (step failed): {words}; fix the cause"
            assert said.err.splitlines()[-1].startswith(told)
            tree = load(out).tree
            assert not [node for node in tree.nodes if node.terminal == "dead_end"]
            assert stats_state(out) == "stopped"
            weather.__init__()  # type: ignore[misc]
            assert run(["search", "--resume", str(out)]) == 0
            assert compare(read_events(whole), read_events(out)) == []
            out.unlink()


def test_an_action_at_which_a_living_environment_fails_is_an_answer_about_the_node(tmp_path: Path) -> None:
    from envs.base import EnvError
    from envs.textcraft.env import TextCraft

    class Picky(TextCraft):
        def step(self, action: str) -> Any:
            if action.startswith("get"):
                raise EnvError("a get is no action here")
            return super().step(action)

    import tests.engine.search.test_outages_killed as here

    here.picky = lambda argument: Picky()  # type: ignore[attr-defined]
    register(EnvironmentInfo("picky", "for tests", f"{__name__}:picky", "Craft it."))
    settings = SearchSettings(iterations=4, max_depth=4, error_rate=0.9)
    job = new_job("picky", "2", settings, tmp_path / "t.trace.jsonl")
    assert job.run_blocking() in ("iterations", "exhausted")
    assert {failure.what for failure in job.tree.failures} == {"step failed"}
    assert job.tree.owed == {}


def as_version_1_left_it(events: list[AnyEvent], what: str) -> list[AnyEvent]:
    """The events up to a selection, and what followed where every draw, or step, met an outage."""
    cut = [event.seq for event in events if isinstance(event, Selected) and len(event.path) > 1][2]
    kept = list(events[: cut + 1])
    node, number = kept[-1].path[-1], SearchTree(kept).iteration + 1  # type: ignore[union-attr]
    if what == "environment":
        answers = [event for event in events if isinstance(event, Sampled) and event.parent == node]
        kept += [_renumbered(event, len(kept) + place) for place, event in enumerate(answers)]
    for draw in range(3):
        kept.append(Failed(seq=len(kept), parent=node, draw=draw, what=what, error="gone"))
    kept.append(Expanded(seq=len(kept), parent=node))
    kept.append(Iteration(seq=len(kept), number=number, leaf=node))
    kept.append(Ended(seq=len(kept), reason="iterations"))
    return kept


def _renumbered(event: Sampled, seq: int) -> Sampled:
    from msgspec.structs import replace

    return replace(event, seq=seq)


@pytest.mark.parametrize("what", ["environment", "connection", "authentication"])
def test_a_trace_that_version_1_left_with_dead_ends_by_outage_is_gone_on_with(what: str, tmp_path: Path) -> None:
    with LLMServer() as server:
        whole, out = tmp_path / "whole.trace.jsonl", tmp_path / "old.trace.jsonl"
        assert searched(server, whole) == 0
        events = as_version_1_left_it(list(read_events(whole)), what)
        with TraceWriter(out) as writer:
            for event in events:
                writer.write(event)
        tree = load(out).tree
        assert not [node for node in tree.nodes if node.terminal == "dead_end"]
        assert (tree.draws_owed, stats_state(out)) == (3, "stopped")
        asked, written = len(server.calls), seeds_of(events)
        assert run(["search", "--resume", str(out)]) == 0
        assert not [call for call in server.calls[asked:] if call.seed in written]
    assert any(isinstance(event, Resumed) for event in read_events(out))
    assert nodes_of(load(out).tree) == nodes_of(load(whole).tree)
    assert stats_state(out) == "done"


def test_a_search_that_is_stopped_with_draws_owed_is_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with LLMServer(faults=lambda call: "server error" if call.number >= 8 else None) as server:
        out = tmp_path / "t.trace.jsonl"
        assert searched(server, out, "--budget-calls", "10", "--max-failures", "50") == 1
        said = capfd.readouterr()
        assert ": budget: calls; " in said.out
        assert " answer owed" in said.out
        assert "owed, the last (server error): 500: it broke" in said.err
        assert stats_state(out) == "stopped"
