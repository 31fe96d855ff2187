"""Commands that are asked to end (SIGTERM, SIGINT) at any moment: exit code 130, no traceback, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.trace.diff import compare
from engine.trace.trace_file import read_events
from engine.workspace.workspace import Workspace
from tests.crash.processes import called
from tests.engine.searched import search

ENDED = 130
BEFORE = (-signal.SIGTERM, -signal.SIGINT)
"""Codes of a process that was asked before it could hear: while Python itself starts."""


class Stops:
    """`search`, `collect`, `revise`, `export`, asked to end: the same command again, or `--resume`, completes them."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.place = folder / "w"
        search(folder / "t.trace.jsonl", iterations=12)
        self.whole = folder / "whole.trace.jsonl"
        assert called(*self._search(self.whole)) == 0
        self.length: dict[str, float] = {}
        for what in ("search", "collect", "revise", "export"):
            began = time.monotonic()
            assert self._run(what, None)[0] == 0
            self.length[what] = time.monotonic() - began

    def _search(self, out: Path) -> list[str]:
        return ["search", "--task", "2", "--iterations", "60", "--error-rate", "0.5", "--out", str(out)]

    def _words(self, what: str) -> list[str]:
        place = ["--workspace", str(self.place)]
        return {
            "search": [*self._search(self.folder / "s.trace.jsonl"), *place],
            "collect": ["collect", "--tasks", "0-5", "--iterations", "20", "--workers", "2", *place,
                        "--out", str(self.folder / "c")],
            "revise": ["revise", str(self.folder / "t.trace.jsonl"), *place],
            "export": ["export", "--all", "--out", str(self.folder / "o" / "o.jsonl"), *place],
        }[what]  # fmt: skip

    def _run(self, what: str, after: float | None) -> tuple[int, str]:
        """Exit code, and what it said; asked to end after that time."""
        command = [sys.executable, "-P", "-m", "agentr_tui", *self._words(what)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if after is not None:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, self.rng.choice((signal.SIGTERM, signal.SIGINT)))
        said = process.communicate(timeout=120)[1]
        return process.returncode, said

    def __call__(self) -> str:
        what = self.rng.choice(list(self.length))
        for name in ("s.trace.jsonl", "o/o.jsonl"):
            (self.folder / name).unlink(missing_ok=True)
        code, said = self._run(what, self.rng.uniform(0.3, 1.0) * self.length[what])
        assert "Traceback" not in said, said[-3000:]
        assert "unexpected" not in said, said[-3000:]
        assert code in (0, ENDED, *BEFORE), (what, code, said[-500:])
        self._completed(what)
        return f"stop {what}: code {code}"

    def _completed(self, what: str) -> None:
        """What was ended is gone on with."""
        if what == "search":
            path = self.folder / "s.trace.jsonl"
            resumed = ["search", "--resume", str(path)] if path.exists() and path.stat().st_size else self._search(path)
            assert called(*resumed) == 0, "it can't be resumed"
            differences = [str(each) for each in compare(read_events(self.whole), read_events(path))]
            assert differences == [], differences[:3]
        else:
            assert called(*self._words(what)) == 0
        if what == "revise":
            assert Workspace.open(self.place).select().samples
