"""What the library shows about traces: rows, how they are sorted and filtered, their cells. Knows no Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import structs

from agentr_tui.screens.library.families import Nested, counted
from agentr_tui.screens.library.row_filter import row_filter
from agentr_tui.state.trace_row import TraceRow
from agentr_tui.terminal.theme import Role, format_count, format_value, glyphs, value_role
from agentr_tui.widgets.row_table import Cell, Column, cell
from engine.base.text import many
from engine.tree.tree import SearchTree
from engine.workspace.figures import TraceFigures
from envs.numbers import whole

COLUMNS = (
    Column("state", 9),
    Column("env task", 13),
    Column("goal", 14, flex=2),
    Column("nodes", 6, right=True),
    Column("good", 5, right=True),
    Column("bad", 4, right=True, drop=5),
    Column("best", 5, right=True, drop=4),
    Column("pairs", 6, right=True, drop=2),
    Column("depth", 5, right=True, drop=9),
    Column("calls", 5, right=True, drop=8),
    Column("time", 6, right=True, drop=7),
    Column("age", 4, right=True, drop=3),
    Column("file", 14, flex=1, drop=6, tail=True),
)


def state_sign(state: str) -> tuple[str, Role]:
    """Glyph and role of a state."""
    signs = glyphs()
    known: dict[str, tuple[str, Role]] = {
        "live": (signs.live, "focus"),
        "running": (signs.running, "good"),
        "paused": (signs.paused, "warn"),
        "done": (signs.good, "muted"),
        "stopped": (signs.paused, "warn"),
        "crashed": (signs.bad, "bad"),
        "broken": (signs.bad, "bad"),
        "reading": (signs.ellipsis, "muted"),
    }
    return known[state]


# -- order -----------------------------------------------------------------------------------------------


def _falling(value: Callable[[TraceFigures], float | None]) -> Callable[[TraceRow], Any]:
    """Greatest first; what is unknown comes last."""

    def rank(row: TraceRow) -> float:
        found = value(row.figures) if row.figures else None
        return float("inf") if found is None else -found

    return rank


_ORDERS: dict[str, Callable[[TraceRow], Any]] = {
    "newest": lambda row: -row.modified,
    "task": lambda row: (row.figures is None, _natural(row.task)),
    "nodes": _falling(lambda figures: figures.nodes),
    "good": _falling(lambda figures: figures.good),
    "pairs": _falling(lambda figures: figures.pairs),
    "best": _falling(lambda figures: figures.best_return),
    "bad": _falling(lambda figures: figures.bad),
    "depth": _falling(lambda figures: figures.max_depth),
    "calls": _falling(lambda figures: figures.calls),
    "time": _falling(lambda figures: figures.seconds),
    "state": lambda row: row.state,
    "goal": lambda row: row.goal.lower(),
    "file": lambda row: row.name.lower(),
}
SORTS = ("newest", "task", "nodes", "good", "pairs", "best")
"""The orders that `s` goes through; a click on a column's name takes any. Live and running searches come first."""

LEAST_FIRST = frozenset({"newest", "task", "state", "goal", "file"})
"""Orders in which the least, the youngest or the first letter comes first; in the others the greatest."""

COLUMN_ORDERS = {"age": "newest", "env task": "task"}
"""Orders whose columns have another name."""


def order_of(column: str) -> str:
    """Returns the order for a click on a column."""
    return COLUMN_ORDERS.get(column, column)


def column_of(order: str) -> str:
    """The column that rows of that order are sorted by."""
    return next((column for column, of in COLUMN_ORDERS.items() if of == order), order)


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Words in order, with numbers by their value: task 9 before task 10."""
    return list(map(_natural_word, text.split()))


@lru_cache(maxsize=1 << 16)
def _natural_word(word: str) -> tuple[int, int, str]:
    number = whole(word)
    return (1, 0, word) if number is None else (0, number, "")


def arranged(rows: Iterable[TraceRow], sort: str, wanted: str, reverse: bool = False) -> list[TraceRow]:
    """Returns the rows that a filter takes, sorted, running ones first.

    `rows`: of all traces. `sort`: name of the column. `wanted`: the filter. `reverse`: the other way round.
    """
    order, asked = _ORDERS[sort], row_filter(wanted)
    left = sorted((row for row in rows if asked is None or asked.holds(row)), key=lambda row: str(row.path))
    left.sort(key=order, reverse=reverse)
    if reverse:  # what is unknown comes last in any order
        left.sort(key=lambda row: row.figures is None)
    left.sort(key=lambda row: 0 if row.live else 1 if row.goes_on else 2)
    return left


# -- what is shown ---------------------------------------------------------------------------------------


def with_live(row: TraceRow, tree: SearchTree | None) -> TraceRow:
    """The row of the running search, its cheap figures as they are on screen."""
    if tree is None or tree.started is None or row.figures is None:
        return replace(row, live=True, paused=tree is not None and tree.state == "paused")
    figures = structs.replace(row.figures, nodes=len(tree), calls=tree.calls, seconds=tree.t)
    paused = tree.state == "paused"
    return replace(row, live=True, paused=paused, figures=figures, goal=tree.started.instruction)


def short_name(row: TraceRow) -> str:
    """The file's name without the environment in front, which the row names already."""
    env = f"{row.figures.env}-" if row.figures is not None else ""
    return row.name.removeprefix(env) or row.name


MARKED = ("◆", "*")
"""The sign of a marked row, and that of a terminal without it."""


