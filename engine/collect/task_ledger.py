"""The state of a collection: which tasks are due, under way or settled, and what all of them have used."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from engine.base.append_log import AppendLog
from engine.base.files import stamp
from engine.collect.manifest import Ended
from engine.collect.messages import Finished, Outcome, Spent

SETTLED: frozenset[Outcome] = frozenset({"done", "hopeless", "elsewhere"})
"""Outcomes after which this run does not try a task again."""

PAUSE_SECONDS = 1.0
"""Before a task that failed is tried again; twice as long each further time."""

MOST_PAUSE = 30.0


class Budget(Struct, frozen=True):
    """What all searches of a collection may use together. None: no limit. Seconds are of this run."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None  # US dollars
    seconds: float | None = None


def _latest(rows: Sequence[Ended], tasks: Set[str]) -> Iterable[Finished]:
    """How each of these tasks ended last; one that was done stays done."""
    latest: dict[str, Ended] = {}
    for row in rows:
        known = latest.get(row.ended.task)
        newer = known is None or (row.ended.outcome == "done", row.time) >= (known.ended.outcome == "done", known.time)
        if row.ended.task in tasks and newer:
            latest[row.ended.task] = row
    return [row.ended for row in latest.values()]


class Ledger:
    """Keeps account of the tasks of one run of a collection."""

    def __init__(
        self, tasks: Sequence[str], paths: Mapping[str, Path], log: AppendLog[Ended], attempts: int, budget: Budget
    ) -> None:
        """`attempts`: so often a task may end without a result before it counts as failed."""
        self.tasks, self.paths, self.log, self.attempts, self.budget = tasks, paths, log, attempts, budget
        self.began = time.monotonic()
        self.under_way: dict[str, float] = {}  # task → when it was given to a worker
        self.outcomes: dict[str, Finished] = {}  # the last of each task that ended, of this run or before
        self.used: dict[str, Spent] = {}
        self.lost = 0  # workers that died
        self.granted = 0  # calls that workers hold and have not made
        self._tries: dict[str, int] = {}
        self._before: dict[str, tuple[int, int]] = {}  # how far each search was when its task was last given out
        self._due = deque[str]()
        self._later: list[tuple[float, str]] = []  # when, task: those that failed
        self.total = Spent()  # what all searches used, earlier runs of the collection included
        for ended in _latest([line.row for line in log.refresh().lines], set(tasks)):
            self.outcomes[ended.task] = ended
            self._count(ended.task, ended.spent)
        for task in tasks:
            known = self.outcomes.get(task)
            if known is None or known.outcome != "done" or not paths[task].exists():
                self.outcomes.pop(task, None)
                self._due.append(task)
        self.before = len(self.outcomes)  # tasks that an earlier run did

    # -- what is next --------------------------------------------------------------------------------------

    def next_task(self) -> str | None:
        """The next task to give to a worker; None where none is due now."""
        now = time.monotonic()
        self._later.sort()
        if not self._due and self._later and self._later[0][0] <= now:
            self._due.append(self._later.pop(0)[1])
        if not self._due:
            return None
        task = self._due.popleft()
        self.under_way[task] = now
        self._before[task] = self._how_far(task)
        return task

    def wait(self) -> float | None:
        """Seconds until a task that failed is due again; None where there is none."""
        return max(0.0, min(self._later)[0] - time.monotonic()) if self._later else None

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to do in this run."""
        return not (self._due or self._later or self.under_way)

    def give_back(self, task: str, begun: bool) -> None:
        """A worker died: its task is due again. One that kills its workers without getting any further is not.

        `begun`: whether the worker had begun with it.
        """
        self.under_way.pop(task, None)
        self._tries[task] = 0 if self._got_further(task) else self._tries.get(task, 0) + begun
        if self._tries[task] < self.attempts:
            self._due.appendleft(task)
        else:
            error = f"its worker died {self._tries[task]} times without getting any further"
            self._end(Finished(task, "failed", self.used.get(task, Spent()), error=error))

    def ended(self, finished: Finished) -> None:
        """Take up the end of a search: keep its result, or try it again."""
        task = finished.task
        self.under_way.pop(task, None)
        self.report(task, finished.spent)
        if finished.outcome in ("owed", "failed"):
            further = finished.outcome == "owed" and self._got_further(task)
            before = 0 if further else self._tries.get(task, 0)
            tries = self._tries[task] = before + 1
            if tries < self.attempts:
                pause = min(MOST_PAUSE, PAUSE_SECONDS * 2 ** (tries - 1))
                self._later.append((time.monotonic() + pause, task))
                return
        self._end(finished)

    def _end(self, finished: Finished) -> None:
        self.outcomes[finished.task] = finished
        if finished.outcome != "elsewhere" and (finished.outcome != "halted" or finished.spent.nodes):
            row = Ended(time=stamp(datetime.now(UTC)), attempt=self._tries.get(finished.task, 0) + 1, ended=finished)
            self.log.append([row])

    def _how_far(self, task: str) -> tuple[int, int]:
        """Nodes and answers of a search. Its file says less: it grows with each failure, too."""
        used = self.used.get(task, Spent())
        return max(used.nodes, 1), used.calls

    def _got_further(self, task: str) -> bool:
        """Whether a search has more nodes or answers than when its task was given out."""
        return self._how_far(task) > self._before.get(task, (1, 0))

    def stop(self) -> None:
        """Give no further task out."""
        self._due.clear()
        self._later.clear()

    # -- what was used -------------------------------------------------------------------------------------

    def report(self, task: str, spent: Spent) -> int:
        """How far a search is; returns how many calls that are new."""
        if not (spent.calls or spent.nodes):
            return 0
        made = max(0, spent.calls - self.used.get(task, Spent()).calls)
        self.granted = max(0, self.granted - made)
        self._count(task, spent)
        return made

    def _count(self, task: str, spent: Spent) -> None:
        if (before := self.used.get(task)) is not None:
            self.total.take(before)
        self.used[task] = spent
        self.total.add(spent)

    def grant(self, workers: int) -> int:
        """Returns how many more calls a worker may make; 0: no more."""
        if self.budget.calls is None:
            return 1 << 30
        left = self.budget.calls - self.total.calls - self.granted
        calls = min(left, max(1, min(64, left // (4 * workers))))
        self.granted += max(0, calls)
        return max(0, calls)

    def over_budget(self) -> str:
        """The budget that is used up; "" where there is something left of all."""
        total, budget = self.total, self.budget
        if budget.calls is not None and total.calls >= budget.calls:
            return "calls"
        if budget.tokens is not None and total.tokens >= budget.tokens:
            return "tokens"
        if budget.cost is not None and (total.cost or 0.0) >= budget.cost:
            return "cost"
        if budget.seconds is not None and time.monotonic() - self.began >= budget.seconds:
            return "seconds"
        return ""

    def count(self, outcomes: Iterable[Outcome]) -> int:
        """How many tasks ended so."""
        wanted = set(outcomes)
        return sum(each.outcome in wanted for each in self.outcomes.values())

    @property
    def seconds_left(self) -> float | None:
        """An estimate of how long the rest takes, by the tasks that this run did; None where it did none yet."""
        done = len(self.outcomes) - self.before
        left = len(self.tasks) - len(self.outcomes)
        return (time.monotonic() - self.began) / done * left if done > 0 else None
