"""Break one line at a time and see whether the tests notice: `make mutants`.

Each mutant of `tests.mutants.table` is put into a copy of the project, its tests are run there, and one of them must
fail. A mutant that survives, and one whose tests do not run at all, make the run fail. Before that the tests are run
once as they are: a test that is red anyway notices nothing.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.table import MUTANTS

COPIED = ("agentr_tui", "engine", "envs", "sample_trees", "tests", "docs", "pyproject.toml")
TIME_LIMIT = 600.0  # seconds for the tests of one mutant
LAST_LINES = 15  # of the output of tests that did not run

PASSED, FAILED = 0, 1
"""Exit codes of pytest; any other means that the tests did not run."""


class Outcome(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    word: str  # killed, SURVIVED or BROKEN
    seconds: float
    output: str = ""  # of pytest, where the tests did not run


class Copy:
    """A copy of the project in which lines are broken, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = 0
        unwanted = shutil.ignore_patterns("__pycache__", "*.pyc", "__snapshots__")
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=unwanted)
            else:
                shutil.copy2(source, folder / name)

    def write(self, file: str, text: str) -> None:
        """Write a file. Its time differs from every time before, so that no compiled file is taken for it."""
        path = self.folder / file
        path.write_text(text, encoding="utf-8")
        self._written += 1
        os.utime(path, (self._written, self._written))

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run Python in the copy; exit code and output. A run that takes too long counts as failed tests."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIME_LIMIT,
            )
        except subprocess.TimeoutExpired:
            return FAILED, f"no end within {TIME_LIMIT:.0f} s"
        return done.returncode, done.stdout + done.stderr

    def test(self, ids: Sequence[str]) -> tuple[int, str]:
        """Run tests in the copy."""
        return self.run("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.same_examples", *ids)

    def imports_itself(self) -> bool:
        """Whether tests in the copy load the copied program, not the one that is installed."""
        code = "import agentr_tui, engine, envs; print(agentr_tui.__file__, engine.__file__, envs.__file__)"
        _, output = self.run("-c", code)
        return all(file.startswith(str(self.folder)) for file in output.split()) and len(output.split()) == 3


def try_mutant(copy: Copy, mutant: Mutant) -> Outcome:
    """Break the line, run the tests, mend the line."""
    began = time.monotonic()
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    copy.write(mutant.file, mutant.broken(text))
    try:
        code, output = copy.test(mutant.test_ids)
    finally:
        copy.write(mutant.file, text)
    word = {PASSED: "SURVIVED", FAILED: "killed"}.get(code, "BROKEN")
    return Outcome(mutant, word, time.monotonic() - began, output if word == "BROKEN" else "")


def try_all(mutants: Sequence[Mutant], jobs: int, folder: Path) -> list[Outcome]:
    """Try mutants, some at a time; each result is printed as it comes.

    Raises `SystemExit` where nothing can be told of any of them.
    """
    copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    first = Copy(folder / "0")
    copies.put(first)
    if not first.imports_itself():
        raise SystemExit("the copy does not load its own program: run this with the project's own .venv")
    ids = sorted({test for mutant in mutants for test in mutant.test_ids})
    print(f"{len(mutants)} mutants; first their {len(ids)} tests as they are …", flush=True)
    code, output = first.test(ids)
    if code != PASSED:
        raise SystemExit(f"{output}\nthese tests fail without any mutant, or do not run (exit code {code})")
    for number in range(1, min(jobs, len(mutants))):
        copies.put(Copy(folder / str(number)))

    def one(mutant: Mutant) -> Outcome:
        copy = copies.get()
        try:
            return try_mutant(copy, mutant)
        finally:
            copies.put(copy)

    outcomes = []
    with ThreadPoolExecutor(jobs) as threads:
        for future in as_completed([threads.submit(one, mutant) for mutant in mutants]):
            outcome = future.result()
            outcomes.append(outcome)
            print(f"{outcome.word:<9}{outcome.seconds:6.1f} s  {outcome.mutant.name:<28}{outcome.mutant.promise}",
                  flush=True)  # fmt: skip
    return outcomes


def chosen(names: Sequence[str]) -> list[Mutant]:
    """The mutants of those names; all where none is named. Raises `SystemExit` for an unknown name."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no mutant is named {', '.join(unknown)}: --list tells the names")
    return [known[name] for name in names] or list(MUTANTS)


def main() -> int:
    """Run the table, or a part of it; 1 where a mutant survived or its tests did not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.run", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this mutant; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the table and run nothing")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="mutants at once (default: 1)")
    arguments = parser.parse_args()
    mutants = chosen(arguments.only)
    if arguments.list:
        for each in mutants:
            print(f"{each.name:<28}{each.file:<44}{each.promise}")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentr-mutants-") as folder:
        outcomes = try_all(mutants, max(1, arguments.jobs), Path(folder))
    wrong = [outcome for outcome in outcomes if outcome.word != "killed"]
    killed = len(outcomes) - len(wrong)
    print(f"\n{killed} of {len(outcomes)} killed, {time.monotonic() - began:.0f} s")
    for outcome in wrong:
        mutant = outcome.mutant
        print(f"\n{outcome.word} {mutant.name}: {mutant.promise}\n  {mutant.file}\n  - {mutant.old}\n  + {mutant.new}")
        print("\n".join(f"  {test}" for test in mutant.test_ids))
        if outcome.output:
            print("\n".join(f"  | {line}" for line in outcome.output.splitlines()[-LAST_LINES:]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
