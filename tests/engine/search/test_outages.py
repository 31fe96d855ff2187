"""Outages: whatever goes away, and whenever, the search that goes on becomes the one that was never disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.actors.base import draw_seed
from engine.search.algorithms import ALGORITHMS
from engine.search.job import SearchJob, new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import (
    AnyEvent,
    Ended,
    Sampled,
    SearchSettings,
)
from engine.tree.tree import SearchTree
from engine.workspace.figures import state_of
from envs.base import EnvError, EnvironmentInfo, InstanceDied, register
from envs.textcraft.env import TextCraft
from tests.fixtures import own_environments
from tests.servers.llm_server import FAULTS, Call, LLMServer

ABOUT_NODE = ("empty", "refusal", "too long")
HOPELESS = {"authentication", "forbidden", "wrong model", "quota", "no money", "no money 200"}
SLOW = {"timeout", "drip", "too large"}
OUTAGES = tuple(kind for kind in FAULTS if kind not in ABOUT_NODE)


class Weather:
    """What becomes of the steps of the environments below, in this process."""

    def __init__(self) -> None:
        self.steps = 0
        self.dies: set[int] = set()  # numbers of steps at which an instance dies
        self.gone_from: int | None = None  # number of the step from which on there is no environment

    def step(self) -> None:
        """A step is made. Raises `EnvError`."""
        number, self.steps = self.steps, self.steps + 1
        if self.gone_from is not None and number >= self.gone_from:
            raise EnvError("the simulator does not answer")
        if number in self.dies:
            raise InstanceDied("the simulator crashed")


weather = Weather()


class Frail(TextCraft):
    """TextCraft on a machine that fails."""

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """One step. Raises `EnvError`."""
        weather.step()
        return super().step(action)


class FrailWithoutSnapshots(Frail):
    """The same, and its paths have to be repeated."""

    snapshot = restore = None  # type: ignore[assignment]


def frail(argument: str) -> TextCraft:
    """An environment that fails."""
    return FrailWithoutSnapshots() if argument == "plain" else Frail()


@pytest.fixture(autouse=True)
def _small_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("engine.models.client.FIRST_WAIT", 0.001)
    with own_environments():
        register(EnvironmentInfo("frail", "for tests", f"{__name__}:frail", "Craft it."))
        yield
    weather.__init__()  # type: ignore[misc]


def of(server: LLMServer, **changes: Any) -> SearchSettings:
    """Of a small search over the server."""
    values: dict[str, Any] = {"iterations": 4, "max_depth": 4, "samples": 3, "timeout": 5.0, "retries": 1}
    return SearchSettings(actor="openai", model="m", base_url=server.url, **{**values, **changes})


def speaks(call: Call) -> str | None:
    """Some draws are answered with nothing usable, whoever asks and whenever."""
    return ABOUT_NODE[call.seed % 3] if call.seed is not None and call.seed % 13 == 5 else None


@cache
def undisturbed(environment: str, algorithm: str, nodes: int) -> tuple[AnyEvent, ...]:
    """The events of a search that nothing happens to."""
    with TemporaryDirectory() as folder, LLMServer(faults=speaks, unsupported="logprobs") as server:
        path = Path(folder) / "t.trace.jsonl"
        chosen = of(server, algorithm=algorithm, parallel_nodes=nodes)
        assert new_job(environment, "2", chosen, path).run_blocking() in ("iterations", "exhausted")
        return tuple(read_events(path))


def goes_on(job: SearchJob, server: LLMServer, restarts: Callable[[], None], most: int = 300) -> list[str]:
    """Run it to its end, over every outage; the reasons for which it ended."""
    reasons = [job.run_blocking()]
    again: list[tuple[int, set[int]]] = []  # calls that there were when it went on, seeds of the draws written then
    while job.tree.state != "done":
        assert len(reasons) < most
        assert reasons[-1] in ("failures", "stopped")
        tree = load(job.path).tree
        assert state_of(tree, job.path) == "stopped"
        if reasons[-1] == "failures":
            assert job.search.outage
            assert tree.owed or list(tree.in_flight) == [0], "somebody could not be asked"
        restarts()
        again.append((len(server.calls), seeds_of(read_events(job.path))))
        job = resume_job(job.path)
        reasons.append(job.run_blocking())
    for first, written in again:
        assert not [call for call in server.calls[first:] if call.seed in written], "a written answer was asked again"
    return reasons


def seeds_of(events: Iterable[AnyEvent]) -> set[int]:
    """The seeds of the draws that were answered."""
    return {draw_seed(0, event.parent, event.draw) for event in events if isinstance(event, Sampled)}


def nodes_of(tree: SearchTree) -> list[tuple[Any, ...]]:
    """What a search made, without how it came to it."""
    return [
        (node.id, node.parent, node.response, node.observation, node.terminal, node.visits, node.value_sum)
        for node in tree.nodes
    ]


windows = st.tuples(st.sampled_from(OUTAGES), st.integers(0, 60), st.integers(1, 8))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    algorithm=st.sampled_from(list(ALGORITHMS)),
    nodes=st.sampled_from((1, 3)),
    concurrency=st.sampled_from((1, 8)),
    environment=st.sampled_from(("frail", "frail:plain")),
    model=st.lists(windows, max_size=2),
    dies=st.sets(st.integers(0, 90), max_size=15),
    gone_from=st.lists(st.integers(0, 60), max_size=2),
    stops=st.sets(st.integers(2, 80), max_size=3),
    most=st.integers(2, 12),
)
def test_the_draws_that_failed_are_made_again_when_it_goes_on(
    algorithm: str,
    nodes: int,
    concurrency: int,
    environment: str,
    model: list[tuple[str, int, int]],
    dies: set[int],
    gone_from: list[int],
    stops: set[int],
    most: int,
) -> None:
    weather.__init__()  # type: ignore[misc]
    whole = undisturbed(environment, algorithm, nodes)

    def faults(call: Call) -> str | None:
        for kind, begin, count in model:
            if begin <= call.number < begin + (min(count, 3) if kind in SLOW else count):
                return kind
        return speaks(call)

    weather.steps, weather.dies = 0, dies
    gone = list(gone_from)
    with TemporaryDirectory() as folder, LLMServer(faults=faults, hang=0.1, unsupported="logprobs") as server:
        path = Path(folder) / "t.trace.jsonl"
        chosen = of(
            server, algorithm=algorithm, parallel_nodes=nodes, concurrency=concurrency, max_failures=most
        )  # fmt: skip
        weather.gone_from = gone.pop() if gone else None

        def restarts() -> None:
            weather.gone_from = weather.steps + gone.pop() if gone else None

        job = new_job(environment, "2", chosen, path)
        stop_at(job, stops)
        reasons = goes_on(job, server, restarts)
        events = list(read_events(path))
        different = [str(found) for found in compare(whole, events, limit=3) if "max_failures" not in found.field]
        assert different == []
        assert server.asked_twice() == 0 or "stopped" in reasons, "only a stop drops calls in flight"
        answered = [(event.parent, event.draw) for event in events if isinstance(event, Sampled)]
        assert len(answered) == len(set(answered))
        assert len(answered) == sum(isinstance(event, Sampled) for event in whole)


def stop_at(job: SearchJob, moments: set[int]) -> None:
    """Stop the search after the events with these numbers; what is in flight then is lost."""
    write = job.search.sink

    def sink(event: AnyEvent) -> None:
        write(event)
        if event.seq in moments and not isinstance(event, Ended):
            job.control.stop()

    job.search.sink = sink
