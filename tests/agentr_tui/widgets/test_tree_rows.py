"""Rows are the depth-first order of what is open, whatever was folded, grown or filtered before."""

from __future__ import annotations

import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.widgets.tree import moves
from agentr_tui.widgets.tree.row_counts import WIDE
from agentr_tui.widgets.tree.rows import TreeRows
from engine.tree.node import NO_PARENT, ROOT
from engine.tree.reader import TreeReader
from engine.tree.tree import SearchTree
from tests.agentr_tui.trees import chain, imported_tree, random_tree, yellow_bed

Operation = tuple[str, int]

parent_lists = st.lists(st.integers(0, 10**6), max_size=60).map(
    lambda picks: [pick % (place + 1) for place, pick in enumerate(picks)]
)
wide_parents = st.integers(WIDE, 3 * WIDE).map(lambda n: [ROOT] * n + [place % 7 + 1 for place in range(20)])
operations = st.lists(
    st.tuples(
        st.sampled_from(("fold", "unfold", "toggle", "unfold_below", "reveal", "depth", "all", "none", "at", "chains")),
        st.integers(0, 10**6),
    ),
    max_size=25,
)


class Plain:
    """The same rows, the obvious way: a depth-first walk over everything."""

    def __init__(self, reader: TreeReader, chains: bool) -> None:
        self.reader, self.chains = reader, chains
        self.folded: set[int] = set()
        self.shown: set[int] | None = None

    def kids(self, id: int) -> list[int]:
        return [kid for kid in self.reader.children(id) if self.shown is None or kid in self.shown]

    def rows(self) -> list[int]:
        rows, stack = [], [ROOT]
        while stack:
            id = stack.pop()
            kids = [] if id in self.folded else self.kids(id)
            if not (self.chains and len(kids) == 1 and id != ROOT):
                rows.append(id)
            stack.extend(reversed(kids))
        return rows


def perform(rows: TreeRows, plain: Plain, operation: Operation) -> None:
    name, pick = operation
    count = len(plain.reader)
    id = pick % count
    below = [id]
    for at in below:
        below.extend(plain.kids(at))
    if name == "fold":
        rows.fold(id)
        plain.folded.add(id)
    elif name == "unfold":
        rows.unfold(id)
        plain.folded.discard(id)
    elif name == "toggle":
        rows.toggle(id)
        plain.folded ^= {id}
    elif name == "unfold_below":
        rows.unfold_below(id)
        plain.folded -= set(below)
    elif name == "reveal":
        rows.reveal(id)
        while id != ROOT:
            id = plain.reader.node(id).parent
            plain.folded.discard(id)
    elif name == "depth":
        rows.fold_to_depth(pick % 5)
        plain.folded = {at for at in range(count) if plain.reader.node(at).depth >= pick % 5}
    elif name == "all":
        rows.unfold_all()
        plain.folded = set()
    elif name == "none":
        rows.fold_to_depth(1)
        plain.folded = set(range(1, count))
    elif name == "at":
        rows.at(pick % len(rows))  # builds the sums of wide nodes
    elif name == "chains":
        plain.chains = not plain.chains
        rows.set_chains(plain.chains)


