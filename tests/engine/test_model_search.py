"""Searches over a model server: faults, kills, resume, the key. Real HTTP on loopback, real processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.events import Failed, SearchSettings
from engine.job import new_job
from engine.trace import load, read_events
from engine.tracediff import compare
from tests.llm_server import FAULTS, LLMServer, some_faults

KILLS = 8  # `python -m tests.benchmarks.bench_kills` makes 30


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


@pytest.mark.parametrize("kind", FAULTS)
def test_a_server_that_only_ever_fails_ends_the_search_with_the_reason(kind: str, tmp_path: Path) -> None:
    with LLMServer(faults=lambda call: kind, hang=0.6, unsupported="logprobs") as server:
        changes = {"retries": 0, "timeout": 0.3, "iterations": 20, "max_failures": 8}
        job = new_job("textcraft", "2", settings(server, **changes), tmp_path / "t.trace.jsonl")
        assert job.run_blocking() == "failures"
        assert len(job.tree.failures) >= 4
        assert load(job.path).tree.failures[-1].error


def run_killed(server: LLMServer, path: Path, kills: int, seed: int) -> None:
    """A search in a process of its own that is killed at random moments and resumed until it is done."""
    rng = random.Random(seed)
    command = [sys.executable, "-m", "agentr_tui", "search"]
    first = ["--env", "textcraft", "--task", "2", "--actor", "openai", "--model", "m", "--base-url", server.url,
             "--iterations", "3", "--max-depth", "6", "--concurrency", "8", "--timeout", "1.0", "--retries", "6",
             "--out", str(path)]  # fmt: skip
    done = 0
    while True:
        started = path.exists() and path.stat().st_size > 0
        arguments = ["--resume", str(path)] if started else first
        process = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done < kills:
            size = path.stat().st_size if started else 0
            end = time.monotonic() + 30
            while process.poll() is None and time.monotonic() < end:
                if path.exists() and path.stat().st_size > size:  # it is at work again
                    break
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.25))
            process.kill()
            process.wait()
            done += 1
            continue
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()
        return


def test_a_search_killed_again_and_again_becomes_the_uninterrupted_tree(tmp_path: Path) -> None:
    with LLMServer(delay=0.03) as server:
        whole = new_job("textcraft", "2", settings(server), tmp_path / "whole.trace.jsonl")
        whole.run_blocking()
        server.calls.clear()
        path = tmp_path / "killed.trace.jsonl"
        run_killed(server, path, KILLS, seed=1)
        assert compare(read_events(whole.path), read_events(path), limit=3) == []
        answers = whole.tree.calls
        assert len(server.calls) - answers <= KILLS * 8, "at most what was in flight is asked again"


def test_the_key_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-test-4f9c2d7a1b8e6f3a5c0d"
    monkeypatch.setenv("MY_KEY", key)
    with LLMServer(faults=some_faults(0.4, ("authentication", "rate limit", "server error")), key=key) as server:
        path = tmp_path / "w" / "traces" / "t.trace.jsonl"
        job = new_job("textcraft", "2", settings(server, key_env="MY_KEY"), path)
        job.run_blocking()
        assert job.tree.calls > 3
        assert all(call.headers["authorization"] == f"Bearer {key}" for call in server.calls)
        log = tmp_path / "w" / "log"
        done = subprocess.run(
            [sys.executable, "-m", "agentr_tui", "--debug", "search", "--actor", "openai", "--model", "m",
             "--task", "2", "--base-url", server.url, "--key-env", "MY_KEY", "--iterations", "1",
             "--workspace", str(tmp_path / "w")],
            capture_output=True, text=True, env={**os.environ}, check=False, timeout=120,
        )  # fmt: skip
        log.write_text(done.stdout + done.stderr)
    subprocess.run(
        [sys.executable, "-m", "agentr_tui", "revise", str(path), "--workspace", str(tmp_path / "w")], check=True
    )
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 3
    for file in files:
        assert key.encode() not in file.read_bytes(), file
