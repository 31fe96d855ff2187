"""Searches that are killed: by each algorithm, packed or not, over a server that fails at times, and many at once."""

from __future__ import annotations

import contextlib
import os
import random
import time
from functools import partial
from pathlib import Path

from engine.base.errors import AgentrError
from engine.search.algorithms import ALGORITHMS
from engine.trace.diff import compare
from engine.trace.follower import Follower
from engine.trace.trace_file import NoEvents, is_being_written, load, read_events
from engine.tree.events import AnyEvent
from tests.crash.processes import called, fork, killed_after, spawn
from tests.servers.llm_server import LLMServer, some_faults


class Searches:
    """A search, by each algorithm, packed or not: killed, read, resumed, compared with one that was not killed."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.whole: dict[str, list[object]] = {}
        self.length: dict[str, float] = {}

    def words(self, algorithm: str) -> list[str]:
        return ["search", "--env", "textcraft", "--task", "2", "--iterations", "25", "--error-rate", "0.5",
                "--algorithm", algorithm]  # fmt: skip

    def __call__(self) -> str:
        algorithm, suffix = self.rng.choice(list(ALGORITHMS)), self.rng.choice(("", ".zst"))
        unbroken = self.folder / f"{algorithm}.trace.jsonl"
        if algorithm not in self.length:
            began = time.monotonic()
            assert called(*self.words(algorithm), "--out", str(unbroken)) == 0, algorithm
            self.length[algorithm] = time.monotonic() - began
        path = self.folder / f"killed.trace.jsonl{suffix}"
        for left in self.folder.glob("killed*"):
            left.unlink()
        follower, seen = Follower(path), list[AnyEvent]()
        child = fork(*self.words(algorithm), "--out", str(path))
        kills, size = 0, 0
        for _ in range(3):  # the search, and two that go on with it
            seconds = self.rng.random() * self.length[algorithm] * 0.7
            hit = killed_after(child, seconds, lambda: seen.extend(follower.poll()), partial(_grew, path, size))
            kills += hit
            if not hit:
                break
            assert not is_being_written(path)
            try:
                loaded = load(path)
            except NoEvents:
                assert not seen, "an event that was there is gone"
                return f"search {algorithm}{suffix}: before its first event"
            except AgentrError:
                assert not path.exists(), "the trace can't be read"
                return f"search {algorithm}{suffix}: before its file"
            assert loaded.tree.seq + 1 >= len(seen), f"{len(seen)} events were there, {loaded.tree.seq + 1} are"
            size = _size(path)
            child = fork("search", "--resume", str(path))
        else:
            os.waitpid(child, 0)
        assert load(path).tree.state == "done"
        differences = [str(each) for each in compare(read_events(unbroken), read_events(path))]
        assert differences == [], differences[:3]
        return f"search {algorithm}{suffix}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _grew(path: Path, size: int) -> bool:
    return _size(path) != size


class FaultySearches:
    """A search over a server that fails one call in five, killed and resumed: it becomes one that was not killed."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.server = LLMServer(
            faults=some_faults(0.2, ("rate limit", "server error", "reset", "cut", "bad json")), unsupported="logprobs"
        ).__enter__()
        child = spawn(*self.words, "--out", str(folder / "whole.trace.jsonl"))
        while not _size(folder / "whole.trace.jsonl"):
            time.sleep(0.002)
        began = time.monotonic()  # as the time until a kill is counted
        os.waitpid(child, 0)
        self.length = time.monotonic() - began
        assert load(folder / "whole.trace.jsonl").tree.state == "done"

    @property
    def words(self) -> list[str]:
        return ["search", "--task", "2", "--actor", "openai", "--model", "m", "--base-url", self.server.url,
                "--iterations", "8", "--max-depth", "6", "--samples", "3", "--retries", "8"]  # fmt: skip

    def __call__(self) -> str:
        path = self.folder / "killed.trace.jsonl"
        for left in self.folder.glob("killed*"):
            left.unlink()
        follower, seen = Follower(path), list[AnyEvent]()
        child = spawn(*self.words, "--out", str(path))
        hit = killed_after(
            child, self.rng.random() * self.length, lambda: seen.extend(follower.poll()), partial(_grew, path, 0)
        )
        with contextlib.suppress(NoEvents):
            assert load(path).tree.seq + 1 >= len(seen), "an event that was there is gone"
        if hit:
            os.waitpid(spawn("search", "--resume", str(path)), 0)
        differences = [str(each) for each in compare(read_events(self.folder / "whole.trace.jsonl"), read_events(path))]
        assert differences == [], differences[:3]
        return "search over a faulty server" if hit else "search over a faulty server: done before"


class Collections:
    """`collect`, killed with its workers left to themselves: the same command again gives every whole trace."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        began = time.monotonic()
        os.waitpid(spawn(*self.words(folder / "whole")), 0)
        self.length = time.monotonic() - began
        self.whole = {path.name: list(read_events(path)) for path in sorted((folder / "whole").glob("*.trace.jsonl"))}
        assert len(self.whole) == 6

    def words(self, out: Path) -> list[str]:
        return ["collect", "--tasks", "0-5", "--iterations", "20", "--workers", "2", "--out", str(out)]

    def __call__(self) -> str:
        out = self.folder / f"killed-{self.rng.random()}"
        hit = killed_after(spawn(*self.words(out)), self.rng.random() * self.length)
        end = time.monotonic() + 30
        while any(is_being_written(path) for path in out.glob("*.trace.jsonl")):
            assert time.monotonic() < end, "a worker goes on without its collector"
            time.sleep(0.02)
        for path in out.glob("*.trace.jsonl"):
            with contextlib.suppress(NoEvents):
                load(path)
        os.waitpid(spawn(*self.words(out)), 0)
        for name, events in self.whole.items():
            differences = [str(each) for each in compare(events, read_events(out / name))]
            assert differences == [], (name, differences[:3])
        return "collect" if hit else "collect: done before"
