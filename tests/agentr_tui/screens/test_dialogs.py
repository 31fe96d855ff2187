"""Menus: what they offer is shown whole, the price at its end included."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import OptionList

from agentr_tui.screens.shared.dialogs import Choice, ask
from agentr_tui.state.session import Session
from tests.agentr_tui.apps import NARROW, opened, running, until


async def test_a_choice_that_is_wider_than_the_window_is_wrapped(tmp_path: Path) -> None:
    async with running(Session(opened(tmp_path)), "library", NARROW) as (app, pilot):
        choices = [
            Choice("a", "search on and on " * 8 + "at most 200 calls", lambda: None),
            Choice("b", "x", lambda: None),
        ]
        ask(app, "menu", choices)
        await until(pilot, lambda: app.screen.query(OptionList))
        await pilot.pause()
        shown = app.screen.query_one(OptionList)
        rows = ["".join(segment.text for segment in shown.render_line(y)) for y in range(shown.size.height)]
        assert shown.region.right <= app.size.width
        assert "at most 200 calls" in " ".join(" ".join(rows).split())
