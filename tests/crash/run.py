"""Programs that are killed (SIGKILL) at any moment: what was on disk stays there, can be read, and is gone on with.

python -m tests.crash.run --kills 200 [--only search] [--seed 0]

Each kill forks a process that runs a real command, and kills it after a random time. After each: every event and
decision that could be read before is there, every file opens, and a search that is resumed, a run and an export that
are made again are what they would have been without the kill.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from agentr_tui.cli.main import run
from engine.base.errors import AgentrError
from engine.review.decisions import Decisions
from engine.search.algorithms import ALGORITHMS
from engine.trace.diff import compare
from engine.trace.follower import Follower
from engine.trace.trace_file import NoEvents, is_being_written, load, read_events
from engine.tree.events import AnyEvent
from engine.workspace.workspace import Workspace
from tests.engine.searched import search

Check = Callable[[], str]
"""What happened, in a word; raises `AssertionError` where something was lost."""


def fork(*words: str) -> int:
    """Run a command in a process of its own, silently; its id."""
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os._exit(run(list(words)))


def killed_after(
    child: int,
    seconds: float,
    meanwhile: Callable[[], object] = lambda: None,
    begun: Callable[[], bool] = lambda: True,
) -> bool:
    """Kill a process that time after it begun, looking at its files meanwhile; False where it was done before."""
    end: float | None = None
    while end is None or time.monotonic() < end:
        if end is None and begun():
            end = time.monotonic() + seconds
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        meanwhile()
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def called(*words: str) -> int:
    """Run a command to its end; its exit code."""
    _, status = os.waitpid(fork(*words), 0)
    return os.waitstatus_to_exitcode(status)


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


class Revisions:
    """`revise`: what it wrote can be read, and a run that is made again is the same."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        search(folder / "t.trace.jsonl", iterations=12)
        self.words = ["revise", str(folder / "t.trace.jsonl"), "--workspace", str(folder / "w")]
        began = time.monotonic()
        assert called(*self.words) == 0
        self.length = time.monotonic() - began
        self.first = [sample.id for sample in Workspace.open(folder / "w").load_run().samples]

    def __call__(self) -> str:
        hit = killed_after(fork(*self.words), self.rng.random() * self.length)
        place = Workspace.open(self.folder / "w")
        for info in place.runs():
            samples = [sample.id for sample in place.load_run(info.id).samples]
            assert samples == self.first[: len(samples)]
            assert not info.sealed or samples == self.first
        assert [sample.id for sample in place.select().samples] == self.first
        for file in place.runs_folder.iterdir():
            if len(list(place.runs_folder.iterdir())) > 20:
                file.unlink()
        assert called(*self.words) == 0
        return "revise" if hit else "revise: done before"


class Exports:
    """`export`: the dataset is the old one or the new one, whole."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        search(folder / "t.trace.jsonl", iterations=12)
        assert called("revise", str(folder / "t.trace.jsonl"), "--workspace", str(folder / "w")) == 0
        self.out = folder / "out" / "o.jsonl"
        self.words = ["export", "--all", "--out", str(self.out), "--workspace", str(folder / "w")]
        began = time.monotonic()
        assert called(*self.words) == 0
        self.length = time.monotonic() - began
        self.good = self._files()

    def _files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.parent.iterdir() if not path.name.startswith(".")}

    def __call__(self) -> str:
        before = self._files()
        if self.rng.random() < 0.5:
            shutil.rmtree(self.out.parent)
            before = {}
        hit = killed_after(fork(*self.words), self.rng.random() * self.length)
        after = self._files() if self.out.parent.exists() else {}
        for name, data in after.items():
            assert data in (before.get(name), self.good[name]), f"{name} is neither the old one nor the new one"
        if self.out.name in after:
            for line in after[self.out.name].splitlines():
                json.loads(line)
        assert called(*self.words) == 0
        assert self._files() == self.good
        return "export" if hit else "export: done before"


class Reviews:
    """`review accept` and `reject`: every decision that could be read before is there."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        search(folder / "t.trace.jsonl", iterations=12)
        assert called("revise", str(folder / "t.trace.jsonl"), "--workspace", str(folder / "w")) == 0
        began = time.monotonic()
        assert called("review", "accept", "verdict:verified", "--workspace", str(folder / "w")) == 0
        self.length = time.monotonic() - began

    def __call__(self) -> str:
        place = Workspace.open(self.folder / "w")
        watched = Decisions(place.decisions, "watch")
        word = self.rng.choice(("accept", "reject"))
        child = fork("review", word, "verdict:verified", "--workspace", str(place.path))
        hit = killed_after(child, self.rng.random() * self.length, watched.refresh)
        fresh = Decisions(place.decisions, "watch")
        for sample in watched.current():
            known = {line.id for line in watched.lines_of(sample)}
            assert known <= {line.id for line in fresh.lines_of(sample)}, "a decision that was there is gone"
        assert called("review", "accept", "verdict:verified", "--workspace", str(place.path)) == 0
        verdicts = {each.verdict for each in Decisions(place.decisions, "watch").current().values()}
        assert verdicts == {"accepted"}
        return f"review {word}" if hit else "review: done before"


KINDS: dict[str, Callable[[Path, random.Random], Check]] = {
    "search": Searches,
    "revise": Revisions,
    "export": Exports,
    "review": Reviews,
}
SHARES = {"search": 5, "revise": 2, "export": 2, "review": 1}


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = f"{folder}/{name}"
        yield Path(folder)


def main() -> int:
    """Kill as often as was asked for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="End after that time, whatever is left.")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    lost: list[str] = []
    end = time.monotonic() + given.seconds
    with _home() as home:
        for kind in given.only or KINDS:
            (folder := home / kind).mkdir()
            attack: Check = KINDS[kind](folder, random.Random(given.seed))
            share = given.kills * SHARES[kind] // sum(SHARES[each] for each in given.only or KINDS)
            for number in range(max(1, share)):
                if time.monotonic() > end:
                    break
                try:
                    counts[attack()] += 1
                except AssertionError as error:
                    lost.append(f"{kind} {number} (--seed {given.seed}): {error}")
    for what, count in sorted(counts.items()):
        print(f"{count:>5}  {what}")
    print(f"{sum(counts.values()) + len(lost)} times, {len(lost)} with a loss")
    for line in lost:
        print(line, file=sys.stderr)
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