def check(rows: TreeRows, plain: Plain) -> None:
    expected = plain.rows()
    assert len(rows) == len(expected)
    assert [rows.at(row) for row in range(len(rows))] == expected
    assert [rows.row_of(id) for id in expected] == list(range(len(expected)))
    assert rows.window(0, len(rows) + 5) == expected
    assert rows.window(len(rows) // 2, 3) == expected[len(rows) // 2 :][:3]
    for before, after in pairwise(expected):
        assert rows.following(before) == after
        assert moves.up(rows, after) == before
    assert moves.up(rows, expected[0]) is None or expected[0] != ROOT
    assert rows.following(expected[-1]) is None
    assert moves.last(rows, ROOT) == expected[-1]
    shared = {id for row in expected for id in rows.chain(row)}
    for id in range(len(plain.reader)):
        assert rows.is_visible(id) == (id in shared)


@given(parent_lists | wide_parents, operations, st.booleans())
def test_rows_are_the_depth_first_order_after_any_folding(
    parents: list[int], steps: list[Operation], chains: bool
) -> None:
    tree = imported_tree(parents)
    rows, plain = TreeRows(tree, chains=chains), Plain(tree, chains)
    for step in steps:
        perform(rows, plain, step)
    check(rows, plain)


@given(st.integers(0, 50), st.integers(0, 50), operations, operations, st.booleans())
def test_growing_gives_the_rows_of_a_tree_built_anew(
    seed: int, moment: int, before: list[Operation], after: list[Operation], chains: bool
) -> None:
    tree = random_tree(80, seed).tree
    past = tree.at(tree.seq * moment // 50)
    rows, plain = TreeRows(past, chains=chains), Plain(past, chains)
    for step in before:
        perform(rows, plain, step)
    plain.reader = tree
    new = rows.follow(tree)
    assert list(new) == list(range(len(past), len(tree)))
    check(rows, plain)
    for step in after:
        perform(rows, plain, step)
    check(rows, plain)


@given(st.integers(0, 20), operations, st.booleans())
def test_each_single_event_keeps_the_rows_right(seed: int, steps: list[Operation], chains: bool) -> None:
    source = random_tree(60, seed)
    tree = SearchTree(source.events[:1])
    rows, plain = TreeRows(tree, chains=chains), Plain(tree, chains)
    for event in source.events[1:]:
        tree.apply(event)
        rows.follow()
        if steps and len(tree) % 3 == 0:
            perform(rows, plain, steps.pop())
        rows.at(len(rows) - 1)
    check(rows, plain)


@given(st.integers(0, 20), st.lists(st.integers(0, 60), max_size=6), operations, st.booleans())
def test_going_back_and_forth_in_time_keeps_what_is_folded(
    seed: int, moments: list[int], steps: list[Operation], chains: bool
) -> None:
    tree = random_tree(120, seed).tree
    rows, plain = TreeRows(tree, chains=chains), Plain(tree, chains)
    for step in steps:
        perform(rows, plain, step)
    for moment in moments:
        plain.reader = tree.at(tree.seq * moment // 60)
        rows.follow(plain.reader)
        check(rows, plain)
    plain.reader = tree
    rows.follow(tree)
    check(rows, plain)


def test_folding_below_a_wide_node_keeps_its_sums_right() -> None:
    tree = imported_tree([ROOT] * 500 + list(range(1, 401)))
    assert len(tree) == 901
    rows, plain = TreeRows(tree), Plain(tree, False)
    rows.at(300)
    for id in (3, 77, 399):
        rows.fold(id)
        plain.folded.add(id)
    check(rows, plain)


def test_a_wide_node_grows_and_goes_back_in_time_with_its_sums_in_use() -> None:
    grower = random_tree(2)
    parent = len(grower.tree) - 1
    first, *_ = grower.expand(parent, [f"a{n}" for n in range(200)])
    rows = TreeRows(grower.tree)
    moments = []
    for place in range(20):
        rows.at(150)  # builds or walks the sums
        moments.append(grower.tree.seq)
        grower.expand(first + place, ["x", "y"])
        (added,) = grower.expand(parent, [f"b{place}"])
        grower.expand(added, ["z"] * place)
        rows.follow()
        check(rows, Plain(grower.tree, False))
    for moment in moments[:10:-3]:
        past = grower.tree.at(moment)
        rows.at(150)
        rows.follow(past)
        check(rows, Plain(past, False))
        rows.follow(grower.tree)
        check(rows, Plain(grower.tree, False))


@given(parent_lists, st.sets(st.integers(0, 60)), operations, st.booleans())
def test_a_filter_shows_matches_with_their_ancestors_and_leaves_no_trace(
    parents: list[int], picks: set[int], steps: list[Operation], chains: bool
) -> None:
    tree = imported_tree(parents)
    matches = {pick for pick in picks if pick < len(tree)}
    rows, plain = TreeRows(tree, chains=chains), Plain(tree, chains)
    for step in steps:
        perform(rows, plain, step)
    unfiltered = plain.rows()
    rows.set_visible(matches)
    filtered = Plain(tree, plain.chains)
    filtered.shown = {ROOT} | {up for match in matches for up in tree.ancestors(match)}
    check(rows, filtered)
    rows.set_visible(None)
    assert rows.window(0, len(rows)) == unfiltered


def test_what_the_tree_grew_since_the_last_flush_is_not_shown_yet() -> None:
    grower = yellow_bed()
    rows = TreeRows(grower.tree)
    before = rows.window(0, 100)
    grower.expand(5, ["one", "two"])
    assert rows.window(0, 100) == before
    rows.follow()
    assert len(rows) == len(before) + 2


def test_what_is_born_under_a_filter_is_there_after_it() -> None:
    grower = yellow_bed()
    rows, plain = TreeRows(grower.tree), Plain(grower.tree, False)
    rows.set_visible([6])
    grower.expand(5, ["one", "two"])
    grower.expand(len(grower.tree) - 1, ["three"])
    rows.follow()
    filtered = Plain(grower.tree, False)
    filtered.shown = set(grower.tree.ancestors(6))
    check(rows, filtered)
    rows.set_visible(None)
    check(rows, plain)


def test_new_nodes_below_the_opening_depth_are_folded() -> None:
    source = random_tree(300, 3)
    tree = SearchTree(source.events[:1])
    rows = TreeRows(tree, open_depth=2)
    for event in source.events[1:]:
        tree.apply(event)
    rows.follow()
    assert max(tree.node(id).depth for id in rows.window(0, len(rows))) == 2


def test_siblings_and_parents_are_found_through_chains() -> None:
    tree = imported_tree([ROOT, ROOT, 1, 3, 4, 5, 5, 2])
    rows = TreeRows(tree, chains=True)
    assert rows.window(0, 20) == [ROOT, 5, 6, 7, 8]  # 1-3-4-5 share a row, 2-8 another
    assert rows.chain(4) == [1, 3, 4, 5]
    assert rows.parent(6) == 5
    assert rows.parent(5) == ROOT
    assert rows.parent(ROOT) == NO_PARENT
    assert moves.sibling(rows, 3, 1) == 8
    assert moves.sibling(rows, 8, -1) == 5
    assert moves.sibling(rows, 8, 1) is None
    assert moves.sibling(rows, ROOT, 1) is None


def test_a_hidden_node_is_stood_for_by_its_nearest_visible_ancestor() -> None:
    tree = imported_tree([ROOT, 1, 2, 3])
    rows = TreeRows(tree)
    rows.fold(3)
    rows.fold(1)
    assert rows.row_of(4) is None
    assert rows.visible_ancestor(4) == 1
    rows.reveal(4)
    assert rows.row_of(4) == 4
    assert rows.visible_ancestor(4) == 4


def test_no_row_outside() -> None:
    rows = TreeRows(yellow_bed().tree)
    for row in (-1, len(rows)):
        with pytest.raises(IndexError):
            rows.at(row)
    assert rows.window(len(rows), 5) == []
    assert rows.window(0, 0) == []


@pytest.mark.parametrize("chains", [False, True])
def test_a_chain_of_five_thousand_steps_needs_no_recursion(chains: bool) -> None:
    tree = chain(5_000)
    rows = TreeRows(tree, chains=chains)
    assert len(rows) == (2 if chains else 5_001)
    assert moves.last(rows, ROOT) == 5_000
    rows.fold(2_500)
    assert len(rows) == (2 if chains else 2_501)
    rows.reveal(5_000)
    assert rows.row_of(5_000) == len(rows) - 1
    rows.fold(ROOT)
    rows.unfold_below(ROOT)
    assert rows.at(len(rows) - 1) == 5_000


def test_a_large_tree_opens_in_little_memory_and_every_row_is_found() -> None:
    rng = random.Random(1)
    count = 100_000
    tree = imported_tree(max(0, place - rng.randrange(1, 400)) for place in range(count - 1))
    rows = TreeRows(tree)
    assert len(rows) == count
    for pick in range(200):
        id = rows.at(pick * 499)
        assert rows.row_of(id) == pick * 499
    del rows
    tracemalloc.start()
    rows = TreeRows(tree, open_depth=3)
    assert len(rows) < count
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 16 * count, f"{size / count:.1f} bytes a node"
