"""The formulas of selection, as numbers worked out by hand, and the fast path against the records."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.search.child_scores import best_children, puct, scores, uct
from engine.tree.events import FORMAT_VERSION, Imported, ImportedNode, Message, SearchSettings, Started, TerminalReason
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree


def tree_of(parent_visits: int, children: list[tuple[int, float, TerminalReason | None]]) -> SearchTree:
    """A root with children of given N, W and end."""
    nodes = [ImportedNode(visits=parent_visits)]
    for number, (visits, value, terminal) in enumerate(children):
        text = f"a{number}"
        nodes.append(ImportedNode(0, text, text, "", value, visits, value, terminal))
    header = [Message("user", "go")]
    started = Started(
        seq=0,
        version=FORMAT_VERSION,
        trace="f",
        environment="textcraft",
        task="0",
        header=header,
        settings=SearchSettings(),
    )
    return SearchTree([started, Imported(seq=1, source="made", nodes=nodes)])


def test_uct_is_mean_value_plus_c_times_the_root_of_ln_parent_over_visits() -> None:
    exploitation, exploration = uct(3.0, 4, 9, 0.5)
    assert exploitation == 0.75
    assert exploration == pytest.approx(0.370576, abs=1e-6)  # 0.5 * sqrt(2.197225 / 4)
    assert uct(-1.0, 2, 1, 0.5) == (-0.5, 0.0)  # ln 1 = 0


def test_puct_is_mean_value_plus_c_times_prior_times_the_root_of_parent_over_one_plus_visits() -> None:
    exploitation, exploration = puct(3.0, 4, 9, 0.5, 0.4, 0.0)
    assert exploitation == 0.75
    assert exploration == pytest.approx(0.12)  # 0.5 * 0.4 * 3 / 5


def test_puct_takes_an_unvisited_child_for_the_least_return() -> None:
    assert puct(0.0, 0, 9, 0.5, 0.4, -1.0) == pytest.approx((-1.0, 0.6))  # 0.5 * 0.4 * 3 / 1


@pytest.mark.parametrize(
    ("low", "loss", "total"),
    [
        (0.0, 0.25, 0.816089),  # Q 3/6 instead of 3/4, and 0.5 * sqrt(ln 11 / 6) = 0.316089
        (-1.0, 0.583333, 0.482756),  # Q (3 - 2)/6
    ],
)
def test_each_expansion_in_flight_counts_as_a_visit_that_returned_the_least(
    low: float, loss: float, total: float
) -> None:
    tree = tree_of(9, [(4, 3.0, None), (5, 1.0, None)])
    tree.nodes[1].open_children = 1  # it was expanded: what is in flight lies below it
    tree.nodes[1].children.append(2)
    rows = dict(scores(tree, ROOT, 0.5, low=low, in_flight={ROOT: 2, 1: 2}))
    assert rows[1].exploitation == 0.75
    assert rows[1].virtual_loss == pytest.approx(loss, abs=1e-6)
    assert rows[1].total == pytest.approx(total, abs=1e-6)
    assert rows[2].virtual_loss == 0
    assert rows[2].total == pytest.approx(0.2 + 0.5 * math.sqrt(2.397895 / 5), abs=1e-6)  # ln 11


def test_a_child_in_flight_that_was_never_expanded_is_not_selected_again() -> None:
    tree = tree_of(2, [(1, 1.0, None), (1, 0.0, None)])
    assert best_children(tree, ROOT, 0.0, in_flight={ROOT: 1, 1: 1}) == [2]


ENDS: tuple[TerminalReason | None, ...] = (None, None, None, "done", "depth", "disaster")


@given(
    children=st.lists(st.tuples(st.integers(0, 6), st.integers(-8, 8), st.sampled_from(ENDS)), min_size=1, max_size=8),
    more=st.integers(0, 5),
    c=st.sampled_from((0.0, 0.25, 1.4)),
)
def test_the_fast_path_selects_what_the_records_call_greatest(
    children: list[tuple[int, int, TerminalReason | None]], more: int, c: float
) -> None:
    given_children = [(visits, value / 8 if visits else 0.0, end) for visits, value, end in children]
    tree = tree_of(sum(visits for visits, _, _ in children) + more, given_children)
    rows = [(child, score) for child, score in scores(tree, ROOT, c) if score.selectable]
    greatest = max((score.total for _, score in rows), default=None)
    assert list(best_children(tree, ROOT, c)) == [child for child, score in rows if score.total == greatest]


@pytest.mark.parametrize("c", [0.25, 1.0, 1.4])
@pytest.mark.parametrize(("many", "few"), [(16, 1), (9, 2), (5, 4), (2, 1), (40, 3)])
def test_selection_changes_sides_where_the_formula_does(many: int, few: int, c: float) -> None:
    """A child with many visits and Q beside one with few and Q = 0: the gap of Q that outweighs exploration."""
    log_parent = math.log(many + few)
    gap = c * (math.sqrt(log_parent / few) - math.sqrt(log_parent / many))
    for side, chosen in ((0.001, 1), (-0.001, 2)):
        tree = tree_of(many + few, [(many, (gap + side) * many, None), (few, 0.0, None)])
        assert best_children(tree, ROOT, c) == [chosen]


@given(
    statistics=st.lists(st.tuples(st.integers(1, 50), st.integers(-100, 100)), min_size=2, max_size=6),
    c=st.sampled_from((0.1, 1.0)),
)
def test_selection_goes_to_the_argmax_of_the_published_formula(statistics: list[tuple[int, int]], c: float) -> None:
    parent = sum(visits for visits, _ in statistics)
    tree = tree_of(parent, [(visits, value / 10, None) for visits, value in statistics])
    by_hand = {
        number: value / 10 / visits + c * (math.log(parent) / visits) ** 0.5
        for number, (visits, value) in enumerate(statistics, 1)
    }
    greatest = max(by_hand.values())
    for child in best_children(tree, ROOT, c):
        assert by_hand[child] == pytest.approx(greatest, rel=1e-12)
