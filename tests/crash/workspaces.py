"""Commands over a workspace that are killed: revise, export, review, and the storing of rollouts."""

from __future__ import annotations

import json
import random
import shutil
import time
from functools import partial
from pathlib import Path

from engine.imports.sources import read_rollouts
from engine.review.decisions import Decisions
from engine.trace.trace_file import load
from engine.workspace.workspace import Workspace
from tests.crash.processes import called, fork, killed_after, length_of
from tests.engine.imports import samples
from tests.engine.searched import search


def _more_than(count: int, folder: Path) -> bool:
    """Whether there is a new file."""
    return folder.exists() and len(list(folder.iterdir())) > count


def decided(folder: Path) -> set[bytes]:
    """The whole lines of all decisions, those that were taken back, too."""
    files = folder.glob("*.jsonl")
    return {line for file in files for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")}


class Revisions:
    """`revise`: what it wrote can be read, and a run that is made again is the same."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        search(folder / "t.trace.jsonl", iterations=12)
        self.words = ["revise", str(folder / "t.trace.jsonl"), "--workspace", str(folder / "w")]
        self.length = length_of(*self.words)
        self.first = [sample.id for sample in Workspace.open(folder / "w").load_run().samples]

    def __call__(self) -> str:
        place = Workspace.open(self.folder / "w")
        there = {*place.runs_folder.iterdir()}
        seen: dict[Path, int] = {}

        def look() -> None:
            for file in {*place.runs_folder.iterdir()} - there:
                seen[file] = max(seen.get(file, 0), file.read_bytes().count(b"\n"))

        if self.rng.random() < 0.3:
            hit = killed_after(fork(*self.words), self.rng.random() * self.length, look)
        else:  # while the run is written
            writes = partial(_more_than, len(there), place.runs_folder)
            hit = killed_after(fork(*self.words), self.rng.random() * self.length / 2, look, writes)
        for file, lines in seen.items():
            assert file.read_bytes().count(b"\n") >= lines, "a sample that was there is gone"
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
        self.length = length_of(*self.words)
        self.good = self._files()

    def _files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.parent.iterdir() if not path.name.startswith(".")}

    def __call__(self) -> str:
        before = self._files()
        if self.rng.random() < 0.5:
            shutil.rmtree(self.out.parent)
            before = {}
        if self.rng.random() < 0.3:
            hit = killed_after(fork(*self.words), self.rng.random() * self.length)
        else:  # while files are written and moved
            writes = partial(_more_than, len(before), self.out.parent)
            hit = killed_after(fork(*self.words), self.rng.random() * self.length / 20, begun=writes)
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
        self.length = length_of("review", "accept", "verdict:verified", "--workspace", str(folder / "w"))

    def __call__(self) -> str:
        place = Workspace.open(self.folder / "w")
        known = decided(place.decisions)

        def look() -> None:
            known.update(decided(place.decisions))

        word = self.rng.choice(("accept", "reject"))
        child = fork("review", word, "verdict:verified", "--workspace", str(place.path))
        hit = killed_after(child, self.rng.random() * self.length, look)
        assert known <= decided(place.decisions), "a decision that was there is gone"
        assert called("review", "accept", "verdict:verified", "--workspace", str(place.path)) == 0
        verdicts = {each.verdict for each in Decisions(place.decisions, "watch").current().values()}
        assert verdicts == {"accepted"}
        return f"review {word}" if hit else "review: done before"


class Imports:
    """Rollouts that `revise` stores: a trace is there whole or not at all, and a second import completes them."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        rows = [
            {"task_id": f"task-{task}", "messages": samples.CHAT, "reward": attempt % 2, "id": f"{task}-{attempt}"}
            for task in range(40)
            for attempt in range(6)
        ]
        self.rollouts = samples.write(folder, "chat", rows, "rollouts.jsonl")
        self.attempts = len(list(read_rollouts([self.rollouts])))
        self.length = length_of(*self.words)
        shutil.rmtree(folder / "w")
        began = time.monotonic()
        called(*self.words)
        self.length = time.monotonic() - began
        assert self._stored() == self.attempts

    @property
    def words(self) -> list[str]:
        return ["revise", str(self.rollouts), "--no-verify", "--workspace", str(self.folder / "w")]

    def _stored(self) -> int:
        """The attempts that are stored, six a trace."""
        traces = (self.folder / "w" / "traces").glob("*.trace.jsonl")
        counts = [len(load(path).tree.attempts) for path in traces]
        assert set(counts) <= {6}, "a trace is there in part"
        return sum(counts)

    def __call__(self) -> str:
        shutil.rmtree(self.folder / "w")
        hit = killed_after(fork(*self.words), self.rng.random() * self.length)
        self._stored()
        called(*self.words)
        assert self._stored() == self.attempts
        return "import" if hit else "import: done before"
