"""Searches over a model server: faults, kills, resume, the key. Real HTTP on loopback, real processes."""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentr_tui.cli.main import run
from engine.search.job import new_job, resume_job
from engine.trace.diff import compare
from engine.trace.trace_file import load, read_events
from engine.tree.events import Failed, Sampled, SearchSettings
from tests.engine.go_on import IN_FLIGHT, go_on
from tests.engine.search.test_outages import HOPELESS
from tests.servers.llm_server import FAULTS, LLMServer, faults_after, no_faults, some_faults

KILLS = 30


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.client.FIRST_WAIT", 0.01)


def settings(server: LLMServer, **changes: Any) -> SearchSettings:
    """Of a small search over the server."""
    values: dict[str, Any] = {"iterations": 3, "max_depth": 6, "concurrency": 8, "timeout": 1.0, "retries": 6}
    return SearchSettings(actor="openai", model="m", base_url=server.url, **{**values, **changes})


def test_with_a_third_of_all_calls_failing_nothing_is_lost_and_nothing_paid_for_is_asked_again(tmp_path: Path) -> None:
    with LLMServer() as quiet:
        plain = new_job("textcraft", "2", settings(quiet), tmp_path / "plain.trace.jsonl")
        plain.run_blocking()
    with LLMServer(faults=some_faults(0.3), hang=2.0) as server:
        job = new_job("textcraft", "2", settings(server), tmp_path / "t.trace.jsonl")
        assert job.run_blocking() == "iterations"
        failed = [event for event in read_events(job.path) if isinstance(event, Failed)]
        faulty = sum(call.fault is not None for call in server.calls)
        assert faulty > 20
        assert len(failed) == faulty, "every fault is in the trace"
        assert server.asked_twice() == 0
    assert compare(read_events(plain.path), read_events(job.path)) == [], "faults that mend change nothing"


def test_with_a_third_of_all_calls_failing_in_every_way_the_search_goes_on_and_every_fault_is_in_the_trace(
    tmp_path: Path,
) -> None:
    with LLMServer(faults=some_faults(0.3, FAULTS, seed=3), hang=2.0, unsupported="logprobs") as server:
        chosen = settings(server, max_failures=1000, iterations=6, timeout=0.5)
        job = new_job("textcraft", "2", chosen, tmp_path / "t.trace.jsonl")
        ends = [job.run_blocking()]
        while ends[-1] == "failures":
            ends.append(resume_job(job.path).run_blocking())
        assert ends[-1] in ("iterations", "exhausted")
        assert len(ends) > 3, "hopeless kinds stop it"
        faults = Counter(call.fault for call in server.calls if call.fault is not None)
        assert len(faults) > 12, "most kinds came"
        tree = load(job.path).tree
        assert len(tree.failures) == faults.total()
        assert tree.calls == server.count(None), "no answer is lost"
        assert server.asked_twice() == 0
        assert (tree.tokens_in, tree.tokens_out) == (server.told.tokens_in, server.told.tokens_out)


@pytest.mark.parametrize(("budget", "amount"), [("calls", 20), ("tokens", 6000), ("cost", 0.006)])
def test_a_budget_is_overrun_by_what_was_in_flight_at_most(budget: str, amount: float, tmp_path: Path) -> None:
    late = faults_after(12, "empty choices")  # paid for, and worth another attempt: but not past the budget
    with LLMServer(delay=lambda call: random.uniform(0, 0.01), faults=late) as server:
        chosen = settings(server, iterations=50, price_in=1.0, price_out=1.0, **{f"budget_{budget}": amount})
        job = new_job("textcraft", "2", chosen, tmp_path / "t.trace.jsonl")
        assert job.run_blocking() == f"budget: {budget}"
        tokens = [sum(call.usage.values()) // 2 for call in server.calls if call.usage]  # they tell their total, too
        used = {"calls": len(server.calls), "tokens": sum(tokens), "cost": sum(tokens) / 1e6}[budget]
        most = {"calls": 1.0, "tokens": max(tokens), "cost": max(tokens) / 1e6}[budget]
        assert amount <= used <= amount + chosen.concurrency * most
        server.faults = no_faults
        more = {f"budget_{budget}": None, "iterations": 1}
        assert resume_job(job.path, changes=more).run_blocking() == "iterations"
        assert load(job.path).tree.cost == pytest.approx((server.told.tokens_in + server.told.tokens_out) / 1e6)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_server_that_only_ever_fails_ends_the_search_with_the_reason(kind: str, tmp_path: Path) -> None:
    with LLMServer(faults=lambda call: kind, hang=0.6, unsupported="logprobs") as server:
        changes = {"retries": 0, "timeout": 0.3, "iterations": 20}
        job = new_job("textcraft", "2", settings(server, **changes), tmp_path / "t.trace.jsonl")
        assert job.run_blocking() == "failures"
        last = load(job.path).tree.failures[-1]
        hopeless = kind in HOPELESS
        told = "no further call would be answered" if hopeless else "none of the 4 answers was usable, the last"
        assert job.search.outage == f"{told} ({last.what}): {last.error}"
        assert len(job.tree.failures) == 4
        assert (job.tree.state, len(job.tree)) == ("stopped", 1)


PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["__main__", "tests.engine.go_on"])  # most of what a start costs


