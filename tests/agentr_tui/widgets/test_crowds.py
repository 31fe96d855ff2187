"""Never-visited siblings share a row: whatever is folded, grown, looked at in the past or spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.node import ROOT
from engine.tree.reader import TreeReader
from tests.agentr_tui.trees import random_tree, yellow_bed


def unvisited(reader: TreeReader, id: int) -> bool:
    return not reader.visits(id) and not reader.children(id) and reader.node(id).terminal is None


def expected(reader: TreeReader, folded: set[int], spread: set[int], chains: bool) -> list[int]:
    """The rows the obvious way: of the never-visited children of a node only the first."""
    rows, stack = [], [ROOT]
    while stack:
        id = stack.pop()
        kids = [] if id in folded else [kid for kid in reader.children(id) if kid < len(reader)]
        crowd = [kid for kid in kids if unvisited(reader, kid)] if id not in spread and len(kids) > 1 else []
        shown = [kid for kid in kids if kid not in crowd[1:]]
        alone = len(crowd) == len(kids) > 1
        if not (chains and len(shown) == 1 and id != ROOT and not alone):
            rows.append(id)
        stack.extend(reversed(shown))
    return rows


def same(rows: TreeRows, wanted: list[int]) -> None:
    assert len(rows) == len(wanted)
    assert rows.window(0, len(rows)) == wanted
    assert [rows.row_of(id) for id in wanted] == list(range(len(wanted)))


@given(st.integers(0, 400), st.integers(2, 60), st.booleans(), st.sets(st.integers(0, 59), max_size=6), st.data())
def test_rows_are_those_of_the_first_of_each_crowd(
    seed: int, nodes: int, chains: bool, folds: set[int], data: st.DataObject
) -> None:
    grower = random_tree(nodes, seed)
    tree = grower.tree
    rows = TreeRows(tree, chains=chains, crowded=True)
    folded = {id for id in folds if id < len(tree)}
    for id in folded:
        rows.fold(id)
    same(rows, expected(tree, folded, set(), chains))
    grown = next((node.id for node in tree.nodes if unvisited(tree, node.id)), None)
    if grown is not None:  # it grows: others share rows now
        grower.expand(grown, ["one", "two", ("three", "done", 1.0), "four"])
        rows.follow()
        same(rows, expected(tree, folded, set(), chains))
    seq = data.draw(st.integers(0, tree.seq))
    then = tree.at(seq)
    if len(then):
        rows.follow(then)
        same(rows, expected(then, folded, set(), chains))
        rows.follow(tree)
    behind = [id for id in range(len(tree)) if rows.crowding.leader(rows.reader, id) != id]
    if behind:  # going there spreads its crowd
        id = data.draw(st.sampled_from(behind))
        assert unvisited(tree, rows.crowding.leader(rows.reader, id))
        assert rows.visible_ancestor(id) in rows.window(0, len(rows))
        rows.reveal(id)
        up = {tree.node(id).parent}
        above = set(tree.ancestors(id))
        same(rows, expected(tree, folded - above, up, chains))
    rows.crowding.on = False
    rows.rebuild()
    assert all(rows.crowding.leader(rows.reader, id) == id for id in range(len(tree)))


def test_a_crowd_is_told_by_its_first_and_a_filter_shows_each_match() -> None:
    tree = yellow_bed().tree
    rows = TreeRows(tree, crowded=True)
    first = next(id for id in range(len(tree)) if rows.crowding.members(id))
    crowd = rows.crowding.members(first)
    assert len(crowd) > 1
    assert all(unvisited(tree, id) for id in crowd)
    assert [id for id in crowd if rows.is_visible(id)] == [first]
    rows.set_visible(crowd)
    assert all(rows.is_visible(id) for id in crowd)
    rows.set_visible(None)
    assert [id for id in crowd if rows.is_visible(id)] == [first]


@pytest.mark.parametrize("crowded", [True, False])
def test_the_newest_node_has_a_row_that_stands_for_it(crowded: bool) -> None:
    grower = yellow_bed()
    rows = TreeRows(grower.tree, crowded=crowded)
    grower.expand(next(node.id for node in grower.tree.nodes if unvisited(grower.tree, node.id)), ["a", "b", "c"])
    rows.follow()
    newest = len(grower.tree) - 1
    assert rows.crowding.leader(grower.tree, newest) == (newest - 2 if crowded else newest)
    assert rows.is_visible(rows.crowding.leader(grower.tree, newest))
