"""The parts of the Search screen that look around: time and finder; over services without an app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentr_tui.screens.search.finder import Finder, neighbour
from agentr_tui.screens.search.time_travel import TimeTravel
from agentr_tui.widgets.timeline import TimelineView
from agentr_tui.widgets.tree.overlay import Mark
from engine.tree.events import Iteration, Selected
from engine.tree.node import ROOT
from engine.tree.tree import SearchTree
from tests.agentr_tui.services import FakeBar, FakeServices
from tests.agentr_tui.trees import Grower, yellow_bed


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


def two_iterations() -> Grower:
    """Three nodes by event 5, an iteration that ends with event 6; three more nodes and a second one."""
    grower = Grower()
    grower.select([ROOT])
    first, _ = grower.expand(ROOT, ["a", ("b", "done", 1.0)])
    grower.apply(Iteration(seq=0, number=1, leaf=ROOT))
    grower.apply(Selected(seq=0, path=[ROOT, first]))
    grower.expand(first, [("c", "done", 0.5), ("d", "done", 0.0)])
    grower.apply(Iteration(seq=0, number=2, leaf=first))
    return grower


# -- time ----------------------------------------------------------------------------------------------


class Time:
    """Time travel over a tree, and how often it said that it moved."""

    def __init__(self, services: FakeServices, tree: SearchTree) -> None:
        self.moves = 0
        services.show(tree)
        self.services, self.travel = services, TimeTravel(services, self._moved)
        self.travel.check()

    def _moved(self) -> None:
        self.moves += 1

    @property
    def past(self) -> int | None:
        return self.services.session.past


def test_a_moment_is_shown_and_the_last_event_and_beyond_is_now(services: FakeServices) -> None:
    tree = two_iterations().tree
    time = Time(services, tree)
    time.travel.look_at(3)
    assert (time.past, services.tree.moment, time.moves) == (3, 3, 1)
    for seq in (tree.seq, tree.seq + 100):
        time.travel.look_at(3)
        time.travel.look_at(seq)
        assert (time.past, services.tree.moment) == (None, tree.seq)
    time.travel.look_at(-7)
    assert time.past == 0


def test_events_are_gone_through_one_by_one(services: FakeServices) -> None:
    tree = two_iterations().tree
    time = Time(services, tree)
    time.travel.event(-1)
    assert time.past == tree.seq - 1
    time.travel.event(-2)
    assert time.past == tree.seq - 3
    time.travel.event(3)
    assert time.past is None


def test_iterations_are_gone_through_by_their_ends(services: FakeServices) -> None:
    tree = two_iterations().tree
    first, second = tree.iteration_seqs
    assert second == tree.seq
    time = Time(services, tree)
    seen = []
    for _ in range(3):
        time.travel.iteration(-1)
        seen.append(time.past)
    assert seen == [first, 0, 0]
    time.travel.iteration(1)
    assert time.past == first
    time.travel.iteration(1)
    assert time.past is None
    time.travel.look_at(first + 1)
    time.travel.iteration(-1)
    assert time.past == first, "from within an iteration to the end of the one before"


def test_a_step_forth_marks_what_is_new_and_how_often_the_others_were_visited(services: FakeServices) -> None:
    tree = two_iterations().tree
    first = tree.iteration_seqs[0]
    time = Time(services, tree)
    time.travel.look_at(first)
    assert services.tree.words == {0: "N -2", 1: "N -2"}
    time.travel.look_at(tree.seq)
    assert services.tree.words == {3: "new", 4: "new", 0: "N +2", 1: "N +2"}


class Strip:
    """The timeline: what it is told."""

    def __init__(self) -> None:
        self.past: int | None = None
        self.changed = ""
        self.live = False

    def show(self, tree: SearchTree, alpha: float, past: int | None, **told: Any) -> None:
        self.past, self.changed, self.live = past, told["changed"], told["live"]

    def clear(self) -> None:
        self.past, self.changed, self.live = None, "no tree", False


def test_the_timeline_is_told_the_moment_and_what_changed_in_words(services: FakeServices) -> None:
    tree, strip = two_iterations().tree, Strip()
    time = Time(services, tree)
    first = tree.iteration_seqs[0]
    said = []
    for seq in (None, first, tree.seq, tree.seq):
        if seq is not None:
            time.travel.look_at(seq)
        time.travel.show(cast(TimelineView, strip))
        said.append((strip.past, strip.changed))
    assert said == [(None, ""), (first, "2 not there yet, 2 visited"), (None, "2 new, 2 visited"), (None, "")]
    services.session.tree = None
    time.travel.show(cast(TimelineView, strip))
    assert strip.changed == "no tree"


def test_live_comes_back_to_now_and_follows_only_from_there(services: FakeServices) -> None:
    time = Time(services, two_iterations().tree)
    time.travel.look_at(2)
    time.travel.live()
    assert (time.past, services.tree.follow) == (None, False)
    time.travel.live()
    assert services.tree.follow
    time.travel.live()
    assert not services.tree.follow
    assert services.said == ["following the newest node", "not following"]


def test_marks_of_changes_go_when_the_moment_or_the_tree_does(services: FakeServices) -> None:
    grower = two_iterations()
    time = Time(services, grower.tree)
    time.travel.look_at(2)
    time.travel.look_at(grower.tree.seq)
    assert services.tree.marks
    grower.select([ROOT])  # the search goes on: what is marked is of before
    time.travel.check()
    assert services.tree.marks == {}
    time.travel.look_at(2)
    assert time.travel.clear()
    assert services.tree.marks == {}
    assert not time.travel.clear()
    time.travel.lay("state", {1: Mark("mine")})
    services.show(two_iterations().tree)
    time.travel.check()
    time.travel.lay("other", {2: Mark("yours")})
    assert services.tree.words == {2: "yours"}, "marks of another tree do not come back"


def test_later_layers_lie_over_earlier_ones_and_what_was_below_comes_back(services: FakeServices) -> None:
    time = Time(services, two_iterations().tree)
    time.travel.lay("one", {1: Mark("one"), 2: Mark("one")})
    time.travel.lay("two", {2: Mark("two")})
    assert services.tree.words == {1: "one", 2: "two"}
    time.travel.lay("two", {})
    assert services.tree.words == {1: "one", 2: "one"}


def test_walking_through_a_state_marks_its_nodes_and_goes_on_from_the_cursor(services: FakeServices) -> None:
    time = Time(services, two_iterations().tree)
    for cursor, goes_to in ((0, 1), (1, 3), (3, 4), (4, 1)):
        services.tree.cursor_node = cursor
        time.travel.walk_through([1, 3, 4])
        assert services.tree.cursor_node == goes_to
    assert services.tree.words == dict.fromkeys((1, 3, 4), "seen 3×")


def test_without_a_tree_nothing_moves(services: FakeServices) -> None:
    travel = TimeTravel(services, lambda: pytest.fail("it moved"))
    travel.look_at(3)
    travel.event(-1)
    travel.iteration(1)
    travel.live()
    assert services.session.past is None
    assert services.tree.moment is None


# -- finder --------------------------------------------------------------------------------------------


class Finding:
    """A finder over a tree."""

    def __init__(self, services: FakeServices, tree: SearchTree) -> None:
        services.show(tree)
        self.bar, self.titles = FakeBar(), 0
        self.finder = Finder(services, lambda: self.bar.as_bar, self._retitle)

    def _retitle(self) -> None:
        self.titles += 1


def test_what_matches_is_shown_and_counted_while_the_query_is_written(services: FakeServices) -> None:
    tree = yellow_bed().tree
    finding = Finding(services, tree)
    finding.finder.open()
    assert finding.bar.note.startswith("words of a text · figures q>0.5")
    finding.finder.typed("return>=0.8")
    wanted = [node.id for node in tree.leaves() if node.reward >= 0.8]
    assert len(wanted) == 3
    assert finding.finder.matches == services.tree.visible == wanted
    assert finding.finder.found_words() == "3 match"
    assert finding.bar.note == f"3 of {len(tree)} match · n N next, before · ctrl+t dims the others"
    assert finding.finder.complete
    assert finding.finder.in_order


def test_dimming_lights_the_matches_and_hides_nothing(services: FakeServices) -> None:
    finding = Finding(services, yellow_bed().tree)
    finding.finder.typed("disaster")
    matches = finding.finder.matches
    finding.finder.change_mode()
    assert (services.tree.visible, services.tree.lit) == (None, set(matches))
    finding.finder.show_only(True)
    assert (services.tree.visible, services.tree.lit) == (None, set(matches))
    finding.finder.show_only(False)
    assert services.tree.visible == matches
    assert services.tree.lit is None


def test_a_query_that_is_wrong_is_told_and_what_was_found_stays(services: FakeServices) -> None:
    finding = Finding(services, yellow_bed().tree)
    finding.finder.find("good")
    finding.finder.typed("good")
    found = finding.finder.matches
    finding.finder.typed("good depht>2")
    assert finding.bar.wrong
    assert "depht" in finding.bar.note
    assert finding.finder.matches == found
    assert finding.finder.query == "good"


def test_an_empty_query_and_closing_show_everything_again(services: FakeServices) -> None:
    finding = Finding(services, yellow_bed().tree)
    forgetting: list[Callable[[], None]] = [lambda: finding.finder.typed("  "), finding.finder.close]
    for forget in forgetting:
        finding.finder.typed("good")
        assert services.tree.visible
        forget()
        assert services.tree.visible is None
        assert (finding.finder.query, finding.finder.matches, finding.finder.found_words()) == ("", [], "")
    assert services.cancelled == ["find", "find"]
    assert not finding.bar.is_open
    assert services.tree.focused


def test_next_and_before_go_through_the_rows_and_around_the_end(services: FakeServices) -> None:
    """In the order of the rows, which is not that of creation: 2 was made before 3 and 4, and stands below them."""
    finding = Finding(services, two_iterations().tree)
    finding.finder.typed("done")
    assert finding.finder.matches == [2, 3, 4]
    services.tree.cursor_node = 3
    order = []
    for _ in range(2):
        finding.finder.next(1)
        order.append(services.tree.cursor_node)
    assert (order, services.said) == ([4, 2], [])
    finding.finder.next(1)
    assert (services.tree.cursor_node, services.said) == (3, ["from the top again"])
    finding.finder.next(-1)
    assert services.tree.cursor_node == 2


def test_enter_goes_to_a_match_and_stays_on_one(services: FakeServices) -> None:
    finding = Finding(services, two_iterations().tree)
    finding.finder.typed("done")
    finding.finder.to_first()
    assert services.tree.cursor_node == 3
    finding.finder.to_first()
    assert services.tree.cursor_node == 3


def test_where_nothing_is_looked_for_or_found_it_is_said(services: FakeServices) -> None:
    finding = Finding(services, two_iterations().tree)
    finding.finder.next(1)
    finding.finder.typed("depth>99")
    finding.finder.next(1)
    assert services.said == ["There is no search query: press / to write one.", "No node matches depth>99."]
    assert services.tree.cursor_node == 0


def test_a_tree_that_grew_or_another_is_looked_through_again_and_only_in_front(services: FakeServices) -> None:
    grower = two_iterations()
    finding = Finding(services, grower.tree)
    finding.finder.typed("depth=1")
    assert finding.finder.matches == [1, 2]
    grower.expand(3, ["e"])
    finding.finder.typed("depth=3")
    assert finding.finder.matches == [5]
    grower.expand(4, ["f"])
    services.front = False
    finding.finder.look_again()
    assert finding.finder.matches == [5]
    services.front = True
    finding.finder.look_again()
    assert finding.finder.matches == [5, 6]
    services.show(two_iterations().tree)
    finding.finder.found_nothing_yet()
    assert finding.finder.matches == []


def test_the_past_is_looked_through_as_it_was(services: FakeServices) -> None:
    tree = two_iterations().tree
    finding = Finding(services, tree)
    services.session.past = tree.iteration_seqs[0]
    finding.finder.typed("done")
    assert finding.finder.matches == [2]


def test_best_worst_and_widest_gap_are_gone_to_and_the_same_again_goes_to_the_next(services: FakeServices) -> None:
    tree = yellow_bed().tree
    finding = Finding(services, tree)
    best = [node.id for node in tree.leaves() if node.reward == 1.0]
    assert len(best) == 2
    for wanted in (*best, best[0]):
        finding.finder.go_best()
        assert services.tree.cursor_node == wanted
    assert services.said == ["one of 2: the same again, : ↑ enter, goes to the next"] * 3
    finding.finder.go_best(-1)
    assert tree.nodes[services.tree.cursor_node].reward == min(node.reward for node in tree.leaves())

    def gap(id: int) -> float:
        values = [q for child in tree.children(id) if (q := tree.q(child)) is not None]
        return max(values) - min(values) if len(values) > 1 else 0.0

    finding.finder.go_widest_gap()
    assert gap(services.tree.cursor_node) == max(gap(node.id) for node in tree.nodes)
    finding.finder.go_next("disaster")
    assert tree.nodes[services.tree.cursor_node].terminal == "disaster"
    finding.finder.go_next("depth>99")
    assert services.said[-1] == "No node matches depth>99."


@given(st.lists(st.integers(0, 50), min_size=1, unique=True).map(sorted), st.integers(0, 50))
def test_the_neighbour_is_the_next_on_either_side_around_the_end(ordered: list[int], at: int) -> None:
    later = [id for id in ordered if id > at]
    earlier = [id for id in ordered if id < at]
    assert ordered[neighbour(ordered, at, 1)] == (later or ordered)[0]
    assert ordered[neighbour(ordered, at, -1)] == (earlier or ordered)[-1]
    ranks = [50 - id for id in range(51)]  # rows that stand the other way round
    rows = ordered[::-1]
    assert rows[neighbour(rows, at, 1, ranks)] == (earlier or ordered)[-1]
    assert rows[neighbour(rows, at, -1, ranks)] == (later or ordered)[0]