def killed(server: LLMServer, path: Path, after_bytes: int | None) -> bool:
    """A search in a process of its own, killed when its trace has grown by so many bytes; whether it was killed."""
    size = path.stat().st_size if path.exists() else 0
    process = PROCESSES.Process(target=go_on, args=(server.url, path))
    process.start()
    while process.is_alive():
        if after_bytes is not None and path.exists() and path.stat().st_size >= size + after_bytes:
            process.kill()
        process.join(0.002)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def test_a_search_killed_at_30_random_moments_becomes_the_uninterrupted_tree(tmp_path: Path) -> None:
    rng, kills, path = random.Random(1), 0, tmp_path / "killed.trace.jsonl"
    with LLMServer(delay=lambda call: rng.uniform(0.0, 0.04)) as server:
        assert not killed(server, tmp_path / "whole.trace.jsonl", None)
        whole = load(tmp_path / "whole.trace.jsonl").tree
        assert len(server.calls) == whole.calls
        step = (tmp_path / "whole.trace.jsonl").stat().st_size // (2 * KILLS)
        server.calls.clear()
        while killed(server, path, rng.randrange(1, step) if kills < KILLS else None):
            kills += 1
        assert kills == KILLS
        assert compare(read_events(tmp_path / "whole.trace.jsonl"), read_events(path), limit=3) == []
        written = {(event.parent, event.draw) for event in read_events(path) if isinstance(event, Sampled)}
        assert len(written) == whole.calls, "each answer is written once"
        assert whole.calls < len(server.calls) <= whole.calls + KILLS * IN_FLIGHT, (
            "only what was in flight is asked again"
        )


def test_the_key_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    key, place = "sk-test-4f9c2d7a1b8e6f3a5c0d", ["--workspace", str(tmp_path / "w")]
    monkeypatch.setenv("MY_KEY", key)
    with LLMServer(faults=some_faults(0.4, ("rate limit", "server error")), key=key) as server:
        asked = ["--model", "m", "--base-url", server.url, "--key-env", "MY_KEY"]
        whole = ["--task", "2", "--max-depth", "6", "--actor", "openai", *asked, *place]
        assert run(["--debug", "search", "--iterations", "30", "--seed", "1", *whole]) == 0
        server.faults = some_faults(0.4, ("authentication", "rate limit", "server error"))
        assert run(["--debug", "search", "--iterations", "9", *whole]) == 1
        server.faults, server.answer = no_faults, lambda body: "Judgement: Bad"
        traces = str(tmp_path / "w" / "traces")
        assert run(["--debug", "revise", traces, "--verifier", "openai", *asked, *place]) == 0
        server.faults = lambda call: "authentication"
        assert run(["--debug", "revise", traces, "--verifier", "openai", "--votes", "3", *asked, *place]) == 1
        assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {key}"}
    assert run(["export", "--format", "openai", "--all", "--out", str(tmp_path / "out.jsonl"), *place]) == 0
    assert run(["stats", "--json", traces]) == 0
    said = capfd.readouterr()
    assert "Traceback" in said.err
    assert key not in said.out + said.err
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 6
    for file in files:
        assert key.encode() not in file.read_bytes(), file
