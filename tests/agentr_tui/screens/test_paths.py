"""Three people's ways through the app, walked by the keys of docs/guide.md alone, and counted."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentr_tui.state.places import shipped_folder
from agentr_tui.state.session import Session
from agentr_tui.widgets.row_table import RowTable
from agentr_tui.widgets.text_pane import TextPane
from agentr_tui.widgets.tree.view import TreeView
from engine.review.decisions import Decisions
from tests.agentr_tui.apps import opened, pane, running, table_lines, until

GUIDE = Path(__file__).parents[3] / "docs" / "guide.md"


def keys_in_guide(what: str) -> str:
    """The number of keys that the guide gives for a way."""
    row = next(line for line in GUIDE.read_text().splitlines() if line.startswith(f"| {what}"))
    return row.split("|")[3].strip()


async def test_a_first_export_from_an_empty_folder_takes_six_keys(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    async with running(Session(workspace), "library", size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "t" in pane(app, "library-empty"))
        await pilot.press("t")
        await until(pilot, lambda: "reading" not in "".join(table_lines(app.screen.query_one(RowTable))))
        await until(pilot, lambda: "deep" in "".join(table_lines(app.screen.query_one(RowTable))))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "search" and bool(app.session.tree))
        await pilot.press("4")
        await until(pilot, lambda: "undecided" in pane(app, "replay"))
        await pilot.press("5")
        await until(pilot, lambda: "pass the replay" in pane(app, "funnel"))
        await pilot.press("e")
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any((workspace.path / "exports").glob("*.jsonl")))
    assert keys_in_guide("export a first dataset") == "6"
    (made,) = (path for path in (workspace.path / "exports").glob("*.jsonl") if "provenance" not in path.name)
    assert made.read_text().count("\n") > 0


async def test_twenty_samples_are_reviewed_with_a_key_each(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    path = workspace.traces / "textcraft-many-pairs.trace.jsonl"
    shutil.copy(shipped_folder() / path.name, path)
    session = Session(workspace)
    session.open(path)
    async with running(session, "search", size=(120, 40)) as (app, pilot):
        await pilot.press("4")
        await until(pilot, lambda: "undecided" in pane(app, "replay"))
        for place in range(20):
            await pilot.press("a")
            await until(pilot, lambda place=place: len(Decisions(workspace.decisions).current()) == place + 1)  # type: ignore[misc]
    assert keys_in_guide("review 20 samples").startswith("21,")


async def test_why_a_search_missed_its_goal_is_at_nine_keys(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    path = workspace.traces / "textcraft-no-good-leaf.trace.jsonl"
    shutil.copy(shipped_folder() / path.name, path)
    async with running(Session(workspace), "library", size=(120, 40)) as (app, pilot):
        await until(pilot, lambda: "no-good-leaf" in "".join(table_lines(app.screen.query_one(RowTable))))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "search" and app.session.tree is not None)
        await until(pilot, lambda: "no leaf is good" in str(app.screen.query_one("#next-step").render()))
        await pilot.press("colon", *"worst", "enter")
        tree = app.session.tree
        assert tree is not None
        worst = min(leaf.q or 0 for leaf in tree.leaves())
        await until(pilot, lambda: (tree.nodes[app.screen.query_one(TreeView).cursor_node or 0].q or 0) == worst)
        await pilot.press("right_square_bracket")
        said = app.screen.query_one("#tabs", TextPane)
        await until(pilot, lambda: 0 < said.max_scroll_y == round(said.scroll_offset.y))  # what was said last
        assert "Goal" in pane(app, "tabs")
    assert keys_in_guide("see why a search missed the goal") == "9"
