"""The library's filter where it names columns (`good>5 pairs>=10 state=done`) and words. Knows no Textual."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from agentr_tui.state.trace_row import TraceRow
from engine.workspace.figures import TraceFigures

Value = float | None

FIGURES: dict[str, Callable[[TraceFigures], Value]] = {
    "nodes": lambda figures: figures.nodes,
    "good": lambda figures: figures.good,
    "bad": lambda figures: figures.bad,
    "best": lambda figures: figures.best_return,
    "pairs": lambda figures: figures.pairs,
    "depth": lambda figures: figures.max_depth,
    "calls": lambda figures: figures.calls,
    "time": lambda figures: figures.seconds,
    "lessons": lambda figures: figures.lessons,
}
"""The columns of figures, by the names in the table's header."""

WORDS: dict[str, Callable[[TraceRow], str]] = {
    "state": lambda row: row.state,
    "task": lambda row: row.task,
    "env": lambda row: row.task,
    "goal": lambda row: row.goal,
    "file": lambda row: str(row.path),
}
"""The columns of words: `=` and `~` ask whether they hold a text, `!=` whether they do not."""

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip

_TERM = re.compile(r"([a-z]+)(<=|>=|!=|<|>|=|~)(\S+)$", re.IGNORECASE)


class RowFilter(NamedTuple):
    """What rows are shown: those that hold every word and meet every condition."""

    words: tuple[str, ...] = ()
    conditions: tuple[Callable[[TraceRow], bool], ...] = ()

    def holds(self, row: TraceRow) -> bool:
        """Whether the row is shown."""
        if self.conditions and not all(meets(row) for meets in self.conditions):
            return False
        if not self.words:
            return True
        told = f"{row.state} {row.task} {row.goal} {row.path} {row.error}".lower()
        return all(word in told for word in self.words)


def row_filter(wanted: str) -> RowFilter | None:
    """Returns the filter of a text; None where a part of it is no word and names no column: then it is a query on
    nodes."""
    words, conditions = [], []
    for part in wanted.lower().split():
        term = _TERM.match(part)
        if term is not None:
            meets = _condition(*term.groups())
            if meets is None:
                return None
            conditions.append(meets)
        elif re.search(r"""[<>=~!()"']""", part):
            return None
        else:
            words.append(part)
    return RowFilter(tuple(words), tuple(conditions))


def _condition(name: str, sign: str, value: str) -> Callable[[TraceRow], bool] | None:
    if name in WORDS and sign in ("=", "~", "!="):
        text = WORDS[name]
        return lambda row: (value in text(row).lower()) == (sign != "!=")
    compare = COMPARISONS.get(sign)
    try:
        number = float(value)
    except ValueError:
        return None
    if name not in FIGURES or compare is None:
        return None
    figure = FIGURES[name]

    def meets(row: TraceRow) -> bool:
        found = figure(row.figures) if row.figures is not None else None
        return found is not None and compare(found, number)

    return meets
