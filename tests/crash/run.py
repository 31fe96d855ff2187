"""Programs that are killed (SIGKILL) at any moment: what was on disk stays there, can be read, and is gone on with.

python -m tests.crash.run --kills 200 [--only search] [--seed 0]

Each kill starts a process that runs a real command, and kills it after a random time. After each: every event and
decision that could be read before is there, every file opens, and a search that is resumed, a run and an export that
are made again are what they would have been without the kill. `sigterm` asks the app to end instead (by signals, or by
closing its terminal), `stop` commands: no traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.crash.app import Apps, Terminations
from tests.crash.processes import Check
from tests.crash.searches import Collections, FaultySearches, Searches
from tests.crash.stops import Stops
from tests.crash.workspaces import Exports, Imports, Reviews, Revisions

KINDS: dict[str, Callable[[Path, random.Random], Check]] = {
    "search": Searches,
    "server": FaultySearches,
    "collect": Collections,
    "revise": Revisions,
    "export": Exports,
    "review": Reviews,
    "import": Imports,
    "app": Apps,
    "sigterm": Terminations,
    "stop": Stops,
}
SHARES = {
    "search": 8, "server": 2, "collect": 1, "revise": 3, "export": 3, "review": 2, "import": 2, "app": 2, "sigterm": 2,
    "stop": 2,
}  # fmt: skip


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
    parser.add_argument("--seconds", type=float, default=float("inf"), help="About so long in all, whatever is left.")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    lost = total = 0
    kinds = given.only or list(KINDS)
    began, shares = time.monotonic(), sum(SHARES[each] for each in kinds)
    with _home() as home:
        for number, kind in enumerate(kinds):
            (folder := home / kind).mkdir()
            attack: Check = KINDS[kind](folder, random.Random(given.seed))
            end = began + given.seconds * sum(SHARES[each] for each in kinds[: number + 1]) / shares
            for attempt in range(max(1, given.kills * SHARES[kind] // shares)):
                if time.monotonic() > end:
                    break
                try:
                    counts[attack()] += 1
                except Exception as error:  # what was promised does not hold, or can't be read any more
                    lost += 1
                    told = f"{kind} {attempt} (--seed {given.seed}): {type(error).__name__}: {error}"
                    print(told, file=sys.stderr, flush=True)
            for what, count in sorted(counts.items()):
                print(f"{count:>5}  {what}", flush=True)
            counts, total = Counter(), total + sum(counts.values())
    print(f"{total + lost} times, {lost} with a loss")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
