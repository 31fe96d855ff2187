"""What the Pairs screen tells: leaves by Q, suggested pairs, two trajectories side by side. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from itertools import islice, zip_longest

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from agentr_tui.safe_text import escape, pad
from agentr_tui.theme import Role, bar, format_value, glyphs, value_role
from agentr_tui.widgets.row_table import Cell, Column, cell
from agentr_tui.widgets.text_pane import BLANK, Line, line
from engine.pairs import Pair, Thresholds, count_pairs, fork_of, leaves_by_q
from engine.tree import Node, SearchTree

MANY_LEAVES = 2_000
"""Of trees with more leaves, what is known first is told first."""

MOST_SUGGESTIONS = 200
MOST_SCANNED = 20_000
"""Pairs that are looked at to suggest the best of them."""

LEAF_COLUMNS = (
    Column("", 2),
    Column("", 6),
    Column("leaf", 5, right=True),
    Column("Q", 4, right=True),
    Column("", 4, drop=5),
    Column("N", 3, right=True, drop=4),
    Column("depth", 5, right=True, drop=3),
    Column("ended", 8, drop=2),
    Column("last action", 16, flex=1, drop=1),
)

SUGGESTION_COLUMNS = (
    Column("", 2),
    Column("good", 5, right=True),
    Column("bad", 5, right=True),
    Column("fork", 4, right=True),
    Column("gap", 4, right=True),
    Column("good goes on", 8, flex=1, drop=1),
)

ENDED = {"done": "done", "disaster": "disaster", "depth": "too deep", "dead_end": "dead end"}


@dataclass(frozen=True)
class PairFigures:
    """Leaves, pairs and suggestions of a tree as it was at one moment."""

    leaves: list[int]  # by falling Q
    good: int
    pairs: int | None = None  # None: not counted yet
    suggestions: list[Pair] = field(default_factory=list)


def pair_figures(tree: SearchTree, thresholds: Thresholds) -> Iterator[PairFigures]:
    """Everything that the screen lists, as it becomes known: leaves, then suggestions, then the number of pairs."""
    leaves = leaves_by_q(tree)
    good = sum(thresholds.good(leaf) for leaf in leaves)
    figures = PairFigures([leaf.id for leaf in leaves], good)
    if len(leaves) > MANY_LEAVES:
        yield figures
    figures = replace(figures, suggestions=list(suggest(tree, leaves, thresholds)) if good else [])
    if len(leaves) > MANY_LEAVES:
        yield figures
    yield replace(figures, pairs=count_pairs(tree, thresholds) if good else 0)


# -- suggestions -----------------------------------------------------------------------------------------


def suggest(
    tree: SearchTree,
    leaves: Sequence[Node],
    thresholds: Thresholds,
    most: int = MOST_SUGGESTIONS,
    scan: int = MOST_SCANNED,
) -> Iterator[Pair]:
    """The pairs that tell most, best first: the latest fork, then the largest gap.

    Forks are walked from the deepest up, so that what is not needed is never paired. At most `scan` pairs are looked
    at; at a fork with more, those of its best good and its worst bad leaves.
    """
    ending: dict[int, list[Node]] = {}  # depth → leaves there, by falling Q
    for leaf in leaves:
        ending.setdefault(leaf.depth, []).append(leaf)
    nodes = tree.nodes
    carried: dict[int, list[Node]] = {}  # node at the depth below → leaves under it, by falling Q
    for depth in range(max(ending, default=0) - 1, -1, -1):
        forks: dict[int, dict[int, list[Node]]] = {}  # node → child of it → leaves under that
        for leaf in ending.get(depth + 1, ()):
            forks.setdefault(leaf.parent, {})[leaf.id] = [leaf]
        for child, under in carried.items():
            forks.setdefault(nodes[child].parent, {})[child] = under
        carried = {fork: _merged(groups) for fork, groups in forks.items()}
        found: list[Pair] = []
        for fork in sorted(forks):
            if len(forks[fork]) > 1:
                for pair in islice(_pairs_at(fork, forks[fork], carried[fork], thresholds), scan):
                    scan -= 1
                    if pair is not None:
                        found.append(pair)
        best = nlargest(most, found, key=lambda pair: pair.gap)
        yield from best
        most -= len(best)
        if most <= 0 or scan <= 0:
            return


def _q(leaf: Node) -> float:
    return leaf.value_sum / leaf.visits


def _merged(groups: dict[int, list[Node]]) -> list[Node]:
    lists = list(groups.values())
    if len(lists) == 1:
        return lists[0]
    return sorted((leaf for leaves in lists for leaf in leaves), key=_q, reverse=True)


def _pairs_at(
    fork: int, groups: dict[int, list[Node]], merged: list[Node], thresholds: Thresholds
) -> Iterator[Pair | None]:
    """The pairs whose trajectories part at this node, those of the best good leaves first; None for no pair."""
    side = {leaf.id: child for child, leaves in groups.items() for leaf in leaves}
    for good in merged:
        if not thresholds.good(good):
            return
        for bad in reversed(merged):
            gap = _q(good) - _q(bad)
            if gap <= thresholds.beta:
                break
            yield Pair(good.id, bad.id, fork, gap) if side[good.id] != side[bad.id] else None


# -- rows ------------------------------------------------------------------------------------------------


def leaf_cells(
    tree: SearchTree, id: int, thresholds: Thresholds, score_range: tuple[float, float], chosen: Sequence[int | None]
) -> list[Cell]:
    """The cells of a leaf, one for each of `LEAF_COLUMNS`."""
    node, signs = tree.nodes[id], glyphs()
    good = thresholds.good(node)
    side: tuple[str, Role] = (f"{signs.good} good", "good") if good else (f"{signs.bad} bad", "bad")
    role = value_role(node.q, *score_range)
    ended = ENDED.get(node.terminal or "", "")
    return [
        cell(signs.bookmark if id in chosen else "", "person"),
        cell(*side),
        cell(str(id), "strong" if id in chosen else "text"),
        cell(format_value(node.q, *score_range), role),
        cell(bar(node.q, 4, *score_range), role),
        cell(str(node.visits), "muted"),
        cell(str(node.depth), "text"),
        cell(ended, "warn" if node.terminal in ("disaster", "depth") else "muted"),
        cell(node.action, "strong" if id in chosen else "text"),
    ]


def suggestion_cells(
    tree: SearchTree, pair: Pair, score_range: tuple[float, float], chosen: Sequence[int | None]
) -> list[Cell]:
    """The cells of a suggested pair, one for each of `SUGGESTION_COLUMNS`."""
    way = tree.ancestors(pair.good)
    after = way[tree.nodes[pair.fork].depth + 1]
    is_chosen = tuple(chosen) == (pair.good, pair.bad)
    low, high = score_range
    return [
        cell(glyphs().bookmark if is_chosen else "", "person"),
        cell(str(pair.good), "good"),
        cell(str(pair.bad), "bad"),
        cell(str(tree.nodes[pair.fork].depth)),
        cell(format_value(pair.gap, 0.0, high - low), "text"),
        cell(tree.nodes[after].action, "strong" if is_chosen else "text"),
    ]


# -- two trajectories ------------------------------------------------------------------------------------

_CONSOLE = Console(width=400, color_system=None, legacy_windows=False)
_MOST_ROWS = 4  # of one text in a column
_SIDE_BY_SIDE = 84
"""From this width on the parted steps stand side by side."""

FORK = 0
"""Key of the line at the fork."""

Piece = tuple[str, Role]


def path_lines(tree: SearchTree, pair: Pair, width: int, score_range: tuple[float, float]) -> list[Line]:
    """Both trajectories of a pair: the shared steps once, the fork, then what each did after it."""
    good, bad = tree.ancestors(pair.good), tree.ancestors(pair.bad)
    fork = tree.nodes[pair.fork].depth
    lines: list[Line] = []
    for step, id in enumerate(good[1 : fork + 1], 1):
        node = tree.nodes[id]
        lines.append(
            line((f"  {step:>3} ", "muted"), (node.action, "text"), (f"  {node.observation}", "muted"), indent=6)
        )
    where = f"after step {fork}" if fork else "at the root: no step is shared"
    lines.append(line((_rule(f" fork {where} ", width), "focus"), key=FORK))
    heads = _heads(tree, pair, score_range)
    if width >= _SIDE_BY_SIDE:
        lines += _beside(tree, good[fork + 1 :], bad[fork + 1 :], fork, width, heads)
    else:
        lines += _stacked(tree, good[fork + 1 :], bad[fork + 1 :], fork, heads)
    return lines


def _heads(tree: SearchTree, pair: Pair, score_range: tuple[float, float]) -> tuple[Piece, Piece]:
    signs = glyphs()

    def told(leaf: int) -> str:
        node = tree.nodes[leaf]
        return f"leaf {leaf} · return {node.reward:g} · {ENDED.get(node.terminal or '', '')}"

    return (f"{signs.good} good {told(pair.good)}", "good"), (f"{signs.bad} bad {told(pair.bad)}", "bad")


def _rule(name: str, width: int) -> str:
    return "──" + name + "─" * max(2, width - cell_len(name) - 2)


def _unified(tree: SearchTree, id: int, step: int, sign: str, role: Role) -> list[Line]:
    node = tree.nodes[id]
    return [
        line((f"{sign}{step:>3} ", role), (node.action, role), indent=6),
        line(("      ", "muted"), (node.observation, "muted"), indent=6),
    ]


def _stacked(
    tree: SearchTree, good: Sequence[int], bad: Sequence[int], fork: int, heads: tuple[Piece, Piece]
) -> list[Line]:
    """One after the other, with a sign before every step."""
    signs = glyphs()
    lines = [line(heads[0])]
    for step, id in enumerate(good, fork + 1):
        lines += _unified(tree, id, step, f"{signs.plus} ", "good")
    lines += [BLANK, line(heads[1])]
    for step, id in enumerate(bad, fork + 1):
        lines += _unified(tree, id, step, f"{signs.minus} ", "bad")
    return lines


def _beside(
    tree: SearchTree, good: Sequence[int], bad: Sequence[int], fork: int, width: int, heads: tuple[Piece, Piece]
) -> list[Line]:
    """Step by step in two columns."""
    signs = glyphs()
    left, right = (width - 3) // 2, width - 3 - (width - 3) // 2
    lines = [_row(heads[0], heads[1], left)]
    for step, (ours, theirs) in enumerate(zip_longest(good, bad), fork + 1):
        columns = (
            _step_rows(tree, ours, step, f"{signs.plus} ", "good", left),
            _step_rows(tree, theirs, step, f"{signs.minus} ", "bad", right),
        )
        nothing: Piece = ("", "muted")
        lines += [_row(one, other, left) for one, other in zip_longest(*columns, fillvalue=nothing)]
    return lines


def _row(left: Piece, right: Piece, width: int) -> Line:
    return line((pad(escape(left[0]), width), left[1]), (f" {glyphs().guide} ", "faint"), right)


def _step_rows(tree: SearchTree, id: int | None, step: int, sign: str, role: Role, width: int) -> list[Piece]:
    """The rows of one step in a column of that width."""
    if id is None:
        return []
    node = tree.nodes[id]
    action = [(f"{sign}{step:>3} " if place == 0 else " " * 6) + row for place, row in _wrap(node.action, width - 6)]
    seen = [" " * 6 + row for _, row in _wrap(node.observation, width - 6)]
    return [*((text, role) for text in action), *((text, "muted") for text in seen)]


def _wrap(text: str, width: int) -> Iterator[tuple[int, str]]:
    """Rows of at most `width` cells; a long text is cut after a few."""
    safe = escape(text[: width * (_MOST_ROWS + 1)])
    rows = [row.plain.rstrip() for row in Text(safe, end="").wrap(_CONSOLE, max(8, width))]
    if len(rows) > _MOST_ROWS or len(text) > width * (_MOST_ROWS + 1):
        rows = rows[:_MOST_ROWS]
        rows[-1] = pad(rows[-1], width - 2).rstrip() + " …"
    return enumerate(rows)


def pair_of(tree: SearchTree, one: int, other: int, thresholds: Thresholds) -> Pair | None:
    """The pair that two leaves make, whichever is the good one; None where they make none."""
    for good, bad in ((one, other), (other, one)):
        gap = (tree.q(good) or 0.0) - (tree.q(bad) or 0.0)
        if thresholds.good(tree.nodes[good]) and gap > thresholds.beta:
            return Pair(good, bad, fork_of(tree, good, bad), gap)
    return None


def why_no_pairs(figures: PairFigures, thresholds: Thresholds, best: float | None) -> str:
    """What it means that there is no pair, and what to do; empty where there are some."""
    if not figures.leaves:
        return (
            "No trajectory has ended yet, so there is nothing to pair. Wait for the search, or give it more iterations."
        )
    if not figures.good:
        return (
            f"No leaf is good: the best return is {best or 0:g}, and a good one must exceed alpha = "
            f"{thresholds.alpha:g}. Lower alpha with a, or search with more iterations."
        )
    if figures.pairs == 0:
        return (
            f"No leaf is worse than a good one by more than beta = {thresholds.beta:g}. Lower beta with b, or search "
            "with a greater error rate or more samples."
        )
    return ""
