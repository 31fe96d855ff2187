"""The parts of the Search screen that tell of a node: its panes and its marks; over a desk, without an app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentr_tui.screens.search.marks import MarkList, NodeMarks
from agentr_tui.screens.search.node_pane import TABS, NodePane
from agentr_tui.state.bookmarks import Bookmarks
from engine.tree.events import Child, Intervened
from engine.tree.tree import SearchTree
from tests.agentr_tui.desk import FakeDesk, FakePane
from tests.agentr_tui.trees import yellow_bed
from tests.engine.searched import search


@pytest.fixture
def desk(tmp_path: Path) -> FakeDesk:
    return FakeDesk(tmp_path)


# -- the node ------------------------------------------------------------------------------------------


class Node:
    """The panes of the node under the cursor."""

    def __init__(self, desk: FakeDesk) -> None:
        self.node, self.tabs, self.forks = FakePane(), FakePane(), FakePane()
        self.pane = NodePane(desk, lambda: (self.node.as_pane, self.tabs.as_pane, self.forks.as_pane))


def test_the_node_under_the_cursor_is_titled_and_told(desk: FakeDesk) -> None:
    tree = yellow_bed().tree
    desk.show(tree)
    shown = Node(desk)
    shown.pane.show()
    assert shown.node.title == "root · the task"
    assert "Goal: craft yellow bed." in shown.node.text
    desk.tree.cursor_node = 6
    shown.pane.show()
    assert shown.node.title == f"node 6 · depth {tree.nodes[6].depth}"
    assert f"action    {tree.nodes[6].action}" in shown.node.text


def test_tabs_go_round_and_each_shows_what_it_is_named_after(desk: FakeDesk) -> None:
    tree = yellow_bed().tree
    desk.show(tree)
    desk.tree.cursor_node = 6
    shown = Node(desk)
    texts = {}
    for _ in TABS:
        shown.pane.show()
        texts[TABS[shown.pane.tab]] = shown.tabs.text
        assert f"[reverse] {TABS[shown.pane.tab]} [/]" in shown.tabs.title
        shown.pane.next_tab(1)
    assert shown.pane.tab == 0
    shown.pane.next_tab(-1)
    assert TABS[shown.pane.tab] == "log"
    assert "Rules of the environment." in texts["conversation"]
    assert "actions from the root" in texts["environment"]
    assert '"depth": 2' in texts["raw"]
    assert len(set(texts.values())) == len(TABS)


def test_other_constants_are_compared_in_turn_without_the_searchs_own(desk: FakeDesk) -> None:
    desk.show(yellow_bed().tree)  # searched with c = 0.25
    shown = Node(desk)
    shown.pane.tab = 3
    compared = []
    for _ in range(4):
        shown.pane.other_c()
        compared += re.findall(r"with c ([\d.]+): ", shown.tabs.text) or [""]
    assert compared == ["0", "1", "2", ""]
    assert TABS[shown.pane.tab] == "why"


def test_the_answer_as_it_arrived_is_read_from_the_trace(desk: FakeDesk, tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    tree = SearchTree(search(path))
    desk.show(tree, path)
    desk.tree.cursor_node = 1
    shown = Node(desk)
    shown.pane.tab = TABS.index("raw")
    shown.pane.show()
    assert "reading …" in shown.tabs.text
    desk.work()
    assert "reading …" not in shown.tabs.text
    assert '"type": "sampled"' in shown.tabs.text
    path.unlink()
    desk.tree.cursor_node = 2
    shown.pane.show()
    desk.work()
    assert f"{path}: No such file" in shown.tabs.text


def test_an_answer_that_comes_when_the_cursor_is_elsewhere_is_not_shown_there(desk: FakeDesk, tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    desk.show(SearchTree(search(path)), path)
    shown = Node(desk)
    shown.pane.tab = TABS.index("raw")
    desk.tree.cursor_node = 1
    shown.pane.show()
    desk.tree.cursor_node = 2
    desk.work()
    assert shown.node.title.startswith("node 1 ")
    assert "reading …" in shown.tabs.text


# -- marks ---------------------------------------------------------------------------------------------


def test_a_mark_is_written_and_shown_and_good_and_bad_take_each_others_place(desk: FakeDesk) -> None:
    desk.show(yellow_bed().tree)
    marks = NodeMarks(desk)
    marks.take()
    marks.mark(4, "good")
    marks.mark(4, "bad")
    marks.mark(4, "bookmark", "  the \n turn ")
    assert [(mark.kind, mark.name) for mark in marks.of(4)] == [("bad", ""), ("bookmark", "the turn")]
    said = marks.describe(4)
    assert said is not None
    assert (said.mark.word, said.mark.role, said.weak) == ("the turn", "person", False)
    written = Bookmarks(desk.session.workspace.path / "bookmarks").of_trace("test")
    assert [(mark.node, mark.kind) for mark in written] == [(4, "bad"), (4, "bookmark")]
    assert desk.tree.marks_asked_again == 4


def test_marks_are_taken_off_and_counted(desk: FakeDesk) -> None:
    desk.show(yellow_bed().tree)
    marks = NodeMarks(desk)
    marks.mark(4, "good")
    marks.mark(4, "bookmark", "here")
    marks.mark(5, "bad")
    marks.unmark(4)
    marks.unmark(4)
    marks.unmark(5)
    assert desk.said == [
        "2 marks taken off node 4",
        "0 marks taken off node 4",
        "1 mark taken off node 5",
    ]
    assert marks.of(4) == marks.of(5) == []


def test_the_menu_marks_the_node_under_the_cursor_and_asks_for_a_name(desk: FakeDesk) -> None:
    desk.show(yellow_bed().tree)
    desk.tree.cursor_node = 3
    marks = NodeMarks(desk)
    marks.menu()
    assert desk.menu[0] == "mark node 3"
    desk.press("m")
    desk.write("first try")
    assert [mark.name for mark in marks.of(3)] == ["first try"]
    desk.press("m")
    assert desk.asked is not None
    assert desk.asked[2] == "first try", "the name that it has"
    desk.press("x")
    assert marks.of(3) == []


def test_the_list_leads_to_marks_here_and_in_other_traces(desk: FakeDesk, tmp_path: Path) -> None:
    desk.show(yellow_bed().tree)
    marks = NodeMarks(desk)
    marks.list_all()
    assert desk.said == ["No node is marked yet: press m to mark the one under the cursor."]
    there = tmp_path / "there.trace.jsonl"
    there.touch()
    other = Bookmarks(desk.session.workspace.path / "bookmarks", "bob")  # another process
    other.set("elsewhere", 2, "bookmark", "far", str(there))
    other.set("gone", 3, "good", "", str(tmp_path / "gone.trace.jsonl"))
    other.set("test", 6, "bad")
    marks.mark(1, "good")
    marks.list_all()
    assert desk.opened is not None
    screen, chosen = desk.opened
    assert isinstance(screen, MarkList)
    assert chosen is not None
    assert [(mark.trace, mark.node) for mark in screen._marks[: screen._here]] == [("test", 1), ("test", 6)]
    by_trace = {mark.trace: mark for mark in screen._marks}
    chosen(by_trace["test"])
    assert desk.tree.cursor_node == 6
    chosen(by_trace["elsewhere"])
    assert desk.paths == [there]
    assert desk.session.views["elsewhere"].cursor == 2
    chosen(by_trace["gone"])
    assert len(desk.complained) == 1
    assert "gone.trace.jsonl" in desk.complained[0]
    chosen(None)
    assert desk.tree.cursor_node == 6


def test_a_mark_that_can_not_be_read_is_one_line_and_keeps_no_other_away(desk: FakeDesk) -> None:
    folder = desk.session.workspace.path / "bookmarks"
    folder.mkdir()
    (folder / "x.jsonl").write_text('{"node": "?"}\n')
    desk.show(yellow_bed().tree)
    marks = NodeMarks(desk)
    marks.mark(1, "good")
    assert desk.complained
    assert "x.jsonl" in desk.complained[0]
    assert [mark.kind for mark in marks.of(1)] == ["good"]


def test_what_a_node_is_is_said_in_this_order_mark_written_pruned_state_seen(desk: FakeDesk) -> None:
    grower = yellow_bed()
    grower.apply(
        Intervened(seq=0, who="ada", what="edited", node=0, child=Child(-1, "x", "Done.", response="Action: x"))
    )
    written = len(grower.tree) - 1
    grower.apply(Intervened(seq=0, who="ada", what="pruned", node=2))
    desk.show(grower.tree)
    marks = NodeMarks(desk)
    marks.take()

    def word(id: int) -> str | None:
        said = marks.describe(id)
        return said.mark.word if said is not None else None

    below = next(id for id in grower.tree.children(2))
    assert (word(written), word(2), word(below), word(0)) == ("written", "pruned", "pruned", None)
    marks.mark(2, "good")
    assert word(2) == "good"
    assert marks.describe(len(grower.tree)) is None
