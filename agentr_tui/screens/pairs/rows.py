"""What the Pairs screen shows: leaves by Q, suggested pairs, two trajectories side by side. Knows no Textual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from agentr_tui.screens.shared.compare_lines import Side, trajectory_document
from agentr_tui.terminal.theme import Role, bar, format_value, glyphs, value_role
from agentr_tui.terminal.words import ENDED
from agentr_tui.widgets.row_table import Cell, Column, cell
from agentr_tui.widgets.text_pane import Line
from engine.pairs.pairs import Pair, count_pairs, fork_of, leaves_by_q
from engine.pairs.ranking import Rank, ranked
from engine.tree.thresholds import Thresholds
from engine.tree.tree import SearchTree
from envs.base import title_of

MANY_LEAVES = 2_000
"""Of trees with more leaves, what is known first is told first."""

MOST_SUGGESTIONS = 200

RANK_LABELS: dict[Rank, str] = {
    "fork": "latest fork, then largest gap",
    "gap": "largest gap, then latest fork",
    "tail": "shortest good part first",
    "mark": "another wrong step each time",
    "return": "best good leaf, then worst bad one",
}
"""Which pairs are suggested first."""

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
    Column("next good step", 8, flex=1, drop=1),
)


@dataclass(frozen=True)
class PairFigures:
    """Leaves, pairs and suggestions of a tree as it was at one moment."""

    leaves: list[int]  # by falling Q
    good: int
    pairs: int | None = None  # None: not counted yet
    suggestions: list[Pair] = field(default_factory=list)


def pair_figures(tree: SearchTree, thresholds: Thresholds, rank: Rank = "fork") -> Iterator[PairFigures]:
    """Yields everything that the screen lists, as it becomes known: leaves, then suggestions, then the number of pairs.

    `tree`: the search. `thresholds`: which leaves are good, and how large a gap is enough. `rank`: the order of
    suggestions.
    """
    leaves = leaves_by_q(tree)
    good = sum(thresholds.good(leaf) for leaf in leaves)
    figures = PairFigures([leaf.id for leaf in leaves], good)
    if len(leaves) > MANY_LEAVES:
        yield figures
    suggestions = list(islice(ranked(tree, thresholds, rank), MOST_SUGGESTIONS)) if good else []
    figures = replace(figures, suggestions=suggestions)
    if len(leaves) > MANY_LEAVES:
        yield figures
    yield replace(figures, pairs=count_pairs(tree, thresholds) if good else 0)


# -- rows ------------------------------------------------------------------------------------------------


def leaf_cells(
    tree: SearchTree, id: int, thresholds: Thresholds, score_range: tuple[float, float], chosen: Sequence[int | None]
) -> list[Cell]:
    """Returns the cells of a leaf, one for each of `LEAF_COLUMNS`.

    `tree`: the search. `id`: the leaf. `thresholds`: whether it is good. `score_range`: least and greatest return, for
    the bar. `chosen`: the two leaves of the pair.
    """
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
    """Returns the cells of a suggested pair, one for each of `SUGGESTION_COLUMNS`.

    `tree`: the search. `pair`: the suggestion. `score_range`: least and greatest return. `chosen`: good and bad leaf of
    the chosen pair.
    """
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


def chosen_words(chosen: tuple[int | None, int | None]) -> str:
    """Which leaves are chosen for a pair."""
    good, bad = ("–" if leaf is None else str(leaf) for leaf in chosen)
    return "space chooses" if chosen == (None, None) else f"chosen: {good} against {bad}"


def top_parts(tree: SearchTree, thresholds: Thresholds, pairs: int | None) -> list[tuple[str, Role]]:
    """Returns what the top bar says: the task, alpha and beta, the number of pairs.

    `tree`: the search. `thresholds`: alpha and beta. `pairs`: how many they give; None: not counted yet.
    """
    started = tree.started
    assert started is not None
    return [
        (f"{title_of(started.environment, started.task)}  ", "strong"),
        ("alpha ", "muted"), (f"{thresholds.alpha:g}  ", "person"),
        ("beta ", "muted"), (f"{thresholds.beta:g}  ", "person"),
        ("counting pairs …  " if pairs is None else f"{pairs} pair{'s' * (pairs != 1)}  ", "text"),
        (started.instruction, "muted"),
    ]  # fmt: skip


# -- two trajectories ------------------------------------------------------------------------------------

FORK = 0
"""Key of the first line after the fork."""


def path_lines(tree: SearchTree, pair: Pair, width: int) -> list[Line]:
    """Returns both trajectories of a pair: the shared steps once, the fork, then step beside step with the words that
    differ. Side by side where there is room, else one line under the other.

    `tree`: the search. `pair`: the pair. `width`: cells.
    """
    bad = Side(f"bad leaf {pair.bad}", tree, tree, pair.bad)
    good = Side(f"good leaf {pair.good}", tree, tree, pair.good)
    return trajectory_document(bad, good, width, roles=("bad", "good")).lines


def pair_of(tree: SearchTree, one: int, other: int, thresholds: Thresholds) -> Pair | None:
    """Returns the pair that two leaves make, whichever is the good one; None where they make none.

    `tree`: the search. `one` and `other`: the leaves. `thresholds`: which leaves are good, and how large a gap is
    enough.
    """
    for good, bad in ((one, other), (other, one)):
        gap = (tree.q(good) or 0.0) - (tree.q(bad) or 0.0)
        if thresholds.good(tree.nodes[good]) and gap > thresholds.beta:
            return Pair(good, bad, fork_of(tree, good, bad), gap)
    return None


def why_no_pairs(figures: PairFigures, thresholds: Thresholds, best: float | None) -> str:
    """Returns why there is no pair, and what to do; empty where there are pairs.

    `figures`: leaves and pairs. `thresholds`: alpha and beta. `best`: the greatest Q of a leaf; None: there is no leaf.
    """
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
