"""Which searches began at a node of another tree: they stand below it in the library. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.theme import glyphs
from engine.base.text import many

DEEPEST = 3
"""Levels that are indented: the column is narrow, and a fork of a fork of a fork is rare."""


class Nested(Struct, frozen=True, gc=False):
    """A row of the list and where it stands below its tree. Thousands are made at each sorting."""

    row: TraceRow
    level: int = 0  # 0: it stands on its own
    last: bool = True  # no other search of the same tree follows it

    @property
    def title(self) -> str:
        """What stands in the column of environment and task: of a nested row how it came about."""
        if not self.level:
            return self.row.kind if self.row.kind == "repair" else _task_of(self.row) or self.row.name
        signs = glyphs()
        indent = "  " * (min(self.level, DEEPEST) - 1)
        return f"{indent}{signs.elbow if self.last else signs.tee} {self.row.kind}"


def _task_of(row: TraceRow) -> str:
    """Environment and task; of attempts whose environment nobody knows, the task alone, which is what tells their rows
    apart."""
    figures = row.figures
    unknown = figures is not None and figures.env.startswith("attempts:")
    return figures.task if figures is not None and unknown and figures.task else row.task.strip()


def families(rows: Sequence[TraceRow]) -> list[Nested]:
    """The rows with each search below the tree that it began in, families in the order of their first row.

    A family in which a search goes on comes first. A repair whose tree is not among the rows comes last: it is read
    with its tree. A fork whose tree is not there stands as any other search does.
    """
    if not any(row.origin for row in rows):
        return [Nested(row) for row in rows]
    by_trace: dict[str, TraceRow] = {}
    for row in rows:
        if row.trace:
            by_trace.setdefault(row.trace, row)  # a copy of a file has the same id
    below: dict[Path, list[TraceRow]] = {}
    roots: list[TraceRow] = []
    for row in rows:
        tree = by_trace.get(row.origin) if row.origin else None
        if tree is None or _leads_to(tree, row, by_trace):
            roots.append(row)
        else:
            below.setdefault(tree.path, []).append(row)
    listed = [_family(root, below) for root in roots]
    listed.sort(key=lambda family: (min(map(_rank, family)), family[0].row.kind == "repair"))
    return [each for family in listed for each in family]


def _rank(nested: Nested) -> int:
    """The search of this app comes first, then those that others run."""
    return 0 if nested.row.live else 1 if nested.row.goes_on else 2


def _leads_to(tree: TraceRow, row: TraceRow, by_trace: dict[str, TraceRow]) -> bool:
    """Whether a tree began, over others, in the row itself: traces that name each other are no family."""
    seen: set[Path] = set()
    at: TraceRow | None = tree
    while at is not None and at.path not in seen:
        if at.path == row.path:
            return True
        seen.add(at.path)
        at = by_trace.get(at.origin) if at.origin else None
    return False


def _family(root: TraceRow, below: dict[Path, list[TraceRow]]) -> list[Nested]:
    """A tree and all searches below it, each below its own."""
    found: list[Nested] = []
    waiting = [Nested(root)]
    while waiting:
        at = waiting.pop()
        found.append(at)
        children = below.get(at.row.path, [])
        waiting += [Nested(row, at.level + 1, row is children[-1]) for row in reversed(children)]
    return found


def descendants(path: Path, listed: Iterable[Nested]) -> list[TraceRow]:
    """The searches that stand below a row of the list."""
    rows = iter(listed)
    root = next((each for each in rows if each.row.path == path), None)
    found: list[TraceRow] = []
    for each in rows:
        if root is None or each.level <= root.level:
            break
        found.append(each.row)
    return found


def below(rows: Iterable[TraceRow], all_rows: Sequence[TraceRow]) -> list[TraceRow]:
    """The searches that began in these, or in one of those, and are not among them."""
    everything, named = families(all_rows), {row.path for row in rows}
    found = {each.path: each for path in named for each in descendants(path, everything)}
    return [row for path, row in found.items() if path not in named]


def counted(rows: Sequence[TraceRow]) -> str:
    """How many repairs and forks: `2 repairs and 1 fork`; "" for none."""
    numbers = {kind: sum(row.kind == kind for row in rows) for kind in ("repair", "fork")}
    return " and ".join(many(number, kind) for kind, number in numbers.items() if number)
