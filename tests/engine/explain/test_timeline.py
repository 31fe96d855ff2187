"""The timeline, what changed between two moments, and the series of the plots: the same as a fold up to then says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.explain.series import MOST, Spending, figures, histogram, returns, snapshot, thinned
from engine.explain.timeline import Column, Timeline, changed_between, column_of, last_of
from engine.tree.events import AnyEvent, BackedUp, Failed, Intervened, Number, Sampled, SettingsChanged, Usage
from engine.tree.tree import SearchTree
from tests.agentr_tui.trees import Grower, imported_tree, random_tree, yellow_bed
from tests.engine.searched import search, tree_until

ALPHA = 0.5


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    return search(tmp_path_factory.mktemp("time") / "t.trace.jsonl", iterations=8)


@pytest.fixture(scope="module")
def tree(events: list[AnyEvent]) -> SearchTree:
    return SearchTree(events)


def backups(events: list[AnyEvent], seq: int) -> list[Number]:
    return [event.value for event in events if isinstance(event, BackedUp) and event.seq <= seq]


# -- one moment ------------------------------------------------------------------------------------------


def test_best_mean_nodes_and_iterations_at_any_moment_are_those_of_the_fold_until_then(
    events: list[AnyEvent], tree: SearchTree
) -> None:
    timeline = Timeline(tree, ALPHA)
    for seq in range(0, tree.seq + 1, 7):
        then, returned = tree_until(events, seq), backups(events, seq)
        assert timeline.best_at(seq) == max(returned, default=None)
        assert timeline.mean_at(seq) == (pytest.approx(sum(returned) / len(returned)) if returned else None)
        assert timeline.nodes_at(seq) == len(then)
        assert timeline.iteration_at(seq) == then.iteration


def test_a_timeline_that_grew_with_its_tree_is_the_one_that_is_made_at_the_end(
    events: list[AnyEvent], tree: SearchTree
) -> None:
    growing = SearchTree(events[:1])
    timeline = Timeline(growing, ALPHA)
    for event in events[1:]:
        growing.apply(event)
        if event.seq % 5 == 0:
            timeline.extend()
    timeline.extend()
    assert timeline.columns(97) == Timeline(tree, ALPHA).columns(97)
    assert timeline.moments == Timeline(tree, ALPHA).moments


def test_neighbours_are_the_next_moment_of_a_kind_and_the_last_before(tree: SearchTree) -> None:
    timeline = Timeline(tree, ALPHA)
    seqs = timeline.moments["bad"]
    assert len(seqs) > 2
    assert timeline.neighbour("bad", seqs[0], 1) == seqs[1]
    assert timeline.neighbour("bad", seqs[1], -1) == seqs[0]
    assert timeline.neighbour("bad", seqs[0], -1) is None
    assert timeline.neighbour("bad", tree.seq, 1) is None


def test_what_people_and_failures_did_is_marked(tmp_path: Path) -> None:
    grower = Grower()
    grower.apply(Failed(seq=0, parent=0, draw=0, what="timeout", error="no answer"))
    grower.apply(Intervened(seq=0, who="me", what="note", node=0))
    grower.apply(SettingsChanged(seq=0, who="me", changes={"c": 1.0}))
    grower.expand(0, [("a", "disaster", -1.0), ("b", "done", 1.0), ("c", "done", 0.2)])
    moments = Timeline(grower.tree, ALPHA).moments
    kinds = {kind: [type(grower.events[seq]).__name__ for seq in seqs] for kind, seqs in moments.items()}
    assert kinds == {
        "failed": ["Failed"],
        "intervened": ["Intervened", "SettingsChanged"],
        "disaster": ["BackedUp"],
        "good": ["BackedUp"],
        "bad": ["BackedUp"],
    }


# -- columns ---------------------------------------------------------------------------------------------


@given(st.integers(1, 100_000), st.integers(1, 300))
def test_every_event_is_in_one_column_and_columns_end_where_the_next_begins(last: int, width: int) -> None:
    ends = [last_of(column, width, last) for column in range(width)]
    assert ends == sorted(ends)
    assert ends[-1] == last
    for seq in {0, last, *random.Random(0).sample(range(last + 1), min(50, last + 1))}:
        column = column_of(seq, width, last)
        assert 0 <= column < width
        assert seq <= ends[column]
        assert column == 0 or seq > ends[column - 1]
    if width > 1:
        assert (column_of(0, width, last), column_of(last, width, last)) == (0, width - 1)


@pytest.mark.parametrize("width", [1, 2, 40, 120, 900])
def test_columns_together_hold_every_birth_and_iteration_and_the_last_mark_of_their_kind(
    tree: SearchTree, width: int
) -> None:
    timeline = Timeline(tree, ALPHA)
    columns: list[Column] = timeline.columns(width)
    assert len(columns) == width
    assert sum(column.born for column in columns) == len(tree)
    assert sum(column.iterations for column in columns) == tree.iteration
    assert columns[-1].best == timeline.best_at(tree.seq)
    start = 0
    for column in columns:
        inside = {kind: [seq for seq in seqs if start <= seq <= column.end] for kind, seqs in timeline.moments.items()}
        expected = next((kind for kind, seqs in inside.items() if seqs), None)
        assert column.mark == expected
        assert column.mark_seq == (inside[expected][-1] if expected else column.end)
        start = column.end + 1


def test_a_tree_that_has_just_begun_and_one_that_was_made_elsewhere_have_a_timeline_too() -> None:
    for tree in (Grower().tree, imported_tree([0, 0, 1])):
        columns = Timeline(tree, ALPHA).columns(50)
        assert len(columns) == 50
        assert {column.best for column in columns} == {None}
        assert columns[-1].end == tree.seq


# -- two moments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [(-1, 0), (0, 30), (30, 31), (100, 180), (180, 100), (50, 50), (0, 10**9)])
def test_what_changed_between_two_moments_is_what_two_views_differ_in(tree: SearchTree, one: int, other: int) -> None:
    before, after = tree.at(min(one, other)), tree.at(max(one, other))
    changes = changed_between(tree, one, other)
    assert list(changes.new) == list(range(len(before), len(after)))
    assert changes.visited == {id for id in range(len(before)) if before.visits(id) != after.visits(id)}
    assert len(changes) == len(changes.new) + len(changes.visited)


def test_changes_of_random_trees_are_what_two_views_differ_in() -> None:
    rng = random.Random(3)
    tree = random_tree(600, 5).tree
    for _ in range(40):
        one, other = sorted(rng.sample(range(tree.seq + 1), 2))
        before, after = tree.at(one), tree.at(other)
        visited = {id for id in range(len(before)) if before.visits(id) != after.visits(id)}
        assert changed_between(tree, one, other).visited == visited


def test_what_one_event_changed_is_what_two_views_differ_in() -> None:
    tree = random_tree(120, 6).tree
    for seq in range(1, tree.seq + 1):
        before, after = tree.at(seq - 1), tree.at(seq)
        visited = {id for id in range(len(before)) if before.visits(id) != after.visits(id)}
        assert changed_between(tree, seq - 1, seq).visited == visited


# -- series of the plots -----------------------------------------------------------------------------------


def test_distributions_of_a_moment_are_counted_from_the_tree_then(events: list[AnyEvent], tree: SearchTree) -> None:
    for seq in (3, 80, tree.seq // 2, tree.seq):
        then = tree_until(events, seq)
        counted = figures(snapshot(tree, tree.at(seq), (0.0, 1.0)))
        by_depth: dict[int, int] = {}
        for node in then.nodes:
            by_depth[node.depth] = by_depth.get(node.depth, 0) + node.visits
        assert counted.visits == [by_depth[depth] for depth in sorted(by_depth) if by_depth[depth]]
        children = [len(node.children) for node in then.nodes if node.children or node.terminal == "dead_end"]
        assert counted.children == [children.count(number) for number in range(max(children, default=-1) + 1)]
        assert sum(counted.returns) == len(backups(events, seq))


def test_dead_ends_are_nodes_without_children_and_counted_only_from_when_they_were_found() -> None:
    grower = yellow_bed()
    dead = next(node.id for node in grower.tree.nodes if node.terminal == "dead_end")
    expanded = next(event.seq for event in grower.events if getattr(event, "parent", None) == dead)
    at = [
        figures(snapshot(grower.tree, grower.tree.at(seq), (0.0, 1.0))).children[0] for seq in (expanded - 1, expanded)
    ]
    assert at == [0, 1]


def test_trees_made_elsewhere_are_counted_too() -> None:
    tree = imported_tree([0, 0, 1, 1, 1])
    assert figures(snapshot(tree, tree, (0.0, 1.0))).children == [0, 0, 1, 1]


def test_returns_are_told_after_every_iteration_and_thinned_out_to_the_last(tree: SearchTree) -> None:
    timeline = Timeline(tree, ALPHA)
    told = returns(timeline, tree.seq)
    assert told.iterations
    assert told.at == list(range(1, tree.iteration + 1))
    assert told.best == [timeline.best_at(seq) for seq in tree.iteration_seqs]
    assert told.mean == [timeline.mean_at(seq) for seq in tree.iteration_seqs]
    first = returns(timeline, tree.iteration_seqs[0] - 1)
    assert not first.iterations
    assert returns(timeline, 0).at == []


@given(st.integers(0, 5_000), st.integers(1, 500))
def test_thinning_keeps_the_last_point_and_the_order(count: int, most: int) -> None:
    kept = thinned(range(count), most)
    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))
    assert not count or kept[-1] == count - 1


def test_a_histogram_counts_everything_also_beyond_the_range() -> None:
    assert histogram([-5, 0, 0.09, 0.1, 0.99, 1, 7], 0, 1, 10) == [3, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert histogram([1, 1], 1, 1, 2) == [2, 0]


def test_spending_sums_up_to_the_moment_and_tells_what_is_not_known() -> None:
    spending = Spending()
    spending.extend(
        [
            Sampled(seq=1, t=0.5, parent=0, draw=0, response="", usage=Usage(10, 5, 0.25)),
            Failed(seq=2, t=0.75, parent=0, draw=1, what="http", error="", usage=Usage(4, None, None)),
            Sampled(seq=3, t=1.0, parent=0, draw=2, response="", usage=Usage(10, 5, 0.5)),
        ]
    )
    spent = spending.until(3)
    assert spent.seconds == [0.5, 0.75, 1.0]
    assert spent.calls == [1, 1, 2]
    assert spent.tokens == [15, 19, 34]
    assert spent.cost == [0.25, 0.25, 0.75]
    assert spending.until(2).calls == [1, 1]
    unknown = Spending()
    unknown.extend([Sampled(seq=1, parent=0, draw=0, response="")])
    assert (unknown.until(9).tokens, unknown.until(9).cost) == ([], [])


def test_spending_of_a_real_search_ends_at_the_calls_of_its_tree(events: list[AnyEvent], tree: SearchTree) -> None:
    spending = Spending()
    spending.extend(events[:100])
    spending.extend(events[100:])
    spent = spending.until(tree.seq)
    assert spent.calls[-1] == tree.calls
    assert len(spent.calls) <= MOST
    assert spent.seconds == sorted(spent.seconds)
