"""The parts of the Search screen that tell of a node: its panes and its marks; over services without an app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentr_tui.screens.search.marks import MarkList, NodeMarks
from agentr_tui.screens.search.node_pane import TABS, NodePane
from agentr_tui.state.bookmarks import Bookmarks
from engine.tree.events import Child, Intervened
from engine.tree.tree import SearchTree
from tests.agentr_tui.services import FakePane, FakeServices
from tests.agentr_tui.trees import yellow_bed
from tests.engine.searched import search


@pytest.fixture
def services(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path)


# -- the node ------------------------------------------------------------------------------------------


class Node:
    """The panes of the node under the cursor."""

    def __init__(self, services: FakeServices) -> None:
        self.node, self.tabs, self.forks = FakePane(), FakePane(), FakePane()
        panes = {"node": self.node, "tabs": self.tabs, "forks": self.forks}
        self.pane = NodePane(services, lambda id: panes[id].as_pane)


def test_the_node_under_the_cursor_is_titled_and_told(services: FakeServices) -> None:
    tree = yellow_bed().tree
    services.show(tree)
    shown = Node(services)
    shown.pane.show()
    assert shown.node.title == "root · the task"
    assert "Goal: craft yellow bed." in shown.node.text
    services.tree.cursor_node = 6
    shown.pane.show()
    assert shown.node.title == f"node 6 · depth {tree.nodes[6].depth}"
    assert f"action    {tree.nodes[6].action}" in shown.node.text


def test_tabs_go_round_and_each_shows_what_it_is_named_after(services: FakeServices) -> None:
    tree = yellow_bed().tree
    services.show(tree)
    services.tree.cursor_node = 6
    shown = Node(services)
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


def test_other_constants_are_compared_in_turn_without_the_searchs_own(services: FakeServices) -> None:
    services.show(yellow_bed().tree)  # searched with c = 0.25
    shown = Node(services)
    shown.pane.tab = 3
    compared = []
    for _ in range(4):
        shown.pane.other_c()
        compared += re.findall(r"with c ([\d.]+): ", shown.tabs.text) or [""]
    assert compared == ["0", "1", "2", ""]
    assert TABS[shown.pane.tab] == "why"


def test_the_answer_as_it_arrived_is_read_from_the_trace(services: FakeServices, tmp_path: Path) -> None:
    path = tmp_path / "t.trace.jsonl"
    tree = SearchTree(search(path))
    services.show(tree, path)
    services.tree.cursor_node = 1
    shown = Node(services)
    shown.pane.tab = TABS.index("raw")
    shown.pane.show()
    assert "reading …" in shown.tabs.text
    services.work()
    assert "reading …" not in shown.tabs.text
    assert '"type": "sampled"' in shown.tabs.text
    path.unlink()
    services.tree.cursor_node = 2
    shown.pane.show()
    services.work()
    assert f"{path}: No such file" in shown.tabs.text


def test_an_answer_that_comes_when_the_cursor_is_elsewhere_is_not_shown_there(
    services: FakeServices, tmp_path: Path
) -> None:
    path = tmp_path / "t.trace.jsonl"
    services.show(SearchTree(search(path)), path)
    shown = Node(services)
    shown.pane.tab = TABS.index("raw")
    services.tree.cursor_node = 1
    shown.pane.show()
    services.tree.cursor_node = 2
    services.work()
    assert shown.node.title.startswith("node 1 ")
    assert "reading …" in shown.tabs.text


# -- marks ---------------------------------------------------------------------------------------------


def test_a_mark_is_written_and_shown_and_good_and_bad_take_each_others_place(services: FakeServices) -> None:
    services.show(yellow_bed().tree)
    marks = NodeMarks(services)
    marks.take()
    marks.mark(4, "good")
    marks.mark(4, "bad")
    marks.mark(4, "bookmark", "  the \n turn ")
    assert [(mark.kind, mark.name) for mark in marks.of(4)] == [("bad", ""), ("bookmark", "the turn")]
    said = marks.describe(4)
    assert said is not None
    assert (said.mark.word, said.mark.role, said.weak) == ("the turn", "person", False)
    written = Bookmarks(services.session.workspace.path / "bookmarks").of_trace("test")
    assert [(mark.node, mark.kind) for mark in written] == [(4, "bad"), (4, "bookmark")]
    assert services.tree.marks_asked_again == 4


def test_marks_are_taken_off_and_counted(services: FakeServices) -> None:
    services.show(yellow_bed().tree)
    marks = NodeMarks(services)
    marks.mark(4, "good")
    marks.mark(4, "bookmark", "here")
    marks.mark(5, "bad")
    marks.unmark(4)
    marks.unmark(4)
    marks.unmark(5)
    assert services.said == [
        "2 marks taken off node 4",
        "0 marks taken off node 4",
        "1 mark taken off node 5",
    ]
    assert marks.of(4) == marks.of(5) == []


def test_the_menu_marks_the_node_under_the_cursor_and_asks_for_a_name(services: FakeServices) -> None:
    services.show(yellow_bed().tree)
    services.tree.cursor_node = 3
    marks = NodeMarks(services)
    marks.menu()
    assert services.menu[0] == "mark node 3"
    services.press("m")
    services.write("first try")
    assert [mark.name for mark in marks.of(3)] == ["first try"]
    services.press("m")
    assert services.asked is not None
    assert services.asked[2] == "first try", "the name that it has"
    services.press("x")
    assert marks.of(3) == []


def test_the_list_leads_to_marks_here_and_in_other_traces(services: FakeServices, tmp_path: Path) -> None:
    services.show(yellow_bed().tree)
    marks = NodeMarks(services)
    marks.list_all()
    assert services.said == ["No node is marked yet: press m to mark the one under the cursor."]
    there = tmp_path / "there.trace.jsonl"
    there.touch()
    other = Bookmarks(services.session.workspace.path / "bookmarks", "bob")  # another process
    other.set("elsewhere", 2, "bookmark", "far", str(there))
    other.set("gone", 3, "good", "", str(tmp_path / "gone.trace.jsonl"))
    other.set("test", 6, "bad")
    marks.mark(1, "good")
    marks.list_all()
    assert services.opened is not None
    screen, chosen = services.opened
    assert isinstance(screen, MarkList)
    assert chosen is not None
    assert [(mark.trace, mark.node) for mark in screen._marks[: screen._here]] == [("test", 1), ("test", 6)]
    by_trace = {mark.trace: mark for mark in screen._marks}
    chosen(by_trace["test"])
    assert services.tree.cursor_node == 6
    chosen(by_trace["elsewhere"])
    assert services.paths == [there]
    assert services.session.views["elsewhere"].cursor == 2
    chosen(by_trace["gone"])
    assert len(services.complained) == 1
    assert "gone.trace.jsonl" in services.complained[0]
    chosen(None)
    assert services.tree.cursor_node == 6


def test_a_mark_that_can_not_be_read_is_one_line_and_keeps_no_other_away(services: FakeServices) -> None:
    folder = services.session.workspace.path / "bookmarks"
    folder.mkdir()
    (folder / "x.jsonl").write_text('{"node": "?"}\n')
    services.show(yellow_bed().tree)
    marks = NodeMarks(services)
    marks.mark(1, "good")
    assert services.complained
    assert "x.jsonl" in services.complained[0]
    assert [mark.kind for mark in marks.of(1)] == ["good"]


def test_what_a_node_is_is_said_in_this_order_mark_written_pruned_state_seen(services: FakeServices) -> None:
    grower = yellow_bed()
    grower.apply(
        Intervened(seq=0, who="ada", what="edited", node=0, child=Child(-1, "x", "Done.", response="Action: x"))
    )
    written = len(grower.tree) - 1
    grower.apply(Intervened(seq=0, who="ada", what="pruned", node=2))
    services.show(grower.tree)
    marks = NodeMarks(services)
    marks.take()

    def word(id: int) -> str | None:
        said = marks.describe(id)
        return said.mark.word if said is not None else None

    below = next(id for id in grower.tree.children(2))
    assert (word(written), word(2), word(below), word(0)) == ("written", "pruned", "pruned", None)
    marks.mark(2, "good")
    assert word(2) == "good"
    assert marks.describe(len(grower.tree)) is None