def cells(nested: Nested, now: float, open_path: Path | None = None, marked: bool = False) -> list[Cell]:
    """Returns the cells of a row, one for each of `COLUMNS`.

    `nested`: the trace and its place. `now`: seconds since 1970. `open_path`: the trace that is open. `marked`: whether
    a person marked it.
    """
    row = nested.row
    glyph, role = state_sign(row.state)
    state: Cell = ((f"{glyph} ", role), (row.state, role))
    if marked:
        state = ((f"{MARKED[glyphs().guide.isascii()]} ", "person"), (row.state, "person"))
    figures = row.figures
    quiet: Role = "muted" if nested.level or row.kind == "repair" else "text"
    name: Role = "strong" if row.path == open_path or row.live else quiet
    old = cell(age(now - row.modified) if row.modified else "", "muted")
    file = cell(short_name(row), "muted")
    if figures is None:
        told = cell(row.error, "bad") if row.error else cell("")
        return [state, cell(row.name, name), told, *([()] * 8), old, file]
    q: Role = value_role(figures.best_return, *row.score_range)
    if figures.attempts:  # what was imported is done: how many of its attempts were solved says more
        solved = f"{figures.solved} of {figures.attempts}" if figures.scored else f"{figures.attempts} tried"
        state = ((f"{glyph} ", role), (solved, "good" if figures.solved else "bad" if figures.scored else "muted"))
    return [
        state,
        cell(nested.title, name),
        cell(row.goal, name) if figures.trace else cell("no event in it", "warn"),
        cell(format_count(figures.nodes), "text"),
        cell(format_count(figures.solved if figures.attempts else figures.good), "good" if figures.good else "muted"),
        cell(
            format_count(figures.scored - figures.solved if figures.attempts else figures.bad),
            "bad" if figures.bad else "muted",
        ),
        cell(format_value(figures.best_return, *row.score_range), q),
        cell(format_count(figures.pairs), "text" if figures.pairs else "muted"),
        cell(str(figures.max_depth), "muted"),
        cell(format_count(figures.calls), "muted"),
        cell("" if figures.seconds is None else duration(figures.seconds), "muted"),
        old,
        file,
    ]


def facts(nested: Nested, below: Sequence[TraceRow] = ()) -> list[tuple[str, Role]]:
    """More about one trace, in a line. `below`: the searches that stand below it."""
    row = nested.row
    if row.error:
        return [(f"{glyphs().bad} {row.error}", "bad")]
    figures = row.figures
    if figures is None:
        return [(str(row.path), "muted")]
    parts = [str(row.path), figures.algorithm, *attempts_told(figures)]
    if below:
        parts.insert(0, f"{counted(below)} below it")
    elif row.kind == "repair" and not nested.level:
        parts.insert(0, "a search for one sample's good steps; its tree is not in this list")
    if figures.failures:
        parts.append(f"{figures.failures} failed answers")
    if figures.tokens_in is not None or figures.tokens_out is not None:
        parts.append(f"{figures.tokens_in or 0} → {figures.tokens_out or 0} tokens")
    if figures.cost is not None:
        parts.append(f"${figures.cost:.2f}")
    if figures.steps_per_node is not None:
        parts.append(f"{figures.steps_per_node:.1f} environment steps per node")
    return [(" · ".join(parts), "muted")]


def attempts_told(figures: TraceFigures) -> list[str]:
    """Returns the figures of an import: attempts, their solved share, the spread of their returns."""
    if not figures.attempts:
        return []
    told = [f"{many(figures.attempts, 'attempt')} of {figures.source}"]
    if figures.scored:
        told.append(f"{figures.solved} of {figures.scored} solved ({figures.solved / figures.scored:.0%})")
    if figures.spread is not None:
        told.append(f"spread {figures.spread:.2g}")
    if figures.cut_off:
        told.append(f"{figures.cut_off} cut off")
    if figures.by_chance:
        told.append(f"{many(figures.by_chance, 'pair')} parted by chance")
    return told


def age(seconds: float) -> str:
    """How long ago, in at most four cells: `now`, `3m`, `5h`, `12d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{min(seconds // size, 999):.0f}{unit}"
    return "now"


def duration(seconds: float) -> str:
    """A duration in at most six cells: `0.4s`, `12s`, `3m05`, `2h10`."""
    if seconds < 100:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    if seconds < 3_600:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02}"
    return f"{min(int(seconds) // 3_600, 999)}h{int(seconds) % 3_600 // 60:02}"


def summary(
    rows: Sequence[TraceRow], sort: str, wanted: str, reverse: bool = False, marked: int = 0
) -> tuple[str, str]:
    """Title and subtitle of the table.

    `rows`: those shown. `sort`: by which column; `reverse`: the other way round. `wanted`: the filter. `marked`:
    number of marked rows.
    """
    parts = [f"traces  {len(rows)}"]
    of_state = Counter(row.state for row in rows)
    counts = {word: sum(of_state[state] for state in states) for word, states in COUNTED.items()}
    parts += [f"{count} {word}" for word, count in counts.items() if count]
    parts += [f"{marked} marked"] if marked else []
    order = f"{sort} first" if sort == "newest" else f"by {sort}"
    order = order if not reverse else "oldest first" if sort == "newest" else f"{order}, reversed"
    return " · ".join(parts), f"{order} · filter: {wanted}" if wanted else order


COUNTED = {"running": ("live", "running"), "paused": ("paused",), "broken": ("broken",)}
"""States that the title counts."""


EMPTY = """\
No traces here yet.

A trace is the record of one search over an agent's trajectories: every
answer, every step, every return. Here you watch searches, open their trees,
and take good and bad trajectories out of them.

  o   starts a search (TextCraft needs no key and no network)
  t   shows the sample trees that ship with the package
  ?   the keys; 1 to 5 are the screens
"""
BY_COMMAND = """
On the command line:

  agentr open PATH…       traces, tree files of Agent-R, folders
  agentr open --shipped   the sample trees
  agentr search           a search into this workspace
"""
